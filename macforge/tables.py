"""How figures are written for people: as tables on the terminal, or as JSON for programs."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["AREA_COLUMNS", "SIM_COLUMNS", "figure", "finite", "print_rows", "to_json", "whole_columns"]

# What tables show of the figures that --json gives in full.
SIM_COLUMNS = {
    "design": "design",
    "size": "M x N x K",
    "passed": "passed",
    "cycles": "cycles",
    "predicted_cycles": "predicted",
    "utilization": "use",
    "act_in": "A in",
    "weight_in": "W in",
    "macs_per_second": "MACs/s",
}
AREA_COLUMNS = {
    "design": "design",
    "family": "family",
    "product": "product",
    "macs_per_cycle": "products",
    "unit": "unit",
    "size": "size",
    "ff": "FF",
    "dsp": "DSP",
    "bram": "BRAM",
    "size_per_mac": "size/MAC",
    "ff_per_mac": "FF/MAC",
    "baseline_size": "acc+a*b",
    "lut_ratio": "ratio",
    "drain_size_per_mac": "drain size/MAC",
    "levels": "levels",
    "fmax_mhz": "MHz",
}
_WIDE = 200


def whole_columns(unit: str) -> dict[str, str]:
    """Those of an engine or accelerator."""
    figures = {"size": "size", "ff": "FF", "bram": "BRAM", "fmax_mhz": "MHz"}
    return {f"{unit}_{key}": f"{unit} {title}" for key, title in figures.items()}


def print_rows(rows: Any, json_: bool, columns: Mapping[str, str] | None = None) -> None:
    """Print anything as JSON, or a list of rows as a table of ``columns`` (key -> title; all if left out)."""
    if json_:
        print(to_json(rows))
        return
    columns = columns or {key: key.replace("_", " ") for key in (rows[0] if rows else ())}
    table = Table(box=None, header_style="bold", pad_edge=False)
    for key, title in columns.items():
        table.add_column(title, justify="right" if _numeric(rows, key) else "left")
    for row in rows:
        table.add_row(*(figure(row[key]) for key in columns))
    # a file or a pipe has no width, and cutting names off helps nobody there
    console = Console()
    Console(width=None if console.is_terminal else _WIDE).print(table)


def to_json(table: object) -> str:
    """Plain data as JSON, which has neither infinities nor NaN: they become null."""
    return json.dumps(finite(table), indent=2, allow_nan=False)


def finite(table: object) -> Any:
    """Plain data, with None in place of infinities and NaN."""
    if isinstance(table, Mapping):
        return {key: finite(value) for key, value in table.items()}
    if isinstance(table, list | tuple):
        return [finite(value) for value in table]
    return None if isinstance(table, float) and not math.isfinite(table) else table


def _numeric(rows: Sequence[Mapping[str, object]], key: str) -> bool:
    return all(row[key] is None or isinstance(row[key], int | float) for row in rows)


def figure(value: object, digits: int = 2) -> str:
    """A figure as a table shows it: enough digits to compare, none to look at.

    ``digits`` are those after the point of numbers below 100.
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.{digits}f}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
