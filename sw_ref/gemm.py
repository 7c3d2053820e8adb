"""Matrix products of codes, exact or through a finite accumulator."""

import operator

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.accumulate import Accumulator
from sw_ref.formats import Format
from sw_ref.groups import group_slices
from sw_ref.interval import Interval

__all__ = ["exact_matmul", "gemm"]

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
    _check_shapes(a, w, "a", "w")
    sums = (a_range * w_range).sum_of(a.shape[1]) | 0
    if sums not in _INT64:
        raise ValueError(f"Sums must fit an int64, and {sums} might not: use fewer or smaller operands")
    return _matmul(a, w)


def gemm(
    act_codes: ArrayLike,
    weight_codes: ArrayLike,
    *,
    act: Format,
    weight: Format,
    accumulator: Accumulator,
    group_size: int = 0,
    step: int = 1,
) -> np.ndarray:
    """``sums[g, m, n] = sum of act[m, k] * weight[k, n] over the k of group g``, as the RTL accumulates it.

    Each group starts from 0. Every step sums up to ``step`` products exactly, adds that to the accumulator
    and applies its overflow rule; a step never crosses a group. So ``saturate`` depends on ``step`` and on
    the order of K. ``wrap`` depends on neither, nor does ``refuse``: a group's sum is exact, or an error if
    the accumulator does not hold it (a partial sum may pass the bounds, as two's complement comes back).

    Parameters
    ----------
    act_codes : codes (M, K) of the format ``act``
    weight_codes : codes (K, N) of the format ``weight``
    act, weight : Format
        Both with a fixed-point form.
    accumulator : Accumulator
    group_size : int
        Products in a group; 0 for one group over all of K. The last group may be shorter.
    step : int
        Products in a step, at least 1.

    Returns
    -------
    int64 array (G, M, N)
        In units of ``2**(act.fixed.lsb + weight.fixed.lsb)``.

    Raises
    ------
    TypeError, ValueError
        If the operands are not codes of their format, the shapes do not fit, a parameter is out of range, or
        a sum does not fit the accumulator and its rule is ``refuse``.
    """
    if operator.index(step) < 1:
        raise ValueError(f"Step must be at least 1, not {step}")
    a, w = act.to_fixed(act_codes), weight.to_fixed(weight_codes)
    _check_shapes(a, w, "act", "weight")
    groups = group_slices(a.shape[1], group_size)
    return np.stack([_accumulate(a[:, k], w[k], accumulator, step) for k in groups])


def _accumulate(a: np.ndarray, w: np.ndarray, accumulator: Accumulator, step: int) -> np.ndarray:
    """One group's sums, (M, N)."""
    if accumulator.overflow != "saturate" or _partial_sums(a, w) in accumulator.interval:
        return accumulator.apply(exact_matmul(a, w))
    sums = np.zeros((a.shape[0], w.shape[1]), dtype=np.int64)
    for k in group_slices(a.shape[1], step):
        if _partial_sums(a[:, k], w[k]) + accumulator.interval not in _INT64:
            raise ValueError(f"Accumulator bits must leave room for a step's sum in 64, not {accumulator.bits}")
        sums = accumulator.apply(sums + _matmul(a[:, k], w[k]))
    return sums


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
    interval = _range(x)
    if interval not in _INT64:
        raise ValueError(f"{what} must fit an int64, which {interval.hi} does not")
    return x.astype(np.int64), interval


def _check_shapes(a: np.ndarray, w: np.ndarray, a_name: str, w_name: str) -> None:
    if a.ndim != 2 or w.ndim != 2 or a.shape[1] != w.shape[0]:
        raise ValueError(f"{a_name} must be (M, K) and {w_name} (K, N), not {a.shape} and {w.shape}")


def _partial_sums(a: np.ndarray, w: np.ndarray) -> Interval:
    """An interval that holds every partial sum of ``a @ w``."""
    return (_range(a) * _range(w)).sum_of(a.shape[1]) | 0


def _range(x: np.ndarray) -> Interval:
    return Interval(int(x.min()), int(x.max())) if x.size else Interval(0, 0)


def _magnitude(x: np.ndarray) -> int:
    interval = _range(x)
    return max(interval.hi, -interval.lo)
