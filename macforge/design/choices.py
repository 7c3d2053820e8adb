"""What a design leaves to choose besides its formats: quantizers, accumulators, the steps of the drain edge."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Literal

from sw_ref.arith.accumulate import MAX_BITS, Accumulator, Overflow
from sw_ref.arith.float_sum import AlignedSum, FloatSum, PartialSum, RoundedSum
from sw_ref.drain.edge import ActScale, Drain
from sw_ref.fields import FieldError, Length, OneOf, Only, Range, check_fields, one_of, only_with, shown
from sw_ref.formats.base import Format, Int
from sw_ref.formats.binary_float import BF16, FP16, FP32, FloatShape
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.signs import PowerOfTwo
from sw_ref.quantize.block import BLOCKS
from sw_ref.quantize.uniform import Granularity, Scheme

__all__ = ["AccumulatorChoice", "DrainChoice", "QuantizerChoice", "QuantizerChoices"]

_FLOATS = {"float32": FP32, "bfloat16": BF16, "float16": FP16}
_FLOATING = "float32, bfloat16, float16, a float such as e5m3 or e8m0"


# Quantizers that scale what they round.
_SCALED = only_with(method=("uniform", "mixed"))


def _never(_owner: object) -> bool:
    return False


def _factor(name: str) -> FloatShape | None:
    """The float of this name, if it is one."""
    fields = re.fullmatch(r"e([2-8])m(\d{1,2})", name)
    return FloatShape(int(fields[1]), int(fields[2])) if fields else _FLOATS.get(name)


@dataclass(frozen=True, kw_only=True)
class AccumulatorChoice:
    """How sums are kept.

    Parameters
    ----------
    kind : {"exact", "rounded", "aligned", "partial"}
        ``exact``: integers, `sw_ref.arith.accumulate.Accumulator`. Floats, see `sw_ref.arith.float_sum`: ``rounded``
        after each product; ``aligned`` and truncated step by step; ``partial``: normalized in part.
    bits : int
        Width; 0 for what exact sums over a group of ``tiling.max_k`` products at most take.
    overflow : {"refuse", "wrap", "saturate"}
        ``refuse``: a width that could overflow is an error.
    shape : str
        Of sums that are floats, of results with ``partial``: ``float32``, ``bfloat16``, ``float16`` or such as
        ``e8m13``.
    fraction : int
        With ``aligned``, bits after the point that are kept of each term.
    places : list of int
        With ``partial``, how far sums are shifted; empty for as far as they can be: exact normalization.
    significand : int
        With ``partial``, bits of a sum's.
    """

    kind: Literal["exact", "rounded", "aligned", "partial"] = "exact"
    bits: Annotated[int, Range(0, MAX_BITS, " (0: as many as it takes)"), only_with(kind="exact")] = 0
    overflow: Annotated[Overflow, only_with(kind="exact")] = "refuse"
    shape: Annotated[str, only_with(kind=("rounded", "aligned", "partial"))] = "float32"
    fraction: Annotated[int, Range(0, 32), only_with(kind="aligned")] = 25
    places: Annotated[Sequence[int], Length(0, 2), Range(1, 8), only_with(kind="partial")] = ()
    significand: Annotated[int, Range(2, 48), only_with(kind="partial")] = 16

    def __post_init__(self) -> None:
        check_fields(self, "Accumulator")
        if self.kind != "exact":
            self.float_sum()

    def float_sum(self) -> FloatSum:
        """What is kept where it is floats."""
        shape = _factor(self.shape)
        if not shape:
            raise ValueError(f"Accumulator shape must be {_FLOATING}, not {shown(self.shape)}")
        if self.kind == "rounded":
            return RoundedSum(shape)
        if self.kind == "aligned":
            return AlignedSum(self.fraction, shape)
        return PartialSum(self.places or None, self.significand, shape)


@dataclass(frozen=True, kw_only=True)
class QuantizerChoice:
    """How real numbers become codes; groups are those of the tiling.

    Parameters
    ----------
    method : {"uniform", "mixed", "block", "bcq", "progressive", "bitmod"}
        ``uniform``: `sw_ref.quantize.uniform.Quantizer`. ``mixed``: the same, and ``wide`` for what is salient: of
        weights, columns; of activations, groups of K (`sw_ref.quantize.salience`). ``block``: `sw_ref.quantize.block`.
        Of weights only, ``bcq``: `sw_ref.quantize.bcq`; ``progressive``: `sw_ref.quantize.progressive`; ``bitmod``:
        `sw_ref.formats.bitmod`.
    format : str
        What is quantized to, if it is not the processing element's format: it then comes in digits of that.
    scheme : {"auto", "symmetric", "asymmetric", "absmean", "cast"}
        ``auto``: symmetric if the format holds values of both signs, else asymmetric.
    granularity : {"tensor", "channel", "group"}
    clip_search : int
        Clipping ratios that are tried, with ``uniform`` and ``mixed`` as are the three before.
    wide : str
        Format of what is salient, with ``mixed``.
    fraction : float
        Of weights, how many columns are salient, with ``mixed``.
    ratio : float
        Of activations, how far above the median a channel's largest must be to be salient, with ``mixed``.
    block : str
        A key of `sw_ref.quantize.block.BLOCKS`, with ``block``.
    planes, powers : int
        Planes, and terms of a scale (0: a float), with ``bcq``.
    """

    method: Literal["uniform", "mixed", "block", "bcq", "progressive", "bitmod"] = "uniform"
    format: Annotated[str, _SCALED] = ""
    scheme: Annotated[Literal["auto", Scheme], _SCALED] = "auto"
    granularity: Annotated[Granularity, _SCALED] = "channel"
    clip_search: Annotated[int, Range(0, 1000), _SCALED] = 0
    wide: Annotated[str, only_with(method="mixed")] = "int8"
    fraction: Annotated[float, Range(0, 1)] = 0.1
    ratio: Annotated[float, Range(0, 1e6)] = 4.0
    block: Annotated[str, OneOf(("", *BLOCKS)), only_with(method="block")] = ""
    planes: Annotated[int, Range(1, 8)] = 1
    powers: Annotated[int, Range(0, 8)] = 0

    def __post_init__(self) -> None:
        check_fields(self, "Quantizer")
        if self.method == "block" and not self.block:
            raise FieldError("Quantizer", "block", f"one of {', '.join(BLOCKS)} with method block", self.block)


def _weight_has(method: str, *fields: str) -> Only:
    return Only(lambda both: both.weight.method == method, f" unless {{}}weight.method is {method}", fields)


@dataclass(frozen=True, kw_only=True)
class QuantizerChoices:
    """The quantizers of both operands."""

    act: Annotated[
        QuantizerChoice,
        Only(_never, ", as only weights have a use for it", ("fraction", "planes", "powers")),
        Only(lambda both: both.act.method == "mixed", " unless {}act.method is mixed", ("ratio",)),
    ] = field(default_factory=QuantizerChoice)
    weight: Annotated[
        QuantizerChoice,
        Only(_never, ", as only activations have a use for it", ("ratio",)),
        _weight_has("mixed", "fraction"),
        _weight_has("bcq", "planes", "powers"),
    ] = field(default_factory=QuantizerChoice)

    def __post_init__(self) -> None:
        check_fields(self, "Quantizer")
        one_of("Quantizer act.method", self.act.method, ("uniform", "mixed", "block"))
        if self.act.method == "mixed" and self.act.granularity != "group":
            raise FieldError("Quantizer", "act.granularity", "group with method mixed", self.act.granularity)


@dataclass(frozen=True, kw_only=True)
class DrainChoice:
    """The steps of the drain edge, see `sw_ref.drain.edge.Drain`; without any, there is none, and sums are the results.

    Parameters
    ----------
    weight_zero, act_zero, requantize : str
        An integer format, or ``none``.
    scale : str
        ``float32``, ``bfloat16``, ``float16`` or a float of so many exponent and fraction bits, such as ``e5m3``, an
        integer format, a power of two such as ``pot5``, or ``none``.
    act_scale_format : str
        A float, as for ``scale``; empty for that of ``arithmetic``.
    accumulator : AccumulatorChoice
        Of integers; ``bits`` 0 for what exact sums take.
    arithmetic : {"float32", "bfloat16", "float16"}
    scale_terms, act_scale, channel_scale, bias, multiplier_bits, clamp, relu
        As `sw_ref.drain.edge.Drain` has them; an empty ``clamp`` is none.
    """

    weight_zero: str = "none"
    act_zero: str = "none"
    scale: str = "none"
    scale_terms: Annotated[int, Range(1, 8)] = 1
    act_scale: ActScale = "none"
    act_scale_format: Annotated[str, only_with(act_scale=("row", "group"))] = ""
    channel_scale: bool = False
    bias: bool = False
    requantize: str = "none"
    multiplier_bits: Annotated[
        int, Range(2, 31), Only(lambda drain: drain.requantize != "none", " unless {}requantize is a format")
    ] = 31
    clamp: Annotated[Sequence[float], Length(0, 2), Range(-1e38, 1e38)] = ()
    relu: bool = False
    accumulator: Annotated[AccumulatorChoice, Only(_never, ", as floats are those of {}arithmetic", ("kind",))] = field(
        default_factory=AccumulatorChoice
    )
    arithmetic: Literal["float32", "bfloat16", "float16"] = "float32"

    def __post_init__(self) -> None:
        check_fields(self, "Drain")
        if len(self.clamp) == 1:
            raise FieldError("Drain", "clamp", "two numbers, or empty", self.clamp)

    @property
    def has_steps(self) -> bool:
        """Whether there is a drain edge."""
        return self != DrainChoice()

    @property
    def adds_floats(self) -> bool:
        """Whether sums are floats once they are scaled, whatever they were before."""
        return self.act_scale == "group" or _factor(self.scale) is not None

    @property
    def has_floats(self) -> bool:
        """Whether results are floats, even if sums are integers."""
        return self.adds_floats or self.act_scale == "row" or self.channel_scale

    def build(self, accumulator: Accumulator, sums: FloatShape | None = None) -> Drain:
        """The drain edge with this accumulator, for integers or for ``sums`` that are floats."""
        return Drain(
            weight_zero=self._format("weight_zero", Int),
            act_zero=self._format("act_zero", Int),
            scale=_factor(self.scale) or self._format("scale", Int | PowerOfTwo),
            scale_terms=self.scale_terms,
            act_scale=self.act_scale,
            act_scale_format=self._act_scale_format(),
            channel_scale=self.channel_scale,
            bias=self.bias,
            requantize=self._format("requantize", Int),
            multiplier_bits=self.multiplier_bits,
            clamp=self.clamp or None,
            relu=self.relu,
            accumulator=accumulator,
            sums=sums,
            arithmetic=_FLOATS[self.arithmetic],
        )

    def _act_scale_format(self) -> FloatShape | None:
        form = _factor(self.act_scale_format)
        if self.act_scale_format and not form:
            raise ValueError(
                f"Drain act_scale_format must be {_FLOATING}, or empty, not {shown(self.act_scale_format)}"
            )
        return form

    def _format(self, key: str, kinds: type | UnionType) -> Format | None:
        given = getattr(self, key)
        if given == "none":
            return None
        try:
            form = parse_format(given)
        except ValueError:
            form = None
        if not isinstance(form, kinds):
            more = f"{_FLOATING}, a power of two such as pot5, " if key == "scale" else ""
            raise ValueError(f"Drain {key} must be {more}an integer format such as int8, or none, not {shown(given)}")
        return form
