"""What a design leaves to choose besides its formats: quantizers, accumulators, the steps of the drain edge."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import UnionType

from macforge.plain import one_of
from sw_ref.accumulate import MAX_BITS, OVERFLOWS, Accumulator, Overflow
from sw_ref.binary_float import BF16, FP16, FP32, FloatShape
from sw_ref.block import BLOCKS
from sw_ref.catalog import parse_format
from sw_ref.drain import Drain
from sw_ref.float_sum import AlignedSum, FloatSum, PartialSum, RoundedSum
from sw_ref.formats import Format, Int
from sw_ref.signs import PowerOfTwo

__all__ = ["AccumulatorChoice", "DrainChoice", "QuantizerChoice", "QuantizerChoices"]

_FLOATS = {"float32": FP32, "bfloat16": BF16, "float16": FP16}
_FLOATING = "float32, bfloat16, float16, a float such as e5m3 or e8m0"


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
        ``exact``: integers, `sw_ref.accumulate.Accumulator`. Floats, see `sw_ref.float_sum`: ``rounded`` after each
        product; ``aligned`` and truncated step by step; ``partial``: normalized in part.
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

    kind: str = "exact"
    bits: int = 0
    overflow: Overflow = "refuse"
    shape: str = "float32"
    fraction: int = 25
    places: Sequence[int] = ()
    significand: int = 16

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", tuple(self.places))
        one_of("Accumulator kind", self.kind, ("exact", "rounded", "aligned", "partial"))
        if self.kind != "exact":
            self.float_sum()
        if isinstance(self.bits, bool) or not isinstance(self.bits, int) or not 0 <= self.bits <= MAX_BITS:
            raise ValueError(f"Accumulator bits must be from 1 to {MAX_BITS}, or 0 to derive them, not {self.bits!r}")
        if self.overflow not in OVERFLOWS:
            raise ValueError(f"Accumulator overflow must be one of {', '.join(OVERFLOWS)}, not {self.overflow!r}")

    def float_sum(self) -> FloatSum:
        """What is kept where it is floats."""
        shape = _factor(self.shape)
        if not shape:
            raise ValueError(f"Accumulator shape must be {_FLOATING}, not {self.shape!r}")
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
        ``uniform``: `sw_ref.quantize.Quantizer`. ``mixed``: the same, and ``wide`` for what is salient: of weights,
        columns; of activations, groups of K (`sw_ref.salience`). ``block``: `sw_ref.block`. Of weights only, ``bcq``:
        `sw_ref.bcq`; ``progressive``: `sw_ref.progressive`; ``bitmod``: `sw_ref.special`.
    format : str
        What is quantized to, if it is not the processing element's format: it then comes in digits of that.
    scheme : {"auto", "symmetric", "asymmetric", "absmean", "cast"}
        ``auto``: symmetric if the format holds values of both signs, else asymmetric.
    granularity : {"tensor", "channel", "group"}
    clip_search : int
        Clipping ratios that are tried.
    wide : str
        Format of what is salient, with ``mixed``.
    fraction : float
        Of weights, how many columns are salient, with ``mixed``.
    ratio : float
        Of activations, how far above the median a channel's largest must be to be salient, with ``mixed``.
    block : str
        A key of `sw_ref.block.BLOCKS`, with ``block``.
    planes, powers : int
        Planes, and terms of a scale (0: a float), with ``bcq``.
    """

    method: str = "uniform"
    format: str = ""
    scheme: str = "auto"
    granularity: str = "channel"
    clip_search: int = 0
    wide: str = "int8"
    fraction: float = 0.1
    ratio: float = 4.0
    block: str = ""
    planes: int = 1
    powers: int = 0

    def __post_init__(self) -> None:
        one_of("Quantizer method", self.method, ("uniform", "mixed", "block", "bcq", "progressive", "bitmod"))
        if self.method == "block":
            one_of("Quantizer block", self.block, BLOCKS)


@dataclass(frozen=True, kw_only=True)
class QuantizerChoices:
    """The quantizers of both operands."""

    act: QuantizerChoice = field(default_factory=QuantizerChoice)
    weight: QuantizerChoice = field(default_factory=QuantizerChoice)

    def __post_init__(self) -> None:
        one_of("Quantizer act.method", self.act.method, ("uniform", "mixed", "block"))


@dataclass(frozen=True, kw_only=True)
class DrainChoice:
    """The steps of the drain edge, see `sw_ref.drain.Drain`; without any, there is none, and sums are the results.

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
        As `sw_ref.drain.Drain` has them; an empty ``clamp`` is none.
    """

    weight_zero: str = "none"
    act_zero: str = "none"
    scale: str = "none"
    scale_terms: int = 1
    act_scale: str = "none"
    act_scale_format: str = ""
    channel_scale: bool = False
    bias: bool = False
    requantize: str = "none"
    multiplier_bits: int = 31
    clamp: Sequence[float] = ()
    relu: bool = False
    accumulator: AccumulatorChoice = field(default_factory=AccumulatorChoice)
    arithmetic: str = "float32"

    def __post_init__(self) -> None:
        object.__setattr__(self, "clamp", tuple(self.clamp))

    def build(self, accumulator: Accumulator, sums: FloatShape | None = None) -> Drain:
        """The drain edge with this accumulator, for integers or for ``sums`` that are floats."""
        one_of("Drain arithmetic", self.arithmetic, _FLOATS)
        if len(self.clamp) not in (0, 2):
            raise ValueError(f"Drain clamp must be two numbers, or empty, not {self.clamp!r}")
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
            raise ValueError(f"Drain act_scale_format must be {_FLOATING}, or empty, not {self.act_scale_format!r}")
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
            raise ValueError(f"Drain {key} must be {more}an integer format such as int8, or none, not {given!r}")
        return form
