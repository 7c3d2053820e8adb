"""Compiles a layer's weights for a design."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from macforge.compile.layout import Segment, digits_of, segments_of
from macforge.compile.operands import Operand, read_operand, read_vector
from macforge.compile.parameters import part_of
from macforge.compile.program import ActPlan, Program
from macforge.compile.weights import column_classes, group_digits, group_passes, quantize_operand, wide_groups
from macforge.design.target import Target
from sw_ref.drain.steps.bias import Bias
from sw_ref.drain.steps.limits import Limits
from sw_ref.drain.steps.requantize import Requantize
from sw_ref.groups import group_slices
from sw_ref.quantize.salience import blocks_with, by_magnitude, outlier_channels
from sw_ref.quantize.uniform import Quantized

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = ["compile_layer"]


def compile_layer(
    design: "Design", weight: ArrayLike, bias: ArrayLike | None = None, calibration: ArrayLike | None = None
) -> Program:
    """Prepare weights for a design: once, for any activations.

    Parameters
    ----------
    design : macforge.design.design.Design
    weight : array (K, N)
        Of any numeric dtype; integers are the values themselves, floats are quantized by the design's quantizer.
    bias : array (N,), optional
        Only taken by a drain edge that adds one.
    calibration : array (M, K), optional
        Activations that decide what has to be known beforehand: the scales of requantized results and of a bias in
        integers; which groups of activations have outliers, or columns of weights more bits, where a design has two
        precisions.

    Raises
    ------
    ValueError
        If the weights cannot be brought into the form that the design's engine takes, or calibration is missing.
    """
    target = design.target
    given = read_operand(weight, what="weight", k_axis=0)
    act = None if calibration is None else read_operand(calibration, what="act", k_axis=1)
    k, n = given.values.shape
    if act is not None and act.values.shape[1] != k:
        shapes = act.values.shape, given.values.shape
        raise ValueError(f"act (M, K) and weight (K, N) must share K, not have shapes {shapes[0]} and {shapes[1]}")
    program = partial(Program, target=target, k=k, n=n, exponent=given.exponent, integral=given.integral)
    if not target.edge:
        return program(weight=_undrained(target, given))
    limits = target.edge.find(Limits)
    if given.exponent and limits and limits.clamp:
        raise ValueError(f"Drain clamp must be left out for weights as large or small as 2**{given.exponent}")
    if bias is not None and not target.edge.adds_bias:
        raise ValueError(f"Bias must be left out for {target.name}, whose drain edge adds none")
    reals = np.zeros(n) if bias is None else read_vector(bias, what="bias", size=n)
    wide = wide_groups(target, given, act)
    acts = _act_plan(target, act, k, wide)
    reals = np.ldexp(reals, -given.exponent - acts.exponent)
    if acts.order is not None:
        given = given.permuted(acts.order, slice(None))
        act = act and act.permuted(slice(None), acts.order)
    parts = [
        part_of(target, acts, passes, chosen, reals[chosen], _reference(target, act, given, reals, chosen))
        for chosen, passes in (
            column_classes(target, given, act) if wide is None else [(np.arange(n), group_passes(target, given, wide))]
        )
    ]
    return program(acts=acts, parts=tuple(parts))


def _undrained(target: Target, weight: Operand) -> Quantized:
    for side in ("act", "weight"):
        choice = getattr(target.quantizer, side)
        if choice.method != "uniform" or choice.format not in ("", getattr(target, side)):
            raise ValueError(f"Quantizer {side} must be uniform and of the format {side} without a drain edge")
    return quantize_operand(weight, target.weight_quantizer, k_axis=0)


def _act_plan(target: Target, act: Operand | None, k: int, more: np.ndarray | None) -> ActPlan:
    """How activations are cut, and what of them is decided beforehand."""
    group = min(target.group_size or k, k)
    groups = group_slices(k, group)
    choice, order, wide = target.quantizer.act, None, np.zeros(len(groups), bool)
    if choice.method == "mixed":
        act = _calibration(act, "activations of two precisions")
        order = by_magnitude(act.values)
        held = np.logical_and.reduce(target.act_quantizer.format.holds(act.values), axis=0) if act.integral else None
        marked = outlier_channels(act.values, ratio=choice.ratio) if held is None else ~held
        wide = blocks_with(marked[order], block=group)
    plan = partial(ActPlan, group=group, segments=_segments(target, groups, wide, more), order=order, wide=wide)
    if target.drain.floating or not (target.drain.find(Bias) or target.drain.find(Requantize)):
        return plan()
    act = _calibration(act, "a bias or results in integers")
    static = quantize_operand(act, target.act_quantizer, k_axis=1)
    # of which only the scale and the zero point are wanted
    static = replace(static, codes=static.codes[:0])
    return plan(static=static, exponent=act.exponent)


def _calibration(act: Operand | None, what: str) -> Operand:
    if act is None:
        raise ValueError(f"Calibration must be given for {what}: activations (M, K) such as come later")
    return act


def _segments(
    target: Target, groups: tuple[slice, ...], wide: np.ndarray, more: np.ndarray | None
) -> tuple[Segment, ...]:
    weights = None if more is None else group_digits(target, more)
    if target.quantizer.act.method == "block":
        digits = digits_of(target.act, target.act, "act")
        return segments_of(groups, [digits] * len(groups), weights)
    formats = [(target.wide_quantizer("act") if is_wide else target.act_quantizer).format for is_wide in wide]
    return segments_of(groups, [digits_of(form, target.act, "act") for form in formats], weights)


def _reference(
    target: Target, act: Operand | None, weight: Operand, bias: np.ndarray, chosen: np.ndarray
) -> np.ndarray | None:
    """The exact product of some columns, where results are requantized by it, without the operands' exponents."""
    if not target.drain.find(Requantize):
        return None
    assert act is not None, "a plan with requantized results takes a calibration"
    return act.values.astype(np.float64) @ weight.values[:, chosen].astype(np.float64) + bias[chosen]
