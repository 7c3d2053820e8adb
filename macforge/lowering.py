"""From real matrices to what an engine is given: digits, planes and groups."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from macforge.design import Design
from macforge.drain_parameters import Pass, Segment, drain_parameters
from macforge.operands import Operand, read_operand, rounded_product
from sw_ref.bcq import BinaryCoder
from sw_ref.binary_float import FloatShape
from sw_ref.block import BLOCKS, BlockQuantizer
from sw_ref.dequantize import dequantize_gemm
from sw_ref.digits import plane_weights, planes, split
from sw_ref.engine.product import Product
from sw_ref.float_sum import FloatSum
from sw_ref.formats import Format
from sw_ref.groups import group_slices
from sw_ref.nonfinite import nonfinite_results, zeroed
from sw_ref.progressive import ProgressiveQuantizer
from sw_ref.quantize import Quantized, Quantizer
from sw_ref.salience import blocks_with, by_magnitude, outlier_channels, salient_columns
from sw_ref.special import BitMoDQuantizer, SelectedBitMoD

__all__ = ["Lowered", "lower", "lower_sums", "lower_weight"]


Coder = BinaryCoder | BitMoDQuantizer | BlockQuantizer | ProgressiveQuantizer


@dataclass(frozen=True, eq=False, kw_only=True)
class Lowered:
    """A matrix product as a design's engine computes it.

    Parameters
    ----------
    products : tuple of Product
        What the engine is given.
    real : callable
        C (M, N), out of the results of all products: int64 of integers, else float32. Raises ValueError if it cannot
        hold them: if a result of finite operands is infinite or NaN, or leaves the range of float32.
    """

    products: tuple[Product, ...]
    real: Callable[[Sequence[np.ndarray]], np.ndarray]


def lower_sums(design: Design, act: Operand, weight: Operand) -> Lowered:
    """A product ``act @ weight`` for a design without a drain edge, whose sums are dequantized afterwards."""
    for side in ("act", "weight"):
        choice = getattr(design.quantizer, side)
        if choice.method != "uniform" or choice.format not in ("", getattr(design, side)):
            raise ValueError(f"Quantizer {side} must be uniform and of the format {side} without a drain edge")
    act_q = quantize_operand(act, design.act_quantizer, k_axis=1)
    weight_q = quantize_operand(weight, design.weight_quantizer, k_axis=0)
    product = Product(act=act_q.codes, weight=weight_q.codes)
    # sums take codes that are not finite for 0, and so does what is made of them
    act_q, weight_q = (replace(one, codes=zeroed(one.format, one.codes)) for one in (act_q, weight_q))
    integers = act.integral and weight.integral and not isinstance(design.sums, FloatSum)

    def real(results: Sequence[np.ndarray]) -> np.ndarray:
        if integers:
            # sums of integers, in units of last bits that may lie behind the point
            unit = design.pe.rule.lsb + act_q.format.fixed.lsb + weight_q.format.fixed.lsb
            total = results[0].sum(axis=0)
            return total << unit if unit >= 0 else total >> -unit
        if isinstance(design.sums, FloatSum):
            reals = _scaled_floats(design.sums.shape, results[0], act_q, weight_q)
        else:
            reals = dequantize_gemm(results[0] << design.pe.rule.lsb, act_q, weight_q)
        return rounded_product(reals, act.exponent + weight.exponent, _invalid(design, product))

    return Lowered(products=(product,), real=real)


def _invalid(design: Design, product: Product) -> np.ndarray:
    """Which elements have an operand that is infinite or NaN, bool (M, N)."""
    act, planes = design.pe.act.finite(product.act), design.pe.weight.finite(product.planes)
    return nonfinite_results(act, planes.all(axis=0))


def _scaled_floats(shape: FloatShape, sums: np.ndarray, act: Quantized, weight: Quantized) -> np.ndarray:
    """The real product in float64, out of sums that are floats."""
    if act.zero_point.any() or weight.zero_point.any():
        raise ValueError("Quantizer scheme must be symmetric where sums are floats")
    real = shape.decode(sums & ((1 << shape.bits) - 1))
    scales = [act.scale[:, g, None].astype(np.float64) for g in range(act.scale.shape[1])]
    others = [weight.scale[g].astype(np.float64) for g in range(weight.scale.shape[0])]
    return sum(one * scales[min(g, len(scales) - 1)] * others[min(g, len(others) - 1)] for g, one in enumerate(real))


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


def lower_weight(design: Design, weight: np.ndarray) -> list[Pass] | None:
    """What `lower` makes of the weights of a product, given to it for each of their activations.

    None where activations have a part in that, as they have if either operand is of mixed precision; and without a
    drain edge.
    """
    mixed = "mixed" in (design.quantizer.act.method, design.quantizer.weight.method)
    if mixed or not design.edge:
        return None
    return _passes(design, read_operand(weight, what="weight", k_axis=0))


def lower(
    design: Design,
    act: Operand,
    weight: Operand,
    bias: np.ndarray | None = None,
    passes: list[Pass] | None = None,
) -> Lowered:
    """Quantize a product ``act @ weight + bias`` for a design with a drain edge.

    Parameters
    ----------
    design : Design
    act : Operand (M, K)
    weight : Operand (K, N)
    bias : float64 array (N,), optional
        Only taken by a drain edge that adds one.
    passes : list of Pass, optional
        What `lower_weight` gave of the weights.

    Raises
    ------
    ValueError
        If the operands cannot be brought into the form that the design's engine takes.
    """
    k, n = weight.values.shape
    group = design.tiling.group_size or k
    exponent = act.exponent + weight.exponent
    if exponent and design.edge.clamp:
        raise ValueError(f"Drain clamp must be left out for operands as large or small as 2**{exponent}")
    if design.quantizer.act.method == "mixed":
        order = by_magnitude(act.values)
        act, weight = act.permuted(slice(None), order), weight.permuted(order, slice(None))
    segments = list(_segments(design, act, group))
    if any(segment.codes.shape[1] < min(group, k) for segment in segments[:-1]):
        raise ValueError(f"K must be a multiple of the group size ({group}) where activations come in digits, not {k}")
    bias = np.zeros(n) if bias is None else np.ldexp(bias, -exponent)
    products, places = [], []
    for chosen, codings in _column_classes(design, act, weight, passes):
        reference = _reference(design, act, weight, bias, chosen)
        parameters, scale = drain_parameters(design.edge, design.pe, segments, codings, bias[chosen], reference)
        products.append(_product(segments, codings, min(group, k), parameters))
        places.append((chosen, scale))
    floats = design.edge.arithmetic if design.edge.floating else None

    def real(results: Sequence[np.ndarray]) -> np.ndarray:
        reals, invalid = np.empty((len(act.values), n)), np.empty((len(act.values), n), bool)
        for result, product, (chosen, scale) in zip(results, products, places, strict=True):
            values = result[0] if floats is None else floats.decode(result[0] & ((1 << floats.bits) - 1))
            reals[:, chosen] = values * scale
            invalid[:, chosen] = _invalid(design, product)
        return rounded_product(reals, exponent, invalid)

    return Lowered(products=tuple(products), real=real)


def _product(segments: list[Segment], passes: list[Pass], group: int, parameters: dict[str, np.ndarray]) -> Product:
    """Segments side by side along K, and for each of them its group of the weights."""
    pieces = [np.concatenate([one.codes[s.group * group :][: s.codes.shape[1]] for s in segments]) for one in passes]
    act = np.concatenate([segment.codes for segment in segments], axis=1)
    return Product(act=act, weight=np.stack(pieces), group=group, parameters=parameters)


def _reference(
    design: Design, act: Operand, weight: Operand, bias: np.ndarray, chosen: np.ndarray
) -> np.ndarray | None:
    """The exact product of some columns, where results are requantized by it."""
    if not design.edge.requantize:
        return None
    return act.values.astype(np.float64) @ weight.values[:, chosen].astype(np.float64) + bias[chosen]


def _column_classes(
    design: Design, act: Operand, weight: Operand, passes: list[Pass] | None
) -> Iterator[tuple[np.ndarray, list[Pass]]]:
    """The columns of each precision, and their passes, which may be given if there is but one."""
    choice = design.quantizer.weight
    if choice.method != "mixed":
        yield np.arange(weight.values.shape[1]), passes or _passes(design, weight)
        return
    if weight.integral:
        # they need more bits, or do not
        salient = ~design.weight_quantizer.format.holds(weight.values).all(axis=0)
    else:
        how = {"fraction": choice.fraction, "act": act.values}
        salient = salient_columns(weight.values, design.weight_quantizer, **how)
    for wide in (False, True):
        chosen = np.flatnonzero(salient == wide)
        if len(chosen):
            quantizer = design.wide_quantizer("weight") if wide else design.weight_quantizer
            some = weight.permuted(slice(None), chosen)
            yield chosen, _uniform_passes(design, quantize_operand(some, quantizer, k_axis=0))


def _passes(design: Design, weight: Operand) -> list[Pass]:
    """The weights pass by pass, as the design's quantizer has them; integers keep their values."""
    choice, group_size = design.quantizer.weight, design.tiling.group_size
    if choice.method == "bcq":
        coder = BinaryCoder(planes=choice.planes, group_size=group_size, powers=choice.powers)
        return [
            Pass(
                codes=plane.codes,
                integer=np.ones(plane.scale.shape, np.int64),
                real=plane.scale,
                zero=plane.zero_point,
            )
            for plane in _coded(coder, weight, what="weight").planes
        ]
    if choice.method == "block":
        blocks = _coded(_block_quantizer(design, "weight"), weight, k_axis=0, what="weight")
        real = blocks.scales()
        one, none = np.ones(real.shape, np.int64), np.zeros(real.shape, np.int64)
        return [Pass(codes=blocks.codes, integer=one, real=real, zero=none, overall=blocks.overall)]
    if choice.method == "progressive":
        coded = _coded(ProgressiveQuantizer(group_size=group_size), weight, what="weight")
        integer = coded.groups.scale.astype(np.int64)
        real = np.broadcast_to(coded.channel_scale, integer.shape)
        return [Pass(codes=coded.groups.codes, integer=integer, real=real, zero=coded.groups.zero_point)]
    if choice.method == "bitmod":
        special = _coded(_bitmod_quantizer(design), weight, what="weight")
        real = np.broadcast_to(special.channel_scale, special.scale.shape)
        return [Pass(codes=special.selected(), integer=special.scale, real=real, zero=np.zeros_like(special.scale))]
    return _uniform_passes(design, quantize_operand(weight, design.weight_quantizer, k_axis=0))


