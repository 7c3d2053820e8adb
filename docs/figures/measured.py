"""Writes the measured part of docs/figures.md from the JSON of a report.

    make report
    python -m docs.figures.measured build/report/report.json

Only the part between the two marks is replaced. It names the commit that the report was made of; a report of a tree
with changes is refused.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docs.tables import markdown_table, plain
from macforge.emit.verilog import commit
from macforge.tables import figure

__all__ = ["BEGIN", "END", "PATH", "clean_commit", "main", "page", "rewrite", "section"]

PATH = Path(__file__).parents[1] / "figures.md"
BEGIN, END = "<!-- report: begin -->", "<!-- report: end -->"

_LAYER = {
    "design": "design",
    "act": "act",
    "weight": "weight",
    "verified": "verified",
    "sqnr_db": "SQNR dB",
    "cycles": "cycles",
    "xc7_lut_per_mac": "xc7 LUT/product",
    "xc7_lut_ratio": "ratio",
    "xc7_drain_lut_per_mac": "drain",
    "ecp5_lut_per_mac": "ECP5 LUT/product",
    "ecp5_lut_ratio": "ratio",
    "ecp5_drain_lut_per_mac": "drain",
    "ecp5_fmax_mhz": "ECP5 MHz",
}
_SIZES = {
    "design": "design",
    "fpga": "family",
    "unit": "unit",
    "size_per_mac": "size/product",
    "ratio": "of acc + a*b",
    "drain_per_mac": "drain edge",
    "levels": "levels",
    "fmax_mhz": "MHz",
    "cosine_mean": "cosine",
}
_WAYS = {
    "operand": "operand",
    "kind": "kind",
    "way": "cell",
    "xc7_lut": "xc7 LUT/product",
    "ecp5_lut": "ECP5 LUT/product",
}
_PEERS = {
    "name": "unit",
    "computes": "computes",
    "xc7_lut": "xc7 LUT",
    "ecp5_lut": "ECP5 LUT",
    "ours": "macforge",
    "ours_xc7_lut": "xc7 LUT",
    "ours_ecp5_lut": "ECP5 LUT",
}


def section(report: Mapping[str, Any]) -> str:
    """The measured part, of a report's JSON.

    Raises
    ------
    ValueError
        If the report is not complete, does not say which commit it is of, or that tree had changes.
    """
    if not report["complete"]:
        raise ValueError("Report must be complete, which this one is not: run make report again")
    made_of = report["tools"].get("commit", "")
    if not re.fullmatch(r"[0-9a-f]{7,40}", made_of):
        raise ValueError(f"Report must be of one commit without changes, not of {made_of or 'an unknown one'}")
    m, n, k = report["shape"]
    parts = [
        f"All figures of this part are of commit {made_of}, written by `python -m docs.figures.measured`.",
        f"## The layer\n\n{plain(report['layer'])}: {m} x {k} activations times {k} x {n} weights.",
        _table(_LAYER, report["designs"]),
        "## Every design on every family",
        _table(_SIZES, report["sizes"]),
    ]
    for name, comparison in (report["finding"] or {}).items():
        parts += [f"## Smallest cells: {plain(name)}", plain(" ".join(comparison["summary"]))]
        parts.append(_table(_WAYS, comparison["rows"]))
    if report["peers"]:
        parts += ["## Units of other projects in the same flow", _table(_PEERS, report["peers"])]
    if report["failures"]:
        parts += ["## Failures", "\n".join(f"- {plain(each)}" for each in report["failures"])]
    tools = ", ".join(f"{name} {version}" for name, version in report["tools"].items() if name != "commit")
    parts.append(f"Tools: {plain(tools)}.")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _table(columns: Mapping[str, str], rows: Sequence[Mapping[str, object]]) -> str:
    """The columns of which some row has a figure."""
    kept = [key for key in columns if any(row.get(key) is not None for row in rows)]
    cells = [[_cell(key, row.get(key)) for key in kept] for row in rows]
    return markdown_table([columns[key] for key in kept], cells)


def _cell(key: str, value: object) -> str:
    text = figure(value, 4 if key.startswith("cosine") else 2)
    return f"`{text}`" if key in ("design", "ours") and value is not None else plain(text)


def page(text: str, measured: str, first: str = BEGIN, last: str = END) -> str:
    """The page with its measured part replaced."""
    before, begin, rest = text.partition(first)
    _old, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"Page must hold the marks {first} and {last}")
    return f"{before}{begin}\n\n{measured}\n{end}{after}"


def clean_commit() -> str:
    """The commit of this tree, for figures that are measured now; ends the program if there are changes."""
    found = commit().get("commit", "")
    if not found or found.endswith("-dirty"):
        raise SystemExit(f"Figures must be of one commit without changes, not of {found or 'an unknown one'}")
    return found


def rewrite(measured: str, first: str, last: str, path: Path = PATH) -> None:
    """Replace the part of a page between two marks."""
    path.write_text(page(path.read_text(encoding="utf-8"), measured, first, last), encoding="utf-8")


def main() -> None:
    """Rewrite the page from the report that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m docs.figures.measured REPORT.json")
    try:
        report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        text = page(PATH.read_text(encoding="utf-8"), section(report))
    except (OSError, ValueError) as error:
        sys.exit(f"docs.figures.measured: {error}")
    PATH.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
