"""Weights pass by pass, as the quantizers of a design have them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from macforge.compile.layout import digit_codes, digits_of
from macforge.compile.operands import Operand
from macforge.design.target import Target
from sw_ref.formats.bitmod import SelectedBitMoD
from sw_ref.groups import group_slices
from sw_ref.quantize.bcq import BinaryCoder
from sw_ref.quantize.bitmod import BitMoDQuantizer
from sw_ref.quantize.block import BLOCKS, BlockQuantizer
from sw_ref.quantize.progressive import ProgressiveQuantizer
from sw_ref.quantize.salience import salient_columns
from sw_ref.quantize.uniform import Quantized, Quantizer

__all__ = ["Pass", "block_quantizer", "coded", "column_classes", "quantize_operand"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Pass:
    """One pass of weights: a weight is the sum over all passes of ``real * integer * (value - zero) + offset``.

    ``codes`` (K, N); ``integer`` and ``zero`` (G, N) int64, ``real`` (G, N) float. ``overall`` is a factor of all. An
    ``offset`` (G, N) is added to every weight of its group and column.
    """

    codes: np.ndarray
    integer: np.ndarray
    real: np.ndarray
    zero: np.ndarray
    overall: float = 1.0
    added: np.ndarray | None = None

    @property
    def offset(self) -> np.ndarray:
        """What is added to the weights of each group and column (G, N)."""
        return np.zeros(self.real.shape) if self.added is None else self.added


class Coder(Protocol):
    """What makes codes and scales of an operand: of floats, or of integers that keep their values."""

    def quantize(self, values: np.ndarray, **how: object) -> object: ...

    def from_values(self, values: np.ndarray, **how: object) -> object: ...


def coded(coder: Coder, operand: Operand, **how: object):
    """An operand as a quantizer has it; integers keep their values."""
    return (coder.from_values if operand.integral else coder.quantize)(operand.values, **how)


def quantize_operand(operand: Operand, quantizer: Quantizer, *, k_axis: int) -> Quantized:
    """Codes, scales and zero points of an operand; integers keep their values."""
    what = "weight" if k_axis == 0 else "act"
    if not operand.integral:
        return quantizer.quantize(operand.values, k_axis=k_axis, what=what)
    return Quantized(
        codes=quantizer.format.from_values(operand.values, what=what),
        scale=np.ones((1, 1), np.float32),
        zero_point=np.zeros((1, 1), np.int64),
        format=quantizer.format,
        k_axis=k_axis,
    )


def column_classes(target: Target, weight: Operand, act: Operand | None) -> list[tuple[np.ndarray, list[Pass]]]:
    """The columns of each precision, and their passes.

    Parameters
    ----------
    target : Target
    weight : Operand (K, N)
    act : Operand (M, K) or None
        Activations that tell which columns deserve more bits, where a design has two precisions.
    """
    choice = target.quantizer.weight
    if choice.method != "mixed":
        return [(np.arange(weight.values.shape[1]), _passes(target, weight))]
    if weight.integral:
        # they need more bits, or do not
        salient = ~target.weight_quantizer.format.holds(weight.values).all(axis=0)
    else:
        known = None if act is None else act.values
        salient = salient_columns(weight.values, target.weight_quantizer, fraction=choice.fraction, act=known)
    classes = []
    for wide in (False, True):
        chosen = np.flatnonzero(salient == wide)
        if len(chosen):
            quantizer = target.wide_quantizer("weight") if wide else target.weight_quantizer
            some = weight.permuted(slice(None), chosen)
            classes.append((chosen, _uniform_passes(target, quantize_operand(some, quantizer, k_axis=0))))
    return classes


def _passes(target: Target, weight: Operand) -> list[Pass]:
    choice, group_size = target.quantizer.weight, target.group_size
    if choice.method == "bcq":
        coder = BinaryCoder(planes=choice.planes, group_size=group_size, powers=choice.powers)
        return [
            Pass(
                codes=plane.codes,
                integer=np.ones(plane.scale.shape, np.int64),
                real=plane.scale,
                zero=plane.zero_point,
            )
            for plane in coded(coder, weight, what="weight").planes
        ]
    if choice.method == "block":
        blocks = coded(block_quantizer(target, "weight"), weight, k_axis=0, what="weight")
        real = blocks.scales()
        one, none = np.ones(real.shape, np.int64), np.zeros(real.shape, np.int64)
        return [Pass(codes=blocks.codes, integer=one, real=real, zero=none, overall=blocks.overall)]
    if choice.method == "progressive":
        levels = coded(ProgressiveQuantizer(group_size=group_size), weight, what="weight")
        integer = levels.groups.scale.astype(np.int64)
        real = np.broadcast_to(levels.channel_scale, integer.shape)
        return [Pass(codes=levels.groups.codes, integer=integer, real=real, zero=levels.groups.zero_point)]
    if choice.method == "bitmod":
        special = coded(_bitmod_quantizer(target), weight, what="weight")
        real = np.broadcast_to(special.channel_scale, special.scale.shape)
        return [Pass(codes=special.selected(), integer=special.scale, real=real, zero=np.zeros_like(special.scale))]
    return _uniform_passes(target, quantize_operand(weight, target.weight_quantizer, k_axis=0))


def _uniform_passes(target: Target, weight: Quantized) -> list[Pass]:
    """Digits of a quantized weight, the lowest first."""
    groups = len(group_slices(len(weight.codes), target.group_size))
    shape = groups, weight.codes.shape[1]
    real, zero = np.broadcast_to(weight.scale, shape), np.broadcast_to(weight.zero_point, shape)
    taken = target.weight
    digits = digits_of(weight.format, taken, "weight")
    return [
        Pass(codes=codes, integer=np.full(shape, digit.weight), real=real, zero=digit.zero_with(zero))
        for digit, codes in zip(digits, digit_codes(weight.codes, weight.format, taken), strict=True)
    ]


def _bitmod_quantizer(target: Target) -> BitMoDQuantizer:
    form = target.weight
    if not isinstance(form, SelectedBitMoD):
        raise ValueError(f"Quantizer weight.method bitmod takes the format bitmod3 or bitmod4, not {form.name}")
    return BitMoDQuantizer(bits=form.code_bits, group_size=target.group_size)


def block_quantizer(target: Target, side: str) -> BlockQuantizer:
    """The quantizer of blocks of an operand, which must fit the design's formats and groups."""
    name = getattr(target.quantizer, side).block
    quantizer, form = BLOCKS[name], getattr(target, side)
    if quantizer.element != form:
        raise ValueError(
            f"Quantizer {side}.block {name} must have elements of {form.name}, not {quantizer.element.name}"
        )
    if quantizer.size != target.group_size:
        raise ValueError(f"Tiling group_size must be {quantizer.size}, as {name} has it, not {target.group_size}")
    return quantizer
