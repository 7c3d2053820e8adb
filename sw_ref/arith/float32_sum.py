"""Sums of products in float32 arithmetic, where that is what rounding each of them exactly comes to."""

import numpy as np

from sw_ref.formats.minifloat import FP32

__all__ = ["float32_sums"]

# Bits of an operand's significand: a product then has no more than float32's 24.
_BITS = 12

# How many at a time stay in a processor's cache.
_ROWS = 16


def float32_sums(act: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """``sum = float32(sum + act[m, k] * weight[k, n])``, k after k, starting from 0.

    Products are float32 numbers, so that NumPy's additions, to nearest and ties to even, round but once; and no sum
    of them can overflow or be subnormal. So this is `sw_ref.arith.float_sum.RoundedSum` of float32, and much faster.

    Parameters
    ----------
    act : float64 array (M, K)
    weight : float64 array (K, N)

    Returns
    -------
    int64 array (M, N) of codes of float32, or None
        None if an operand has more than 12 bits of significand, or a sum may leave the range of normal numbers.
    """
    if not _is_exact(act, weight):
        return None
    act, weight = act.astype(np.float32), weight.astype(np.float32)
    total = np.zeros((len(act), weight.shape[1]), np.float32)
    for first in range(0, len(act), _ROWS):
        rows, sums = act[first : first + _ROWS], total[first : first + _ROWS]
        for k in range(len(weight)):
            sums += rows[:, k, None] * weight[k]
    return total.view(np.uint32).astype(np.int64)


def _is_exact(act: np.ndarray, weight: np.ndarray) -> bool:
    largest, last = float(len(weight)), 0
    for x in (act, weight):
        fraction, exponent = np.frexp(x)
        integer = np.ldexp(fraction, _BITS)
        if (integer != np.trunc(integer)).any():
            return False
        largest *= np.abs(x).max()
        last += exponent.min(where=x != 0, initial=0) - _BITS
    # all sums are multiples of the product of the last bits
    return largest < 2.0**FP32.bias and last >= 1 - FP32.bias