def _coded(quantizer: Coder, operand: Operand, **how: object) -> Any:
    """An operand as a quantizer has it, whose ``from_values`` takes integers that keep their values."""
    return (quantizer.from_values if operand.integral else quantizer.quantize)(operand.values, **how)


def _bitmod_quantizer(design: Design) -> BitMoDQuantizer:
    form = design.pe.weight
    if not isinstance(form, SelectedBitMoD):
        raise ValueError(f"Quantizer weight.method bitmod takes the format bitmod3 or bitmod4, not {form.name}")
    return BitMoDQuantizer(bits=form.code_bits, group_size=design.tiling.group_size)


def _uniform_passes(design: Design, weight: Quantized) -> list[Pass]:
    """Digits of a quantized weight, the lowest first."""
    groups = len(group_slices(len(weight.codes), design.tiling.group_size))
    shape = groups, weight.codes.shape[1]
    real, zero = np.broadcast_to(weight.scale, shape), np.broadcast_to(weight.zero_point, shape)
    return [
        Pass(
            codes=digit.codes,
            integer=np.full(shape, digit.weight),
            real=real,
            zero=digit.zero_with(zero),
        )
        for digit in _digits(weight.codes, weight.format, design.pe.weight, "weight")
    ]


def _segments(design: Design, act: Operand, group: int) -> Iterator[Segment]:
    """Groups of activations, each digit of them by itself."""
    if design.quantizer.act.method == "block":
        yield from _block_segments(design, act)
        return
    for index, block in enumerate(_blocks(design, act, group)):
        rows = (len(act.values),)
        scale, zero = np.broadcast_to(block.scale[:, 0], rows), np.broadcast_to(block.zero_point[:, 0], rows)
        for digit in _digits(block.codes, block.format, design.pe.act, "act"):
            zeros = digit.zero_with(zero)
            yield Segment(group=index, codes=digit.codes, factor=digit.weight, scale=scale, zero=zeros)


