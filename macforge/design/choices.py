"""What a design leaves to choose besides its formats: quantizers, accumulators, the steps of the drain edge."""

from collections.abc import Sequence
from dataclasses import dataclass, field, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from sw_ref.arith.accumulate import MAX_BITS, Accumulator, Overflow
from sw_ref.arith.float_sum import AlignedSum, FloatSum, PartialSum, RoundedSum
from sw_ref.drain.edge import Drain
from sw_ref.drain.names import float_format
from sw_ref.drain.step import Step
from sw_ref.drain.steps import STEPS
from sw_ref.fields import FieldError, Length, OneOf, Only, Range, check_fields, one_of, only_with
from sw_ref.formats.minifloat import FLOATS, Float
from sw_ref.quantize.block import BLOCKS
from sw_ref.quantize.uniform import Granularity, Scheme

__all__ = ["AccumulatorChoice", "DrainChoice", "QuantizerChoice", "QuantizerChoices"]

# Quantizers that scale what they round.
_SCALED = only_with(method=("uniform", "mixed", "dequantized"))


def _never(_owner: object) -> bool:
    return False


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
        Of sums that are floats, of results with ``partial``: a float with infinities, such as ``fp32``,
        ``bf16``, ``fp16`` or ``e8m13_ieee``.
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
    shape: Annotated[str, only_with(kind=("rounded", "aligned", "partial"))] = "fp32"
    fraction: Annotated[int, Range(0, 32), only_with(kind="aligned")] = 25
    places: Annotated[Sequence[int], Length(0, 2), Range(1, 8), only_with(kind="partial")] = ()
    significand: Annotated[int, Range(2, 48), only_with(kind="partial")] = 16

    def __post_init__(self) -> None:
        check_fields(self, "Accumulator")
        if self.kind != "exact":
            self.float_sum()

    def float_sum(self) -> FloatSum:
        """What is kept where it is floats."""
        shape = float_format("Accumulator shape", self.shape)
        if shape is None:
            raise ValueError("Accumulator shape must be a float such as fp32 or e8m13_ieee, not 'none'")
        if self.kind == "rounded":
            return RoundedSum(shape)
        if self.kind == "aligned":
            return AlignedSum(self.fraction, shape)
        return PartialSum(tuple(self.places) or None, self.significand, shape)


@dataclass(frozen=True, kw_only=True)
class QuantizerChoice:
    """How real numbers become codes; groups are those of the tiling.

    Parameters
    ----------
    method : {"uniform", "mixed", "block", "bcq", "progressive", "bitmod", "affine", "dequantized"}
        ``uniform``: `sw_ref.quantize.uniform.Quantizer`. ``mixed``: the same, and ``wide`` for what is salient: of
        weights, columns; of activations, groups of K (`sw_ref.quantize.salience`). ``block``: `sw_ref.quantize.block`.
        Of weights only, ``bcq``: `sw_ref.quantize.bcq`; ``progressive``: `sw_ref.quantize.progressive`; ``bitmod``:
        `sw_ref.quantize.bitmod`; ``affine``: `sw_ref.quantize.affine`; ``dequantized``: quantized as ``uniform`` says
        to ``format``, and then each element brought to the processing element's float format.
    format : str
        What is quantized to, if it is not the processing element's format: it then comes in digits of that.
    scheme : {"auto", "symmetric", "asymmetric", "absmean", "cast"}
        ``auto``: symmetric if the format holds values of both signs, else asymmetric.
    granularity : {"tensor", "channel", "group"}
    clip_search : int
        Clipping ratios that are tried, with ``uniform`` and ``mixed`` as are the three before.
    power_of_two : bool
        Whether scales are powers of two.
    wide : str
        Format of what is salient, with ``mixed``.
    axis : {"column", "group"}
        Of weights, what is salient, with ``mixed``: columns, or groups of K.
    fraction : float
        Of weights, how many columns are salient, with ``mixed``.
    ratio : float
        Of activations, how far above the median a channel's largest must be to be salient, with ``mixed``.
    block : str
        A key of `sw_ref.quantize.block.BLOCKS`, with ``block``.
    planes, powers : int
        Planes, and terms of a scale (0: a float), with ``bcq``.
    """

    method: Literal["uniform", "mixed", "block", "bcq", "progressive", "bitmod", "affine", "dequantized"] = "uniform"
    format: Annotated[str, _SCALED] = ""
    scheme: Annotated[Literal["auto", Scheme], _SCALED] = "auto"
    granularity: Annotated[Granularity, _SCALED] = "channel"
    clip_search: Annotated[int, Range(0, 1000), _SCALED] = 0
    power_of_two: Annotated[bool, _SCALED] = False
    wide: Annotated[str, only_with(method="mixed")] = "int8"
    axis: Literal["column", "group"] = "column"
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
        Only(_never, ", as only weights have a use for it", ("axis", "fraction", "planes", "powers")),
        Only(lambda both: both.act.method == "mixed", " unless {}act.method is mixed", ("ratio",)),
    ] = field(default_factory=QuantizerChoice)
    weight: Annotated[
        QuantizerChoice,
        Only(_never, ", as only activations have a use for it", ("ratio",)),
        _weight_has("mixed", "axis", "fraction"),
        _weight_has("bcq", "planes", "powers"),
    ] = field(default_factory=QuantizerChoice)

    def __post_init__(self) -> None:
        check_fields(self, "Quantizer")
        one_of("Quantizer act.method", self.act.method, ("uniform", "mixed", "block"))
        if self.act.method == "mixed" and self.act.granularity != "group":
            raise FieldError("Quantizer", "act.granularity", "group with method mixed", self.act.granularity)


