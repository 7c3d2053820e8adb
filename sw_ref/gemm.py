"""Matrix products of codes, exact or through a finite accumulator."""

import operator

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.accumulate import Accumulator
from sw_ref.formats import Format
from sw_ref.groups import group_slices
from sw_ref.interval import Interval
from sw_ref.matmul import INT64, range_of
from sw_ref.rules import EXACT, Rule

__all__ = ["gemm"]


def gemm(
    act_codes: ArrayLike,
    weight_codes: ArrayLike,
    *,
    act: Format,
    weight: Format,
    accumulator: Accumulator,
    group_size: int = 0,
    step: int = 1,
    rule: Rule = EXACT,
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
    rule : Rule
        What a step adds; by default its exact products.

    Returns
    -------
    int64 array (G, M, N)
        In units of ``2**(act.fixed.lsb + weight.fixed.lsb + rule.lsb)``.

    Raises
    ------
    TypeError, ValueError
        If the operands are not codes of their format, the shapes do not fit, a parameter is out of range, or
        a sum does not fit the accumulator and its rule is ``refuse``.
    """
    if operator.index(step) < 1:
        raise ValueError(f"Step must be at least 1, not {step}")
    a, w = act.to_fixed(act_codes), weight.to_fixed(weight_codes)
    if a.ndim != 2 or w.ndim != 2 or a.shape[1] != w.shape[0]:
        raise ValueError(f"act must be (M, K) and weight (K, N), not {a.shape} and {w.shape}")
    groups = group_slices(a.shape[1], group_size)
    return np.stack([_accumulate(a[:, k], w[k], accumulator, step, rule) for k in groups])


def _accumulate(a: np.ndarray, w: np.ndarray, accumulator: Accumulator, step: int, rule: Rule) -> np.ndarray:
    """One group's sums, (M, N)."""
    if accumulator.overflow != "saturate" or _partial_sums(a, w) in accumulator.interval:
        return accumulator.apply(rule.matmul(a, w))
    sums = np.zeros((a.shape[0], w.shape[1]), dtype=np.int64)
    for k in group_slices(a.shape[1], step):
        if _partial_sums(a[:, k], w[k]) + accumulator.interval not in INT64:
            raise ValueError(f"Accumulator bits must leave room for a step's sum in 64, not {accumulator.bits}")
        sums = accumulator.apply(sums + rule.matmul(a[:, k], w[k]))
    return sums


def _partial_sums(a: np.ndarray, w: np.ndarray) -> Interval:
    """An interval that holds every partial sum of ``a @ w``."""
    return (range_of(a) * range_of(w)).sum_of(a.shape[1]) | 0