def _block_segments(design: Design, act: Operand) -> Iterator[Segment]:
    """Blocks of activations, each with its own scale in every row."""
    blocks = _coded(_block_quantizer(design, "act"), act, k_axis=1, what="act")
    scales = blocks.scales()
    for index, k in enumerate(group_slices(act.values.shape[1], blocks.size)):
        yield Segment(
            group=index,
            codes=blocks.codes[:, k],
            factor=1,
            scale=scales[:, index],
            zero=np.zeros(len(act.values), np.int64),
            overall=blocks.overall,
        )


def _block_quantizer(design: Design, side: str) -> BlockQuantizer:
    name = getattr(design.quantizer, side).block
    quantizer, form = BLOCKS[name], getattr(design.pe, side)
    if quantizer.element != form:
        raise ValueError(
            f"Quantizer {side}.block {name} must have elements of {form.name}, not {quantizer.element.name}"
        )
    if quantizer.size != design.tiling.group_size:
        raise ValueError(
            f"Tiling group_size must be {quantizer.size}, as {name} has it, not {design.tiling.group_size}"
        )
    return quantizer


def _blocks(design: Design, act: Operand, group: int) -> list[Quantized]:
    """Quantized activations, group by group along K."""
    choice, quantizer = design.quantizer.act, design.act_quantizer
    blocks = group_slices(act.values.shape[1], group)
    if choice.granularity != "group":
        whole = quantize_operand(act, quantizer, k_axis=1)
        return [_cut(whole, block) for block in blocks]
    wide = np.zeros(len(blocks), bool)
    if choice.method == "mixed":
        held = quantizer.format.holds(act.values).all(axis=0) if act.integral else None
        wide = blocks_with(outlier_channels(act.values, ratio=choice.ratio) if held is None else ~held, block=group)
    quantizers = [design.wide_quantizer("act") if is_wide else quantizer for is_wide in wide]
    pieces = [act.permuted(slice(None), block) for block in blocks]
    return [quantize_operand(piece, one, k_axis=1) for piece, one in zip(pieces, quantizers, strict=True)]


