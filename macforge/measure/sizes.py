"""What one product costs in every design and FPGA family: the rows of the report's charts, its large table, its CSV."""

import csv
import io
from collections.abc import Mapping, Sequence

__all__ = ["ACCURACY", "COLUMNS", "as_csv", "size_rows"]

ACCURACY = {"sqnr_db": "SQNR dB", "cosine_mean": "cosine"}
"""Figures of accuracy, the more the better, as far as a report has them."""

COLUMNS = {
    "design": "design",
    "pe": "processing element",
    "operands": "operands",
    "dataflow": "dataflow",
    "fpga": "family",
    "unit": "unit",
    "size_per_mac": "size/MAC",
    "ratio": "of acc + a*b",
    "int8_ratio": "of int8 x int8 + 32",
    "cells_per_mac": "cells",
    "edges_per_mac": "edges of operands",
    "drain_per_mac": "drain edge",
    "levels": "levels",
    "fmax_mhz": "MHz",
    "mmacs_per_unit": "MMAC/s a unit",
    **ACCURACY,
    "cosine_min": "least cosine",
    "command": "command",
    "failed": "failed",
}
"""What the table shows: key to title."""


def size_rows(
    rows: Sequence[Mapping[str, object]], families: Sequence[str], int8: Mapping[str, float | None]
) -> list[dict[str, object]]:
    """A row for each design and family; without figures, if a design has failed.

    Sizes are those of the array, in the family's unit, for each whole product of the operands a cycle: where operands
    come in planes or digits, a product of theirs takes several of a cell's.

    Parameters
    ----------
    rows : sequence of dict
        Those of a report: ``design``, ``pe``, ``act``, ``weight``, ``dataflow``, ``products_per_mac``, accuracy; for
        each family ``<family>_area``, see `macforge.measure.area.AreaReport.to_table`, and ``<family>_fmax_mhz`` if
        there is; ``failed``. What is not known is None.
    families : sequence of str
    int8 : dict of str to float
        For each family the size of a plain ``acc + a*b`` of int8 with 32 bits, or None.
    """
    return [_size_row(row, family, int8[family]) for row in rows for family in families]


def _size_row(row: Mapping[str, object], family: str, int8: float | None) -> dict[str, object]:
    labels = {
        "design": row["design"],
        "pe": row["pe"],
        "operands": f"{row['act']} x {row['weight']}",
        "dataflow": row["dataflow"].replace("_", "-"),
        "fpga": family,
    }
    known = {key: row.get(key) for key in (*ACCURACY, "cosine_min", "failed")}
    # of planes and digits
    area, times = row[f"{family}_area"], row["products_per_mac"]
    sizes = {} if area is None or times is None else _sizes(area, times, int8, row.get(f"{family}_fmax_mhz"))
    command = f"macforge area {row['design']} --family {family} --cells {area['cols']} --seeds 0" if area else None
    return {**dict.fromkeys(COLUMNS), **labels, **sizes, **known, "command": command}


def _sizes(area: Mapping[str, object], times: float, int8: float | None, fmax: float | None) -> dict[str, object]:
    """Figures of an array where a product of the operands takes so many of a cell's."""
    size, cells = area["size_per_mac"] * times, area["cells_size_per_mac"] * times
    return {
        "unit": area["unit"],
        "size_per_mac": size,
        # a plain multiply-accumulate of planes is none of the operands
        "ratio": area["lut_ratio"] if times == 1 else None,
        "int8_ratio": size / int8 if int8 else None,
        "cells_per_mac": cells,
        "edges_per_mac": size - cells,
        "drain_per_mac": (area["drain_size_per_mac"] or 0) * times,
        "levels": area["levels"],
        "fmax_mhz": fmax,
        "mmacs_per_unit": fmax / size if fmax else None,
    }


def as_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows as CSV, named by their keys."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