class _DrainChoice:
    """What a `DrainChoice` is besides its keys."""

    accumulator: AccumulatorChoice
    arithmetic: str

    def __post_init__(self) -> None:
        check_fields(self, "Drain")
        clamp = getattr(self, "clamp", ())
        if len(clamp) == 1:
            raise FieldError("Drain", "clamp", "two numbers, or empty", clamp)

    @property
    def has_steps(self) -> bool:
        """Whether there is a drain edge."""
        return self != DrainChoice()

    @property
    def adds_floats(self) -> bool:
        """Whether sums are floats once they are scaled, whatever they were before."""
        return any(step.wants_floats for step in self.steps if step.stage == "term")

    @property
    def has_floats(self) -> bool:
        """Whether results are floats, even if sums are integers."""
        return any(step.wants_floats for step in self.steps)

    @property
    def adds_bias(self) -> bool:
        """Whether a step adds a layer's bias."""
        return any(step.adds_bias for step in self.steps)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that the keys ask for, in their order."""
        found = []
        for kind in STEPS:
            step = kind.of({key.name: key.read(f"Drain {key.name}", getattr(self, key.name)) for key in kind.keys})
            if step is not None:
                found.append(step)
        return tuple(found)

    def build(self, accumulator: Accumulator, sums: Float | None = None) -> Drain:
        """The drain edge with this accumulator, for integers or for ``sums`` that are floats."""
        return Drain(steps=self.steps, accumulator=accumulator, sums=sums, arithmetic=FLOATS[self.arithmetic])


def _keys_of_steps() -> list[tuple[str, object, object]]:
    return [(key.name, key.hint, field(default=key.default)) for step in STEPS for key in step.keys]


if TYPE_CHECKING:

    class DrainChoice(_DrainChoice):
        """A checker knows the steps' keys as arguments and attributes of any name."""

        def __init__(self, *, accumulator: AccumulatorChoice = ..., arithmetic: str = ..., **keys: object) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

else:
    DrainChoice = make_dataclass(
        "DrainChoice",
        [
            *_keys_of_steps(),
            (
                "accumulator",
                Annotated[AccumulatorChoice, Only(_never, ", as floats are those of {}arithmetic", ("kind",))],
                field(default_factory=AccumulatorChoice),
            ),
            ("arithmetic", Literal["fp32", "bf16", "fp16"], field(default="fp32")),
        ],
        bases=(_DrainChoice,),
        frozen=True,
        kw_only=True,
        namespace={"__module__": __name__},
    )
    """The steps of the drain edge by the keys of each, see `sw_ref.drain.steps`; without any, sums are the results.

    Further keys: ``accumulator``, an `AccumulatorChoice` of integers whose ``bits`` are 0 for what exact sums take; and
    ``arithmetic``, the floats: ``fp32``, ``bf16`` or ``fp16``.
    """
