"""A design: everything that decides what is generated, as one small value; TOML in, TOML out."""

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path

from dataflow import ENGINES
from dataflow.engine import Engine, Tiling
from dataflow.mesh import Shape
from pe import FAMILIES
from pe.base import PE
from sw_ref.accumulate import OVERFLOWS, Accumulator, Overflow, bits_for, capacity
from sw_ref.catalog import parse_format
from sw_ref.quantize import Quantizer

__all__ = ["AccumulatorChoice", "Design", "QuantizerChoice", "design_names", "load_design", "to_toml"]

_NAMED = resources.files("macforge") / "designs"


@dataclass(frozen=True, kw_only=True)
class AccumulatorChoice:
    """How sums are kept.

    Parameters
    ----------
    bits : int
        Width; 0 for what exact sums over a group of ``tiling.max_k`` products at most take.
    overflow : {"refuse", "wrap", "saturate"}
        ``refuse``: a width that could overflow is an error.
    """

    bits: int = 0
    overflow: Overflow = "refuse"

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or not isinstance(self.bits, int) or not 0 <= self.bits <= 63:
            raise ValueError(f"Accumulator bits must be from 1 to 63, or 0 to derive them, not {self.bits!r}")
        if self.overflow not in OVERFLOWS:
            raise ValueError(f"Accumulator overflow must be one of {', '.join(OVERFLOWS)}, not {self.overflow!r}")


@dataclass(frozen=True, kw_only=True)
class QuantizerChoice:
    """How real numbers become codes, see `sw_ref.quantize.Quantizer`; groups are those of the tiling.

    Parameters
    ----------
    scheme : {"auto", "symmetric", "asymmetric"}
        ``auto``: symmetric if the format holds values of both signs, else asymmetric.
    granularity : {"tensor", "channel", "group"}
    """

    scheme: str = "auto"
    granularity: str = "channel"


@dataclass(frozen=True, kw_only=True)
class QuantizerChoices:
    """The quantizers of both operands."""

    act: QuantizerChoice = field(default_factory=QuantizerChoice)
    weight: QuantizerChoice = field(default_factory=QuantizerChoice)


