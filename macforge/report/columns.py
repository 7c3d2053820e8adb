"""The columns of the report's tables: they follow from the registry of measurements and the compared families."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fpga.families import COMPARED, find
from macforge.measure.registry import MEASUREMENTS, Figure
from macforge.report.rows import Slot

__all__ = ["Column", "brief_columns", "design_columns", "filled", "front_columns", "mode_columns"]

# What the terminal shows of all that the page has.
_BRIEF = ("design", "product", "verified", "sqnr_db", "cycles", "lut_per_mac", "lut_ratio", "fmax_mhz", "failed")
_OF_MODES = ("lut_per_mac", "baseline_lut", "lut_ratio")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Parameters
    ----------
    key : str
        Of its cells in the rows.
    figure : Figure
    family : str
        FPGA family of its figures; empty if they are of none.
    name : str
        Key of the figure, without the family.
    """

    key: str
    figure: Figure
    family: str = ""
    name: str = ""

    @classmethod
    def plain(cls, key: str, title: str, unit: str = "", *, digits: int = 2, note: str = "") -> "Column":
        """A column that belongs to no measurement."""
        return cls(key=key, figure=Figure(title, unit, digits, note), name=key)

    @classmethod
    def of(cls, slot: Slot, name: str) -> "Column":
        """The column of a measurement's figure."""
        figure = slot.measurement.figures[name]
        return cls(key=slot.key(name), figure=figure, family=slot.family or "", name=name)

    @property
    def group(self) -> str:
        """What stands above it and its neighbours, for people; empty if nothing does."""
        return f"{find(self.family).title}, {find(self.family).unit}" if self.family else ""

    @property
    def heading(self) -> str:
        """All of its name, where no group stands above it."""
        return f"{self.family} {self.figure.heading}".lstrip()


_DESIGN = (
    Column.plain("design", "design"),
    Column.plain("act", "act", note="What activations are quantized to"),
    Column.plain("weight", "weight", note="What weights are quantized to"),
)
_MORE = (
    Column.plain("pe", "PE", note="Processing element"),
    Column.plain("product", "product", note="What a cell multiplies: bits, where operands come in planes"),
    Column.plain("dataflow", "dataflow"),
    Column.plain("failed", "failed"),
)


def design_columns(measurements: Iterable[str], families: Sequence[str] = COMPARED) -> list[Column]:
    """Of the table with a row for each design: figures on no family, then on one family after the other."""
    measured = [name for name in MEASUREMENTS if name in set(measurements)]
    slots = [Slot(name) for name in measured if "family" not in MEASUREMENTS[name].axes]
    slots += [
        Slot(name, family)
        for family in families
        for name in measured
        if "family" in MEASUREMENTS[name].axes and MEASUREMENTS[name].is_reported_on(family)
    ]
    return [*_DESIGN, *(Column.of(slot, name) for slot in slots for name in slot.measurement.reported), *_MORE]


def brief_columns(columns: Iterable[Column]) -> list[Column]:
    """Those that a terminal has room for."""
    return [column for column in columns if column.name in _BRIEF]


def mode_columns(families: Sequence[str] = COMPARED) -> list[Column]:
    """Of the table with a row for each mode of a design."""
    figures = [Column.of(Slot("area", family), name) for family in families for name in _OF_MODES]
    return [
        Column.plain("design", "design"),
        Column.plain("product", "product"),
        Column.plain("products", "products/cycle"),
        *figures,
    ]


def front_columns() -> list[Column]:
    """Of the table with a row for each choice of designs for the layers of a model."""
    return [
        Column.plain("choice", "choice"),
        Column.plain("layers", "layers"),
        Column.plain("loss", "loss", digits=5, note="Of the layers' results, squared and relative, summed over layers"),
        Column.plain("cycles", "cycles", note="The larger of the engines' and the bus's"),
        Column.plain("bytes", "bytes", note="All that the bus moves"),
        Column.plain("lut", "LUT4", note="Of the engines in use, on ECP5"),
    ]


def filled(columns: Iterable[Column], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Those columns that some row has something in, or will have; all of them without rows."""
    return [
        column
        for column in columns
        if not rows or any(row.get(column.key) is not None or column.key in row.get("pending", ()) for row in rows)
    ]
