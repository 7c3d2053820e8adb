"""Matrix products of integers, exact and fast."""

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.groups import group_slices
from sw_ref.interval import Interval

__all__ = ["INT64", "exact_matmul", "range_of"]

INT64 = Interval.of_bits(64, signed=True)
"""What an int64 holds."""

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
    int64 array (M, N)

    Raises
    ------
    TypeError
        If an operand does not hold integers.
    ValueError
        If the shapes do not fit, or if K products of the operands' bounds might not fit an int64.
    """
    a, a_range = _operand(a, "a")
    w, w_range = _operand(w, "w")
    if a.ndim != 2 or w.ndim != 2 or a.shape[1] != w.shape[0]:
        raise ValueError(f"a must be (M, K) and w (K, N), not {a.shape} and {w.shape}")
    sums = (a_range * w_range).sum_of(a.shape[1]) | 0
    if sums not in INT64:
        raise ValueError(f"Sums must fit an int64, and {sums} might not: use fewer or smaller operands")
    return _matmul(a, w)


def range_of(x: np.ndarray) -> Interval:
    """Smallest interval that holds every element of an integer array; 0 if there are none."""
    return Interval(int(x.min()), int(x.max())) if x.size else Interval(0, 0)


def _matmul(a: np.ndarray, w: np.ndarray) -> np.ndarray:
    """``a @ w`` of int64, exact modulo 2**64."""
    depth = a.shape[1]
    a_most, w_most = _magnitude(a), _magnitude(w)
    if depth * a_most * w_most <= _EXACT_FLOAT32:
        return (a.astype(np.float32) @ w.astype(np.float32)).astype(np.int64)
    if depth * a_most * w_most <= _EXACT_FLOAT64:
        return (a.astype(np.float64) @ w.astype(np.float64)).astype(np.int64)
    chunk = _EXACT_FLOAT64 // (a_most * w_most)
    if chunk >= min(depth, _SHORTEST_SPLIT):
        return sum(_matmul(a[:, k], w[k]) for k in group_slices(depth, chunk))
    if a_most < w_most:
        return _matmul(w.T, a.T).T
    half = a_most.bit_length() // 2
    high = a >> half
    return (_matmul(high, w) << half) + _matmul(a - (high << half), w)


def _operand(x: ArrayLike, what: str) -> tuple[np.ndarray, Interval]:
    """``x`` as int64, and the interval of its elements."""
    x = np.asarray(x)
    if x.dtype.kind not in "iu":
        raise TypeError(f"{what} must be an array of integers, not of {x.dtype}")
    interval = range_of(x)
    if interval not in INT64:
        raise ValueError(f"{what} must fit an int64, which {interval.hi} does not")
    return x.astype(np.int64), interval


def _magnitude(x: np.ndarray) -> int:
    interval = range_of(x)
    return max(interval.hi, -interval.lo)