@dataclass(frozen=True, kw_only=True)
class Design:
    """What macforge generates, simulates and measures.

    A design is checked as a whole when it is made, so that every part of it can be built. Its fields are those of its
    TOML file.

    Parameters
    ----------
    name : str
        Name of the files that come of it.
    family : str
        A key of `pe.FAMILIES`.
    act, weight : str
        Formats, see `sw_ref.catalog.parse_format`.
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
    summary, source : str
        What it is, and where it comes from.

    Raises
    ------
    ValueError
        If the parts do not fit; says what was given and what would be accepted.
    """

    name: str
    family: str
    act: str
    weight: str
    array: Shape
    lanes: int = 1
    dataflow: str = "output_stationary"
    options: Mapping[str, object] = field(default_factory=dict)
    accumulator: AccumulatorChoice = field(default_factory=AccumulatorChoice)
    tiling: Tiling = field(default_factory=Tiling)
    quantizer: QuantizerChoices = field(default_factory=QuantizerChoices)
    summary: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        _one_of("Family", self.family, FAMILIES)
        _one_of("Dataflow", self.dataflow, ENGINES)
        known = FAMILIES[self.family].options()
        for option in self.options:
            _one_of(f"Option of family {self.family}", option, known)
        # making the parts checks them
        for part in ("engine", "act_quantizer", "weight_quantizer"):
            getattr(self, part)

    @cached_property
    def pe(self) -> PE:
        """The processing element."""
        formats = {"act": parse_format(self.act), "weight": parse_format(self.weight)}
        return FAMILIES[self.family](**formats, lanes=self.lanes, **self.options)

    @property
    def depth(self) -> int:
        """Products of the longest sum: a group of K, or all of it."""
        return min(self.tiling.group_size or self.tiling.max_k, self.tiling.max_k)

    @cached_property
    def sums(self) -> Accumulator:
        """The accumulator, with its width derived and its claim checked."""
        steps = -(-self.depth // self.lanes)
        needed = bits_for(self.pe.term, steps)
        bits = self.accumulator.bits or needed
        if self.accumulator.overflow == "refuse" and bits < needed:
            room = capacity(bits, self.pe.term) * self.lanes
            raise ValueError(
                f"Accumulator must have at least {needed} bits for sums of {self.depth} products of {self.act} and "
                f"{self.weight}, not {bits}, which are sure to hold {room}; or its overflow must be wrap or saturate"
            )
        return Accumulator(bits, self.accumulator.overflow)

    @property
    def engine(self) -> Engine:
        """A new engine: array, operand buffers and streams."""
        return ENGINES[self.dataflow](pe=self.pe, shape=self.array, accumulator=self.sums, tiling=self.tiling)

    @property
    def act_quantizer(self) -> Quantizer:
        """What turns real activations into codes."""
        return self._quantizer("act")

    @property
    def weight_quantizer(self) -> Quantizer:
        """What turns real weights into codes."""
        return self._quantizer("weight")

    def _quantizer(self, side: str) -> Quantizer:
        choice = getattr(self.quantizer, side)
        if choice.granularity == "group" and not self.tiling.group_size:
            raise ValueError(f"Quantizer {side}.granularity group takes a tiling.group_size above 0, not 0")
        group_size = self.tiling.group_size if choice.granularity == "group" else 0
        form, scheme = getattr(self.pe, side), choice.scheme
        if scheme == "auto":
            lo, hi = form.bounds
            scheme = "symmetric" if lo < 0 < hi else "asymmetric"
        return Quantizer(form, scheme, choice.granularity, group_size)

    def with_settings(self, settings: Iterable[str]) -> "Design":
        """This design with fields replaced, each given as ``key=value``, such as ``array.rows=4``."""
        table = self.to_table()
        for setting in settings:
            _set(table, setting)
        return _from_table(self.name, table)

    def to_table(self) -> dict[str, object]:
        """The design as plain nested data: what its TOML file holds."""
        table = dataclasses.asdict(self)
        del table["name"]
        return table


def design_names() -> list[str]:
    """Names of all named designs, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in _NAMED.iterdir() if file.name.endswith(".toml"))


def load_design(design: str | Path, settings: Iterable[str] = ()) -> Design:
    """A named design, or the one of a TOML file, with ``settings`` as in `Design.with_settings`.

    A table ``derived``, as `macforge show` adds it, is passed over: it follows from the rest.

    Raises
    ------
    ValueError
        If there is no such design, or what it asks for does not fit together.
    """
    path = Path(design)
    if path.suffix == ".toml":
        if not path.is_file():
            raise ValueError(f"Design must be a file that exists, not {design}")
        name, text = path.stem, path.read_text(encoding="utf-8")
    else:
        name = _one_of("Design", str(design), design_names(), "; or a path that ends in .toml")
        text = (_NAMED / f"{name}.toml").read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"Design {design} is not TOML: {error}") from error
    table.pop("derived", None)
    for setting in settings:
        _set(table, setting)
    return _from_table(name, table)


def to_toml(table: Mapping[str, object]) -> str:
    """Nested plain data as TOML: values first, then a section for each table."""
    return "".join(_toml_lines(table, ""))


def _toml_lines(table: Mapping[str, object], section: str) -> Iterator[str]:
    # what JSON writes for text, numbers, booleans and lists of these is TOML too
    values = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if section and (values or not table):
        yield f"\n[{section}]\n"
    for key, value in values.items():
        yield f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _toml_lines(value, f"{section}.{key}" if section else key)


def _from_table(name: str, table: Mapping[str, object]) -> Design:
    return _build(Design, {**table, "name": name}, "")


def _build(kind: type, table: object, where: str) -> object:
    """A dataclass out of plain nested data, with unknown and missing keys refused by their full names."""
    if not isinstance(table, Mapping):
        raise ValueError(f"Design key {where.removesuffix('.')} must be a table, not {table!r}")
    members = {member.name: member for member in dataclasses.fields(kind)}
    values = {}
    for key, value in table.items():
        _one_of("Design key", f"{where}{key}", [f"{where}{member}" for member in members])
        member = members[key].type
        if dataclasses.is_dataclass(member):
            value = _build(member, value, f"{where}{key}.")
        elif member is str and not isinstance(value, str):
            raise ValueError(f"Design key {where}{key} must be text, not {value!r}")
        elif key == "options" and not isinstance(value, Mapping):
            raise ValueError(f"Design key {where}{key} must be a table, not {value!r}")
        values[key] = value
    for member in members.values():
        optional = member.default is not dataclasses.MISSING or member.default_factory is not dataclasses.MISSING
        if member.name not in values and not optional:
            raise ValueError(f"Design must have the key {where}{member.name}")
    return kind(**values)


def _set(table: dict[str, object], setting: str) -> None:
    """Replace one field of a design's plain data."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise ValueError(f"Setting must be key=value, such as array.rows=4, not {setting!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *path, last = key.split(".")
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ValueError(f"Setting {setting!r} goes below {part}, which is a single value")
    table[last] = value


def _one_of(what: str, given: object, accepted: Iterable[str], more: str = "") -> str:
    accepted = list(accepted)
    if given not in accepted:
        close = difflib.get_close_matches(str(given), accepted, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        listing = ", ".join(accepted) or "none at all"
        raise ValueError(f"{what} must be one of {listing}{more}, not {given!r}{hint}")
    return given
