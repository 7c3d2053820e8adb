"""Matrix products of codes, exact or through a finite accumulator."""

import operator

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum
from sw_ref.arith.matmul import partial_sums
from sw_ref.arith.rules import EXACT, Rule
from sw_ref.formats.base import Format
from sw_ref.groups import group_slices
from sw_ref.wide import exactly, integer_type

__all__ = ["float_gemm", "gemm"]


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
    array (G, M, N)
        Of `sw_ref.wide.integer_type` of the accumulator's bits, in units of
        ``2**(act.fixed.lsb + weight.fixed.lsb + rule.lsb)``.

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


def float_gemm(
    act_codes: ArrayLike,
    weight_codes: ArrayLike,
    *,
    act: Format,
    weight: Format,
    sums: FloatSum,
    lowest: tuple[int, int],
    group_size: int = 0,
    step: int = 1,
) -> np.ndarray:
    """As `gemm`, with sums that are floats: codes of ``sums.shape``, of finite operands.

    Parameters
    ----------
    sums : FloatSum
        How products add up.
    lowest : tuple of int
        See `FloatSum.sums`.

    Returns
    -------
    uint32 array (G, M, N)
    """
    a, w = act.decode(act_codes), weight.decode(weight_codes)
    groups = group_slices(a.shape[1], group_size)
    return np.stack([sums.finish(sums.sums(a[:, k], w[k], step, lowest=lowest)) for k in groups])


def _accumulate(a: np.ndarray, w: np.ndarray, accumulator: Accumulator, step: int, rule: Rule) -> np.ndarray:
    """One group's sums, (M, N)."""
    if accumulator.overflow != "saturate" or partial_sums(a, w) in accumulator.interval:
        return accumulator.apply(rule.matmul(a, w))
    sums = np.zeros((a.shape[0], w.shape[1]), dtype=integer_type(accumulator.bits))
    for k in group_slices(a.shape[1], step):
        sums = accumulator.apply(exactly(operator.add, sums, rule.matmul(a[:, k], w[k])))
    return sums