def _cut(act: Quantized, block: slice) -> Quantized:
    """Some of K of activations with one scale a row."""
    return Quantized(
        codes=act.codes[:, block],
        scale=act.scale,
        zero_point=act.zero_point,
        format=act.format,
        k_axis=1,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Digit:
    """A digit as the processing element takes it: it adds ``weight * (value - offset)``; ``first`` is the lowest."""

    codes: np.ndarray
    weight: int
    offset: int
    first: bool

    def zero_with(self, zero: np.ndarray) -> np.ndarray:
        """Zero points of the digit, where ``zero`` are those of the whole: the lowest digit weighs 1, or -1."""
        return (zero * self.weight if self.first else np.zeros_like(zero)) + self.offset


def _digits(codes: np.ndarray, given: Format, taken: Format, side: str) -> list[_Digit]:
    """Operands of a format as digits of the one that the processing element takes, the lowest first."""
    if given == taken:
        return [_Digit(codes=codes, weight=1, offset=0, first=True)]
    if taken.bits == 1:
        weights = plane_weights(given)
        return [
            _Digit(codes=plane, weight=weights[i], offset=0, first=i == 0)
            for i, plane in enumerate(planes(codes, given.bits))
        ]
    digits = split(codes, given, digit_bits=taken.bits)
    if digits[0].format != taken:
        raise ValueError(f"Digits of {side} {given.name} are {digits[0].format.name}, not {taken.name}")
    return [
        _Digit(codes=digit.codes, weight=digit.weight, offset=digit.zero_point, first=i == 0)
        for i, digit in enumerate(digits)
    ]
