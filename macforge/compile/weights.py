"""Weights pass by pass, as the quantizers of a design have them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from macforge.compile.layout import Digit, Segment, digit_codes, digits_of
from macforge.compile.operands import Operand
from macforge.design.target import Target
from sw_ref.drain.steps.offset import Offset
from sw_ref.formats.base import Int
from sw_ref.formats.bitmod import SelectedBitMoD
from sw_ref.formats.minifloat import Float
from sw_ref.groups import group_slices
from sw_ref.quantize.affine import AffineQuantizer
from sw_ref.quantize.bcq import BinaryCoder
from sw_ref.quantize.bitmod import BitMoDQuantizer
from sw_ref.quantize.block import BLOCKS, BlockQuantizer
from sw_ref.quantize.progressive import ProgressiveQuantizer
from sw_ref.quantize.salience import salient_columns, salient_groups
from sw_ref.quantize.uniform import Quantized, Quantizer

__all__ = [
    "Pass",
    "block_quantizer",
    "check_two_precisions",
    "check_wide",
    "coded",
    "column_classes",
    "group_digits",
    "group_passes",
    "quantize_operand",
    "wide_groups",
]


_T = TypeVar("_T", covariant=True)


@dataclass(frozen=True, eq=False, kw_only=True)
class Pass:
    """One pass of weights: a weight is the sum over all passes of ``real * integer * (value - zero) + offset``.

    ``codes`` (K, N), or (D, K, N) where groups of K come in D digits or fewer; ``integer`` and ``zero`` (G, N) int64,
    ``real`` (G, N) float. ``overall`` is a factor of all. An ``offset`` (G, N) is added to every weight of its group
    and column.
    """

    codes: np.ndarray
    integer: np.ndarray
    real: np.ndarray
    zero: np.ndarray
    overall: float = 1.0
    added: np.ndarray | None = None

    def piece(self, segment: Segment) -> np.ndarray:
        """The codes of a segment of K."""
        codes = self.codes[segment.plane] if self.codes.ndim == 3 else self.codes
        return codes[segment.start : segment.stop]

    @property
    def offset(self) -> np.ndarray:
        """What is added to the weights of each group and column (G, N)."""
        return np.zeros(self.real.shape) if self.added is None else self.added


class Coder(Protocol[_T]):
    """What makes codes and scales of an operand: of floats, or of integers that keep their values."""

    @property
    def quantize(self) -> Callable[..., _T]: ...

    @property
    def from_values(self) -> Callable[..., _T]: ...


def coded(coder: Coder[_T], operand: Operand, **how: object) -> _T:
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


def check_two_precisions(target: Target) -> None:
    """ValueError unless a design has two precisions of columns of weights."""
    choice = target.quantizer.weight
    if choice.method != "mixed" or choice.axis != "column":
        raise ValueError(f"Design must have two precisions of columns of weights, which {target.name} has not")


def check_wide(target: Target, wide: ArrayLike, n: int) -> np.ndarray:
    """Which columns get more bits, checked: bool (N,).

    Raises
    ------
    ValueError
        If the design has no two precisions of columns, or it is not a bool for each.
    """
    check_two_precisions(target)
    wide = np.asarray(wide)
    if wide.dtype != bool or wide.shape != (n,):
        raise ValueError(f"Columns with more bits must be {n} bools, not {wide.dtype} of shape {wide.shape}")
    return wide


def column_classes(
    target: Target, weight: Operand, act: Operand | None, wide: np.ndarray | None = None
) -> list[tuple[np.ndarray, list[Pass]]]:
    """The columns of each precision, and their passes; see `group_passes` where it is groups of K that differ.

    Parameters
    ----------
    target : Target
    weight : Operand (K, N)
    act : Operand (M, K) or None
        Activations that tell which columns deserve more bits, where a design has two precisions.
    wide : bool array (N,), optional
        Which columns they are, as `check_wide` gives it.
    """
    choice = target.quantizer.weight
    if choice.method != "mixed":
        return [(np.arange(weight.values.shape[1]), _passes(target, weight))]
    if wide is not None:
        salient = wide
    elif weight.integral:
        # they need more bits, or do not
        salient = ~target.weight_quantizer.format.holds(weight.values).all(axis=0)
    else:
        known = None if act is None else act.values
        salient = salient_columns(weight.values, target.weight_quantizer, fraction=choice.fraction, act=known)
    classes = []
    for is_wide in (False, True):
        chosen = np.flatnonzero(salient == is_wide)
        if len(chosen):
            quantizer = target.wide_quantizer("weight") if is_wide else target.weight_quantizer
            some = weight.permuted(slice(None), chosen)
            classes.append((chosen, _uniform_passes(target, quantize_operand(some, quantizer, k_axis=0))))
    return classes


def wide_groups(target: Target, weight: Operand, act: Operand | None) -> np.ndarray | None:
    """Which groups of K get more bits of weights, bool (G,); None where all get the same."""
    choice = target.quantizer.weight
    if choice.method != "mixed" or choice.axis != "group":
        return None
    if choice.granularity != "group":
        raise ValueError(f"Quantizer weight.granularity must be group with axis group, not {choice.granularity}")
    if weight.integral:
        starts = [group.start for group in group_slices(len(weight.values), target.group_size)]
        return np.logical_or.reduceat(~target.weight_quantizer.format.holds(weight.values).all(axis=1), starts)
    known = None if act is None else act.values
    return salient_groups(weight.values, target.weight_quantizer, fraction=choice.fraction, act=known)


def group_digits(target: Target, wide: np.ndarray) -> list[tuple[Digit, ...]]:
    """The digits in which the weights of each group of K come."""
    quantizers = target.weight_quantizer, target.wide_quantizer("weight")
    few, more = (digits_of(quantizer.format, target.weight, "weight") for quantizer in quantizers)
    return [more if is_wide else few for is_wide in wide]


def group_passes(target: Target, weight: Operand, wide: np.ndarray) -> list[Pass]:
    """One pass of weights whose groups of K come in digits, some in more than others."""
    groups = group_slices(len(weight.values), target.group_size)
    quantizers = target.weight_quantizer, target.wide_quantizer("weight")
    pieces = [
        quantize_operand(weight.permuted(group, slice(None)), quantizers[int(is_wide)], k_axis=0)
        for group, is_wide in zip(groups, wide, strict=True)
    ]
    digits = [digit_codes(one.codes, one.format, target.weight) for one in pieces]
    codes = np.zeros((max(map(len, digits)), *weight.values.shape), np.uint32)
    for group, several in zip(groups, digits, strict=True):
        codes[: len(several), group] = several
    shape = len(groups), weight.values.shape[1]
    real, zero = (
        np.concatenate([np.broadcast_to(getattr(one, name), (1, shape[1])) for one in pieces])
        for name in ("scale", "zero_point")
    )
    return [Pass(codes=codes, integer=np.ones(shape, np.int64), real=real, zero=zero)]


def _binary_passes(target: Target, weight: Operand) -> list[Pass]:
    choice, offset = target.quantizer.weight, target.drain.find(Offset)
    coder = BinaryCoder(
        planes=choice.planes, group_size=target.group_size, powers=choice.powers, bias=offset is not None
    )
    binary = coded(coder, weight, what="weight")
    return [
        Pass(
            codes=plane.codes,
            integer=np.ones(plane.scale.shape, np.int64),
            real=plane.scale,
            zero=plane.zero_point,
            added=binary.bias if index == 0 else None,
        )
        for index, plane in enumerate(binary.planes)
    ]


def _affine_passes(target: Target, weight: Operand) -> list[Pass]:
    form = target.weight
    if not isinstance(form, Int) or form.signed:
        raise ValueError(f"Quantizer weight.method affine takes unsigned integers such as uint4, not {form.name}")
    affine = coded(AffineQuantizer(bits=form.bits, group_size=target.group_size), weight, what="weight")
    one, none = (np.full(affine.scale.shape, value) for value in (1, 0))
    return [
        Pass(
            codes=affine.codes,
            integer=one,
            real=affine.scale,
            zero=none,
            added=affine.offset,
            overall=affine.overall,
        )
    ]


def _dequantized_passes(target: Target, weight: Operand) -> list[Pass]:
    """Each element dequantized to the float that cells take; a power of two is taken out if it must be."""
    form = target.weight
    if not isinstance(form, Float):
        raise ValueError(f"Quantizer weight.method dequantized takes floats such as fp16, not {form.name}")
    reals = quantize_operand(weight, target.weight_quantizer, k_axis=0).reals()
    largest = np.abs(reals).max()
    inside = not largest or form.full_precision <= largest <= form.bounds[1]
    overall = 1.0 if inside else 2.0 ** int(np.frexp(largest)[1])
    shape = len(group_slices(len(reals), target.group_size)), reals.shape[1]
    one, none = np.ones(shape, np.int64), np.zeros(shape, np.int64)
    codes = form.encode(reals / overall)
    return [Pass(codes=codes, integer=one, real=one.astype(float), zero=none, overall=overall)]


def _passes(target: Target, weight: Operand) -> list[Pass]:
    choice, group_size = target.quantizer.weight, target.group_size
    methods = {"bcq": _binary_passes, "affine": _affine_passes, "dequantized": _dequantized_passes}
    if choice.method in methods:
        return methods[choice.method](target, weight)
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
