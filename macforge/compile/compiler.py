"""Compiles a layer's weights for a design."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from macforge.compile.acts import act_plan
from macforge.compile.operands import Operand, read_operand, read_vector
from macforge.compile.parameters import part_of
from macforge.compile.program import Program
from macforge.compile.stored import compile_stored
from macforge.compile.weights import check_wide, column_classes, group_passes, quantize_operand, wide_groups
from macforge.design.target import Target
from sw_ref.drain.steps.limits import Limits
from sw_ref.drain.steps.requantize import Requantize
from sw_ref.quantize.stored import Stored
from sw_ref.quantize.uniform import Quantized

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = ["compile_layer"]


def compile_layer(
    design: "Design",
    weight: ArrayLike | Stored,
    bias: ArrayLike | None = None,
    calibration: ArrayLike | None = None,
    *,
    static: Quantized | None = None,
    result: tuple[float, int] | None = None,
    wide: ArrayLike | None = None,
) -> Program:
    """Prepare weights for a design: once, for any activations.

    Parameters
    ----------
    design : macforge.design.design.Design
    weight : array (K, N), or Stored
        Of any numeric dtype; integers are the values themselves, floats are quantized by the design's quantizer. What
        is quantized already stays what it is, or is refused.
    bias : array (N,), optional
        Only taken by a drain edge that adds one.
    calibration : array (M, K), optional
        Activations that decide what has to be known beforehand: the scales of requantized results and of a bias in
        integers; which groups of activations have outliers, or columns of weights more bits, where a design has two
        precisions.
    static : Quantized, optional
        With stored weights: activations that have the scale and zero point of all that come.
    result : tuple of float and int, optional
        With stored weights: the scale and the zero point of requantized results.
    wide : bool array (N,), optional
        Where a design has two precisions of columns of weights: those that get more bits, whatever their share. By
        default the calibration decides, see `sw_ref.quantize.salience.salient_columns`.

    Raises
    ------
    ValueError
        If the weights cannot be brought into the form that the design's engine takes, or calibration is missing.
    """
    target = design.target
    given = weight if isinstance(weight, Stored) else read_operand(weight, what="weight", k_axis=0)
    act = None if calibration is None else read_operand(calibration, what="act", k_axis=1)
    shape = given.shape if isinstance(given, Stored) else given.values.shape
    if act is not None and act.values.shape[1] != shape[0]:
        raise ValueError(f"act (M, K) and weight (K, N) must share K, not have shapes {act.values.shape} and {shape}")
    if wide is not None:
        wide = check_wide(target, wide, shape[1])
    if isinstance(given, Stored):
        if wide is not None:
            raise ValueError("Columns with more bits must be left out for weights that are stored")
        return compile_stored(target, given, bias=bias, act=act, static=static, result=result)
    if static is not None or result is not None:
        raise ValueError("Scales of activations and results must be left out for weights that are not stored")
    return _compile_operand(target, given, bias, act, wide)


def _compile_operand(
    target: Target, given: Operand, bias: ArrayLike | None, act: Operand | None, columns: np.ndarray | None
) -> Program:
    """Weights that are quantized for the design."""
    k, n = given.values.shape
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
    acts = act_plan(target, act, k, wide)
    reals = np.ldexp(reals, -given.exponent - acts.exponent)
    if acts.order is not None:
        given = given.permuted(acts.order, slice(None))
        act = act and act.permuted(slice(None), acts.order)
    if wide is None:
        classes = column_classes(target, given, act, columns)
    else:
        classes = [(np.arange(n), group_passes(target, given, wide))]
    parts = [
        part_of(target, acts, passes, chosen, reals[chosen], _reference(target, act, given, reals, chosen))
        for chosen, passes in classes
    ]
    return program(acts=acts, parts=tuple(parts))


def _undrained(target: Target, weight: Operand) -> Quantized:
    for side in ("act", "weight"):
        choice = getattr(target.quantizer, side)
        if choice.method != "uniform" or choice.format not in ("", getattr(target, side)):
            raise ValueError(f"Quantizer {side} must be uniform and of the format {side} without a drain edge")
    return quantize_operand(weight, target.weight_quantizer, k_axis=0)


def _reference(
    target: Target, act: Operand | None, weight: Operand, bias: np.ndarray, chosen: np.ndarray
) -> np.ndarray | None:
    """The exact product of some columns, where results are requantized by it, without the operands' exponents."""
    if not target.drain.find(Requantize):
        return None
    assert act is not None, "a plan with requantized results takes a calibration"
    return act.values.astype(np.float64) @ weight.values[:, chosen].astype(np.float64) + bias[chosen]
