"""What one product costs in every design and FPGA family: the rows of the report's charts, its large table, its CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from fpga.families import find
from macforge.measure.registry import MEASUREMENTS, Figure
from macforge.report.columns import Column
from macforge.report.rows import DesignRow, Slot
from macforge.tables import finite

__all__ = ["ACCURACY", "as_csv", "size_columns", "size_rows"]

ACCURACY = {"sqnr_db": "SQNR dB", "cosine_mean": "cosine"}
"""Figures of accuracy, the more the better, as far as a report has them."""

# Measurements whose figures a size is made of, or that have columns of their own.
_USED = ("area", "fmax")


def size_columns(units: Sequence[str] = ()) -> list[Column]:
    """Columns of the table with a row for each design and family; ``units`` are those that its rows are in."""
    size = "LUT" if all(unit.startswith("LUT") for unit in units) else "size"
    plain = Column.plain
    return [
        plain("design", "design"),
        plain("pe", "PE", note="Processing element"),
        plain("operands", "operands", note="What activations and weights are quantized to"),
        plain("dataflow", "dataflow"),
        plain("fpga", "family"),
        plain("unit", "unit"),
        plain("size_per_mac", f"{size}/MAC", digits=1, note="Cells and edges, for one product a cycle"),
        plain("ff_per_mac", "FF/MAC", digits=1, note="Flip-flops of cells and edges, for one product a cycle"),
        plain("ratio", f"{size} ratio", note="To one plain acc + a*b of the same widths"),
        plain("int8_ratio", "ratio to int8", note="To one plain acc + a*b of int8 with 32 bits"),
        plain("cells_per_mac", f"cells {size}/MAC", digits=1),
        plain("edges_per_mac", f"edges {size}/MAC", digits=1, note="Encoders of operands, delays, accumulators"),
        plain("drain_per_mac", f"drain {size}/MAC", digits=1, note="Scales, zero points, requantization; on top"),
        plain("levels", "logic levels", note="Of the longest path between registers or ports"),
        plain("fmax_mhz", "Fmax", "MHz", digits=0),
        plain("mmacs_per_unit", f"MMAC/s/{size}", note="Throughput for its size: Fmax over the size of a product"),
        *(Column(key=key, figure=figure, name=key) for _, key, figure in _others()),
        plain("sqnr_db", "SQNR", "dB", digits=1),
        plain("cosine_mean", "cosine", digits=4),
        plain("cosine_min", "cosine min", digits=4),
        plain("command", "command", note="What measures it by itself"),
        plain("failed", "failed"),
    ]


def _others() -> list[tuple[str, str, Figure]]:
    """Figures of further measurements on each family: measurement, key, figure."""
    return [
        (name, key, figure)
        for name, each in MEASUREMENTS.items()
        if each.report is not None and "family" in each.axes and name not in _USED
        for key, figure in each.reported.items()
    ]


def size_rows(rows: Sequence[DesignRow], families: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each design and family; without figures, if a design has failed or they are still to come.

    Sizes are those of the array, in the family's unit, for each whole product of the operands a cycle: where operands
    come in planes or digits, a product of theirs takes several of a cell's.
    """
    return [_size_row(row, family) for row in rows for family in families]


def _size_row(row: DesignRow, family: str) -> dict[str, Any]:
    table, area, layer = row.table, row.figures("area", family), row.figures("layer")
    fmax = row.figures("fmax", family).get("fmax_mhz")
    # of planes and digits
    times = layer.get("products_per_mac")
    sizes = _sizes(area, times, fmax) if area and times is not None else {}
    command = f"macforge area {row.design.name} --family {family} --cells {area['cols']} --seeds 0" if area else None
    return {
        **dict.fromkeys(column.key for column in size_columns()),
        **{key: table[key] for key in ("design", "pe", "dataflow", "failed")},
        "operands": f"{table['act']} x {table['weight']}",
        "fpga": family,
        "unit": find(family).unit,
        **sizes,
        **{key: row.figures(name, family).get(key) for name, key, _ in _others()},
        **{key: table.get(key) for key in (*ACCURACY, "cosine_min")},
        "command": command,
        "pending": _pending(row, family, sizes),
    }


def _pending(row: DesignRow, family: str, known: Mapping[str, Any]) -> list[str]:
    """Keys of figures that are still to come."""
    slots = [slot for slot in row.pending if slot.family in (None, family)]
    keys = [key for slot in slots for key in slot.measurement.reported]
    if not known and {Slot("area", family), Slot("layer")} & set(slots):
        sums = ("size_per_mac", "ff_per_mac", "ratio", "int8_ratio", "cells_per_mac", "edges_per_mac", "drain_per_mac")
        keys += [*sums, "levels"]
    return [*keys, "mmacs_per_unit"] if "fmax_mhz" in keys else keys


def _sizes(area: Mapping[str, Any], times: float, fmax: float | None) -> dict[str, Any]:
    """Figures of an array where a product of the operands takes so many of a cell's."""
    size, cells = area["size_per_mac"] * times, area["cells_size_per_mac"] * times
    return {
        "size_per_mac": size,
        "ff_per_mac": area["ff_per_mac"] * times,
        # a plain multiply-accumulate of planes is none of the operands
        "ratio": area["lut_ratio"] if times == 1 else None,
        "int8_ratio": size / area["int8_size"] if area["int8_size"] else None,
        "cells_per_mac": cells,
        "edges_per_mac": size - cells,
        "drain_per_mac": (area["drain_size_per_mac"] or 0) * times,
        "levels": area["levels"],
        "fmax_mhz": fmax,
        "mmacs_per_unit": fmax / size if fmax else None,
    }


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV, named by their keys."""
    text = io.StringIO()
    names = [column.key for column in size_columns()]
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(finite(rows))
    return text.getvalue()
