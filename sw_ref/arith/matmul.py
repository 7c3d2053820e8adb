"""Matrix products of integers, exact and fast."""

import operator
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.groups import group_slices
from sw_ref.interval import Interval
from sw_ref.wide import integer_type, range_of

__all__ = ["exact_matmul", "partial_sums"]

_INT64 = Interval.of_bits(64, signed=True)

# Every integer up to these magnitudes is a float, so BLAS sums products of integers exactly, in whatever
# order, as long as the magnitudes of the products sum to no more.
_EXACT_FLOAT32 = 1 << 24
_EXACT_FLOAT64 = 1 << 53

# Below this many products per float64 matmul, splitting an operand in two costs less than splitting K.
_SHORTEST_SPLIT = 256


def exact_matmul(a: ArrayLike, w: ArrayLike) -> np.ndarray:
    """``a @ w`` of integers, exact, at the speed of floating-point BLAS.

    Parameters
    ----------
    a : integer array (M, K)
    w : integer array (K, N)

    Returns
    -------
    array (M, N)
        int64, or objects if K products of the operands' bounds might take more, see `sw_ref.wide.integer_type`.

    Raises
    ------
    TypeError
        If an operand does not hold integers.
    ValueError
        If the shapes do not fit, or an operand does not fit an int64.
    """
    a, w = _operand(a, "a"), _operand(w, "w")
    if a.ndim != 2 or w.ndim != 2 or a.shape[1] != w.shape[0]:
        raise ValueError(f"a must be (M, K) and w (K, N), not {a.shape} and {w.shape}")
    return _matmul(a, w, integer_type(partial_sums(a, w).signed_bits))


def partial_sums(a: np.ndarray, w: np.ndarray) -> Interval:
    """An interval that holds every partial sum of ``a @ w``."""
    return (range_of(a) * range_of(w)).sum_of(a.shape[1]) | 0


def _matmul(a: np.ndarray, w: np.ndarray, kind: type) -> np.ndarray:
    """``a @ w`` of int64, as ``kind``: as int64, exact modulo 2**64."""
    depth = a.shape[1]
    a_most, w_most = _magnitude(a), _magnitude(w)
    if depth * a_most * w_most <= _EXACT_FLOAT32:
        return _in_floats(a, w, np.float32).astype(kind, copy=False)
    if depth * a_most * w_most <= _EXACT_FLOAT64:
        return _in_floats(a, w, np.float64).astype(kind, copy=False)
    chunk = _EXACT_FLOAT64 // (a_most * w_most)
    if chunk >= min(depth, _SHORTEST_SPLIT):
        return reduce(operator.add, (_matmul(a[:, k], w[k], kind) for k in group_slices(depth, chunk)))
    if a_most < w_most:
        return _matmul(w.T, a.T, kind).T
    half = a_most.bit_length() // 2
    high = a >> half
    return (_matmul(high, w, kind) << half) + _matmul(a - (high << half), w, kind)


def _in_floats(a: np.ndarray, w: np.ndarray, kind: type) -> np.ndarray:
    """``a @ w`` of integers whose partial sums such floats hold."""
    # BLAS computes with whole registers, and may raise the flag for what lies in them beyond the operands
    with np.errstate(invalid="ignore"):
        return (a.astype(kind) @ w.astype(kind)).astype(np.int64)


def _operand(x: ArrayLike, what: str) -> np.ndarray:
    """``x`` as int64."""
    x = np.asarray(x)
    if x.dtype.kind not in "iu":
        raise TypeError(f"{what} must be an array of integers, not of {x.dtype}")
    interval = range_of(x)
    if interval not in _INT64:
        raise ValueError(f"{what} must fit an int64, which {interval.hi} does not")
    return x.astype(np.int64)


def _magnitude(x: np.ndarray) -> int:
    interval = range_of(x)
    return max(interval.hi, -interval.lo)
