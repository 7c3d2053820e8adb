"""How activations are to be prepared for a product."""

from dataclasses import replace
from functools import partial

import numpy as np

from macforge.compile.layout import Segment, digits_of, segments_of
from macforge.compile.operands import Operand
from macforge.compile.program import ActPlan
from macforge.compile.weights import group_digits, quantize_operand
from macforge.design.target import Target
from sw_ref.drain.steps.bias import Bias
from sw_ref.drain.steps.requantize import Requantize
from sw_ref.groups import group_slices
from sw_ref.quantize.salience import blocks_with, by_magnitude, outlier_channels
from sw_ref.quantize.uniform import Quantized

__all__ = ["act_plan", "segments_for"]


def act_plan(
    target: Target,
    act: Operand | None,
    k: int,
    more: np.ndarray | None = None,
    *,
    group: int = 0,
    static: Quantized | None = None,
) -> ActPlan:
    """How activations are cut, and what of them is decided beforehand.

    Parameters
    ----------
    target : Target
    act : Operand (M, K) or None
        Of a calibration.
    k : int
    more : bool array (G,), optional
        Which groups of K have weights of more bits.
    group : int
        Products along K that make one sum; by default those of the tiling.
    static : Quantized, optional
        The scale and the zero point of all activations, in place of a calibration.

    Raises
    ------
    ValueError
        If a calibration is missing.
    """
    group = min(group or target.group_size or k, k)
    groups = group_slices(k, group)
    choice, order, wide = target.quantizer.act, None, np.zeros(len(groups), bool)
    if choice.method == "mixed":
        act = _calibration(act, "activations of two precisions")
        order = by_magnitude(act.values)
        held = np.logical_and.reduce(target.act_quantizer.format.holds(act.values), axis=0) if act.integral else None
        marked = outlier_channels(act.values, ratio=choice.ratio) if held is None else ~held
        wide = blocks_with(marked[order], block=group)
    plan = partial(ActPlan, group=group, segments=segments_for(target, groups, wide, more), order=order, wide=wide)
    if target.drain.floating or not (target.drain.find(Bias) or target.drain.find(Requantize)):
        return plan()
    if static is not None:
        return plan(static=static)
    act = _calibration(act, "a bias or results in integers")
    static = quantize_operand(act, target.act_quantizer, k_axis=1)
    # of which only the scale and the zero point are wanted
    static = replace(static, codes=static.codes[:0])
    return plan(static=static, exponent=act.exponent)


def _calibration(act: Operand | None, what: str) -> Operand:
    if act is None:
        raise ValueError(f"Calibration must be given for {what}: activations (M, K) such as come later")
    return act


def segments_for(
    target: Target, groups: tuple[slice, ...], wide: np.ndarray, more: np.ndarray | None = None
) -> tuple[Segment, ...]:
    """How K is cut: groups, ``wide`` those of activations with outliers, ``more`` those of weights with more bits."""
    weights = None if more is None else group_digits(target, more)
    if target.quantizer.act.method == "block":
        digits = digits_of(target.act, target.act, "act")
        return segments_of(groups, [digits] * len(groups), weights)
    formats = [(target.wide_quantizer("act") if is_wide else target.act_quantizer).format for is_wide in wide]
    return segments_of(groups, [digits_of(form, target.act, "act") for form in formats], weights)
