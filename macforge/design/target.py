"""What compiling for a design, and running it in its model, has to know of it: plain data, and no circuit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from macforge.design.choices import QuantizerChoices
from macforge.design.plain import build
from sw_ref.accelerator.bus import Bus
from sw_ref.accelerator.layout import Layout, fits_bus
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum
from sw_ref.drain.edge import Drain
from sw_ref.engine.plain import spec_of, to_plain
from sw_ref.engine.spec import EngineSpec
from sw_ref.formats.base import Format
from sw_ref.formats.catalog import parse_format
from sw_ref.quantize.uniform import Quantizer

__all__ = ["Side", "Target", "plain_target", "quantizer_of", "target_of"]

Side = Literal["act", "weight"]


def quantizer_of(choices: QuantizerChoices, side: Side, taken: Format, group_size: int, form: str = "") -> Quantizer:
    """The quantizer of an operand.

    Parameters
    ----------
    choices : QuantizerChoices
    side : {"act", "weight"}
    taken : Format
        What the processing element takes, which is quantized to unless the choice names a format.
    group_size : int
        Of the tiling.
    form : str
        A format in place of both.

    Raises
    ------
    ValueError
        If the choice does not fit the format or the tiling.
    """
    choice = getattr(choices, side)
    if choice.granularity == "group" and not group_size:
        raise ValueError(f"Quantizer {side}.granularity group takes a tiling.group_size above 0, not 0")
    name = form or choice.format
    fmt, scheme = parse_format(name) if name else taken, choice.scheme
    if scheme == "auto":
        lo, hi = fmt.bounds
        scheme = "symmetric" if lo < 0 < hi else "asymmetric"
    groups = group_size if choice.granularity == "group" else 0
    return Quantizer(
        fmt, scheme, choice.granularity, groups, clip_search=choice.clip_search, power_of_two=choice.power_of_two
    )


@dataclass(frozen=True, kw_only=True)
class Target:
    """A design as compilers and executors see it.

    Parameters
    ----------
    name : str
    table : mapping
        The design as `macforge.design.design.Design.to_table` gives it, of which its circuit can be made again.
    engine : EngineSpec
    act, weight : Format
        What the processing element takes.
    quantizer : QuantizerChoices
    """

    name: str
    table: Mapping[str, Any]
    engine: EngineSpec
    act: Format
    weight: Format
    quantizer: QuantizerChoices

    @property
    def layout(self) -> Layout | None:
        """What an accelerator of the design reads and writes; None if its results do not fit the bus."""
        bus = build(Bus, self.table["bus"], "bus.")
        if not fits_bus(self.engine, bus):
            return None
        return Layout(engine=self.engine, bus=bus, weight_cache=self.table["tiling"]["weight_cache"])

    @property
    def group_size(self) -> int:
        """Products along K that make one sum; 0 for all of K."""
        return self.engine.group_size // (self.engine.lanes // self.engine.modes[0].lanes)

    @property
    def sums(self) -> Accumulator | FloatSum:
        """What a cell keeps."""
        return self.engine.sums

    @property
    def edge(self) -> Drain | None:
        """The drain edge, if there is one."""
        return self.engine.drain

    @property
    def drain(self) -> Drain:
        """The drain edge, of a design that has one."""
        assert self.edge is not None
        return self.edge

    @property
    def act_quantizer(self) -> Quantizer:
        """What turns real activations into codes."""
        return self._quantizer("act")

    @property
    def weight_quantizer(self) -> Quantizer:
        """What turns real weights into codes."""
        return self._quantizer("weight")

    def wide_quantizer(self, side: Side) -> Quantizer:
        """What turns the salient part of an operand into codes."""
        return self._quantizer(side, getattr(self.quantizer, side).wide)

    def _quantizer(self, side: Side, form: str = "") -> Quantizer:
        return quantizer_of(self.quantizer, side, getattr(self, side), self.group_size, form)


def plain_target(target: Target) -> dict[str, object]:
    """Plain data for JSON, of which `target_of` makes an equal target."""
    return {
        "name": target.name,
        "table": target.table,
        "engine": to_plain(target.engine),
        "act": target.act.name,
        "weight": target.weight.name,
    }


def target_of(plain: Mapping[str, Any]) -> Target:
    """The target that `plain_target` made this of.

    Raises
    ------
    ValueError
        If it is none.
    """
    return Target(
        name=plain["name"],
        table=plain["table"],
        engine=spec_of(plain["engine"]),
        act=parse_format(plain["act"]),
        weight=parse_format(plain["weight"]),
        quantizer=build(QuantizerChoices, plain["table"]["quantizer"], "quantizer."),
    )
