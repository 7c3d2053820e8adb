"""A design: everything that decides what is generated, as one small value; TOML in, TOML out."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from dataflow import ENGINES
from dataflow.array.shape import Shape
from dataflow.engine.tiling import Tiling
from macforge.design.choices import AccumulatorChoice, DrainChoice, QuantizerChoices
from macforge.design.named import DEFAULTS, design_table
from macforge.design.plain import build, set_key
from macforge.design.target import Side, Target, quantizer_of
from pe import FAMILIES
from sw_ref.accelerator.bus import Bus
from sw_ref.arith.accumulate import MAX_BITS, Accumulator, bits_for, capacity
from sw_ref.arith.float_sum import FloatSum
from sw_ref.drain.edge import Drain
from sw_ref.fields import FieldError, OneOf, Only, Range, check_fields, one_of, shown
from sw_ref.formats.base import Format
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import Float
from sw_ref.quantize.uniform import Quantizer

if TYPE_CHECKING:
    from dataflow.accelerator.accelerator import Accelerator
    from dataflow.engine.base import Engine
    from pe.base import PE

__all__ = ["Design", "design_of", "load_design"]

# Longest name: files are called by it, with something behind it.
_NAME_LENGTH = 100


def _has_steps(design: "Design") -> bool:
    return design.drain.has_steps


def _adds_integers(design: "Design") -> bool:
    return design.accumulator.kind == "exact" and not design.drain.adds_floats


def _has_floats(design: "Design") -> bool:
    return design.accumulator.kind != "exact" or design.drain.has_floats


@dataclass(frozen=True, kw_only=True)
class Design:
    """What macforge generates, simulates and measures.

    A design is checked as a whole when it is made, so that every part of it can be built. Its fields are those of its
    TOML file.

    Parameters
    ----------
    name : str
        Name of the files that come of it, of at most 100 characters. That of a design in a file is the file's.
    family : str
        A key of `pe.FAMILIES`.
    act, weight : str
        Formats, see `sw_ref.formats.catalog.parse_format`.
    array : Shape
        Cells and tiles.
    lanes : int
        Products that a cell forms in a step.
    dataflow : str
        A key of `dataflow.ENGINES`.
    options : mapping
        The family's own parameters.
    accumulator : AccumulatorChoice
    tiling : Tiling
    quantizer : QuantizerChoices
    drain : DrainChoice
    bus : Bus
        Of the accelerator.
    headline : bool
        Whether the report shows it unless told otherwise.
    report_tokens : int
        Rows of the layer that the report computes; 0 for all.
    summary, source : str
        What it is, and where it comes from.

    Raises
    ------
    ValueError
        If the parts do not fit; says what was given and what would be accepted.
    """

    name: str
    family: Annotated[str, OneOf(FAMILIES)]
    act: str
    weight: str
    array: Shape
    lanes: Annotated[int, Range(1, 64)] = DEFAULTS["lanes"]
    dataflow: Annotated[str, OneOf(ENGINES)] = DEFAULTS["dataflow"]
    options: Mapping[str, object] = field(default_factory=dict)
    accumulator: AccumulatorChoice = field(default_factory=AccumulatorChoice)
    tiling: Annotated[Tiling, Only(_has_steps, " unless the drain edge has a step", ("drain_lanes",))] = field(
        default_factory=Tiling
    )
    quantizer: Annotated[
        QuantizerChoices,
        Only(_has_steps, " unless the drain edge has a step", ("act.method", "act.format", "weight.method")),
    ] = field(default_factory=QuantizerChoices)
    drain: Annotated[
        DrainChoice,
        Only(_adds_integers, " where sums or scaled sums are floats", ("accumulator.bits", "accumulator.overflow")),
        Only(_has_floats, " unless scales or sums are floats", ("arithmetic",)),
    ] = field(default_factory=DrainChoice)
    bus: Bus = field(default_factory=Bus)
    headline: bool = False
    report_tokens: Annotated[int, Range(0, 65535)] = 0
    summary: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        check_fields(self, "Design key")
        if not self.name.isprintable() or set("/\\") & set(self.name) or not 1 <= len(self.name) <= _NAME_LENGTH:
            raise ValueError(
                f"Design name must be 1 to {_NAME_LENGTH} printable characters without / and \\, not {shown(self.name)}"
            )
        known = FAMILIES[self.family].options()
        for option in self.options:
            one_of(f"Option of family {self.family}", option, known)
        # making the parts checks them
        for part in ("engine", "act_quantizer", "weight_quantizer"):
            getattr(self, part)
        for side in ("act", "weight"):
            if getattr(self.quantizer, side).method == "mixed":
                self.wide_quantizer(side)
        if self.edge:
            _check_zeros(self.edge, scale=self.pe.weight, act_scale=self.pe.act)

    @cached_property
    def pe(self) -> "PE":
        """The processing element."""
        act, weight = parse_format(self.act), parse_format(self.weight)
        return FAMILIES[self.family](act=act, weight=weight, lanes=self.lanes, **self.options)

    @property
    def depth(self) -> int:
        """Products of the longest sum: a group of K, or all of it."""
        return self.tiling.max_group

    @cached_property
    def sums(self) -> Accumulator | FloatSum:
        """The accumulator, with its width derived and its claim checked."""
        if self.accumulator.kind != "exact":
            return self.accumulator.float_sum()
        steps = -(-self.depth // self.lanes)
        needed = bits_for(self.pe.term, steps)
        bits = self.accumulator.bits or needed
        if self.accumulator.overflow == "refuse" and bits < needed:
            most = capacity(bits, self.pe.term)
            assert most is not None, "sums that need bits have terms other than 0"
            room = most * self.lanes
            raise ValueError(
                f"Accumulator must have at least {needed} bits for sums of {self.depth} products of {self.act} and "
                f"{self.weight}, not {bits}, which are sure to hold {room}; or its overflow must be wrap or saturate"
            )
        return Accumulator(bits, self.accumulator.overflow)

    @cached_property
    def edge(self) -> Drain | None:
        """The drain edge, its accumulator wide enough and its claim checked; None without steps."""
        if self.drain == DrainChoice():
            return None
        given = self.drain.accumulator
        sums = self.sums.shape if isinstance(self.sums, FloatSum) else None
        scaled = self.drain.build(Accumulator(32), sums)
        if scaled.accumulates_floats:
            return scaled
        count = self.tiling.max_passes * -(-self.tiling.max_k // self.tiling.max_group)
        edge = self._engine(scaled).edge
        assert edge is not None
        needed = bits_for(edge.term.integers | 0, count)
        bits = given.bits or needed
        if given.overflow == "refuse" and bits < needed:
            raise ValueError(
                f"Drain accumulator must have at least {needed} bits for {count} sums, not {bits}; or its overflow "
                "must be wrap or saturate"
            )
        if bits > MAX_BITS:
            raise ValueError(
                f"Drain accumulator must have at most {MAX_BITS} bits, not the {bits} of {count} exact sums"
            )
        return self.drain.build(Accumulator(bits, given.overflow))

    @property
    def engine(self) -> "Engine":
        """A new engine: array, operand buffers and streams."""
        return self._engine(self.edge)

    @property
    def accelerator(self) -> "Accelerator":
        """A new accelerator: the engine behind its bus.

        Raises
        ------
        ValueError
            If results do not fit the bus.
        """
        from dataflow.accelerator.accelerator import Accelerator

        return Accelerator(engine=self.engine, bus=self.bus)

    def _engine(self, drain: Drain | None) -> "Engine":
        parts = {"pe": self.pe, "shape": self.array, "accumulator": self.sums, "tiling": self.tiling, "drain": drain}
        return ENGINES[self.dataflow](**parts)

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
        group_size = self.tiling.group_size // self.product_lanes
        return quantizer_of(self.quantizer, side, getattr(self.pe, side), group_size, form)

    @cached_property
    def target(self) -> Target:
        """What compiling for the design has to know: plain data."""
        return Target(
            name=self.name,
            table=self.to_table(),
            engine=self.engine.spec,
            act=self.pe.act,
            weight=self.pe.weight,
            quantizer=self.quantizer,
        )

    def resized(self, cells: int) -> "Design":
        """The design with ``cells`` x ``cells`` cells: fewer rows and more columns, if it has fewer rows.

        Its drain edge gets wider or narrower as the array gets faster or slower.
        """
        if cells < 1:
            raise ValueError(f"Cells must be at least 1 each way, not {cells}")
        shape = self.array
        rows = min(cells, shape.rows)
        cols = cells * cells // rows
        tile = {"tile_rows": min(shape.tile_rows, rows), "tile_cols": min(shape.tile_cols, cols)}
        array = dataclasses.replace(shape, rows=rows, cols=cols, **tile)
        drain_lanes = -(-self.tiling.drain_lanes * rows * cols // (shape.rows * shape.cols))
        return dataclasses.replace(self, array=array, tiling=dataclasses.replace(self.tiling, drain_lanes=drain_lanes))

    @property
    def product_lanes(self) -> int:
        """Lanes that a product takes."""
        return self.pe.lanes // self.pe.modes[0].lanes

    def with_depth(self, depth: int) -> "Design":
        """The design with room for sums of so many products along K, all digits of activations among them.

        Accumulators and buffers get larger if ``tiling.max_k`` is too short, which changes no sum.
        """
        formats = [self.act_quantizer.format]
        if self.quantizer.act.method == "mixed":
            formats.append(self.wide_quantizer("act").format)
        digits = max(math.ceil(form.bits / self.pe.act.bits) for form in formats)
        needed = depth * digits * self.product_lanes
        tiling = dataclasses.replace(self.tiling, max_k=max(self.tiling.max_k, needed))
        return dataclasses.replace(self, tiling=tiling)

    def with_settings(self, settings: Iterable[str]) -> "Design":
        """This design with fields replaced, each given as ``key=value``, such as ``array.rows=4``."""
        table = self.to_table()
        for setting in settings:
            set_key(table, setting)
        return design_of(self.name, table)

    def to_table(self) -> dict[str, object]:
        """The design as plain nested data: what its TOML file holds."""
        table = dataclasses.asdict(self)
        del table["name"]
        return table


def load_design(design: str | Path, settings: Iterable[str] = ()) -> Design:
    """A named design, or the one of a TOML file, with ``settings`` as in `Design.with_settings`.

    Raises
    ------
    ValueError
        If there is no such design, or what it asks for does not fit together.
    """
    return design_of(*design_table(design, settings))


def design_of(name: str, table: Mapping[str, object]) -> Design:
    """The design of a table, as `Design.to_table` gives it."""
    if "name" in table:
        raise FieldError(
            "Design key", "name", f"left out, as a design has the name of its file ({name})", table["name"]
        )
    return build(Design, table, name=name)


def _check_zeros(drain: Drain, **scaled: Format) -> None:
    """Raise ValueError if neither a scale nor the numbers of the format that it scales have a 0, as zeros need."""
    for parameter in drain.parameters:
        form = scaled.get(parameter.name)
        if form and isinstance(parameter.form, Float) and not (parameter.form.holds_zero or form.holds_zero):
            raise ValueError(
                f"Drain {parameter.name} must be a float that has a 0, such as fp16, as {form.name} has none, "
                f"and not {parameter.form.name}"
            )
