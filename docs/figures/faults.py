"""Writes docs/faults.md: what becomes of single bits of accelerators that flip.

Run ``python -m docs.figures.faults``. What has been found before is taken from the cache.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.figures.measured import clean_commit, rewrite
from docs.tables import markdown_table, plain
from macforge.design.design import Design, load_design
from macforge.inject.campaign import Campaign
from macforge.inject.outcome import KINDS, interval
from macforge.inject.places import PLACES
from macforge.tables import figure

__all__ = ["MARKS", "PATH", "Measured", "main", "section", "weighted"]

PATH = Path(__file__).parents[1] / "faults.md"
MARKS = ("<!-- faults: begin -->", "<!-- faults: end -->")
COUNT = 100_000
CELLS = 4
SETTINGS = ("tiling.max_k=256", "tiling.panel_rows=8")
DESIGNS = (
    *((name, checksum) for name in ("w8a8_os", "w4a8_ws") for checksum in ("none", "correct")),
    ("w8a8_os", "detect"),
    *((name, checksum) for name in ("mixpe_w4a8", "mxfp4") for checksum in ("none", "correct")),
)
# Of those whose runs take longest.
_FEWER = dict.fromkeys((("mixpe_w4a8", "correct"), ("mxfp4", "correct")), 20_000)
# Counts beside the shares, and what their columns are called.
_COUNTS = {"next_wrong": "next wrong", "reset_wrong": "not mended", "false_alarms": "false alarms"}
# Registers that rows name, and what their columns are called.
_NAMED = {"silent_in": "silent", "hung_in": "hung", "reset_wrong_in": "not mended by a reset"}
_WHOLE = "all bits"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The rows of a design's classes (`macforge.inject.campaign.Campaign.rows`)."""

    design: str
    checksum: str
    rows: Sequence[Mapping[str, Any]]

    @property
    def title(self) -> str:
        """The design, as Markdown."""
        return f"`{self.design}`" + (f", `{self.checksum}`" if self.checksum != "none" else "")


def weighted(rows: Sequence[Mapping[str, Any]], kind: str) -> tuple[float, float, float]:
    """The share of a kind among flips of any bit of several classes, and its interval of 95 %.

    ``sum over c of w[c] * p[c]``, with each class's part of the bits as ``w``. The interval is that of Zou and Donner
    (Statistics in Medicine 27, 2008): ``sum - sqrt(sum over c of (w[c] * (p[c] - low[c]))**2)``, and alike above.
    """
    bits, share, below, above = sum(row["bits"] for row in rows), 0.0, 0.0, 0.0
    for row in rows:
        weight, own = row["bits"] / bits, row[kind] / row["injections"]
        low, high = interval(row[kind], row["injections"])
        share += weight * own
        below += (weight * (own - low)) ** 2
        above += (weight * (high - own)) ** 2
    return share, max(share - math.sqrt(below), 0.0), share + math.sqrt(above)


def section(measured: Sequence[Measured], made_of: str) -> str:
    """All figures, as a part of the page."""
    total = sum(row["injections"] for each in measured for row in each.rows)
    told = (
        f"All figures are measured, of commit {made_of}, written by `python -m docs.figures.faults`: {total:,} "
        f"injections into accelerators with {CELLS} x {CELLS} cells, with `{'` and `'.join(SETTINGS)}`. Shares are in "
        "percent, with intervals of 95 %."
    )
    parts = [
        told,
        "## Any bit",
        "A flip of any bit, each as likely as another: the shares of the classes weighted by their bits.",
        _summary(measured),
        "## Silent faults with check columns and without",
        _checked(measured),
    ]
    for each in measured:
        parts += [f"## {each.title}", _classes(each), _registers(each)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _summary(measured: Sequence[Measured]) -> str:
    head = ["design", "bits", "injections", *(f"{kind} %" for kind in KINDS)]
    cells = []
    for each in measured:
        bits, injections = (sum(row[key] for row in each.rows) for key in ("bits", "injections"))
        shares = [_share(*weighted(each.rows, kind)) for kind in KINDS]
        cells.append([each.title, f"{bits:,}", f"{injections:,}", *shares])
    return markdown_table(head, cells)


def _checked(measured: Sequence[Measured]) -> str:
    """Silent shares of designs that were measured with check columns too, class by class."""
    found = {(each.design, each.checksum): each for each in measured}
    kinds = [kind for kind in ("none", "detect", "correct") if any(each.checksum == kind for each in measured)]
    cells = []
    for design in dict.fromkeys(each.design for each in measured if each.checksum != "none"):
        known = {kind: found[design, kind].rows for kind in kinds if (design, kind) in found}
        tables = {kind: {row["class"]: row for row in rows} for kind, rows in known.items()}
        for name in (name for name in PLACES if any(name in table for table in tables.values())):
            shares = [_silent(tables.get(kind, {}), [name]) for kind in kinds]
            cells.append([f"`{design}`", name, *shares])
        shares = [_silent(tables.get(kind, {}), list(tables.get(kind, {}))) for kind in kinds]
        cells.append([f"`{design}`", f"**{_WHOLE}**", *shares])
    return markdown_table(["design", "class", *(f"{kind} %" for kind in kinds)], cells)


def _silent(table: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> str:
    rows = [table[name] for name in names if name in table]
    return _share(*weighted(rows, "silent")) if rows else "-"


def _classes(each: Measured) -> str:
    kinds = [kind for kind in KINDS if kind != "corrected" or each.checksum == "correct"]
    counts = [name for name in _COUNTS if name != "false_alarms" or each.checksum != "none"]
    head = ["class", "bits", "injections", *(f"{kind} %" for kind in kinds), *(_COUNTS[name] for name in counts)]
    cells = []
    for row in each.rows:
        shares = [_share(row[kind] / row["injections"], *interval(row[kind], row["injections"])) for kind in kinds]
        numbers = [f"{row[name]:,}" for name in counts]
        cells.append([row["class"], f"{row['bits']:,}", f"{row['injections']:,}", *shares, *numbers])
    return markdown_table(head, cells)


def _registers(each: Measured) -> str:
    """Where most of what is silent, hung and not mended is."""
    rows = [row for row in each.rows if any(row[key] for key in _NAMED)]
    cells = [[row["class"], *(_names(row[key]) for key in _NAMED)] for row in rows]
    return markdown_table(["class", *_NAMED.values()], cells) if cells else ""


def _names(counted: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"`{name}` {number:,}" for name, number in counted)


def _share(share: float, low: float, high: float) -> str:
    return plain(f"{_percent(share)} ({_percent(low)}-{_percent(high)})")


def _percent(share: float) -> str:
    return figure(100 * share, 2 if share >= 0.01 else 3)


def load(name: str, checksum: str) -> Design:
    """A design as small as `make inject` takes it."""
    checks = [f"array.checksum={checksum}"] if checksum != "none" else []
    return load_design(name, [*SETTINGS, *checks]).resized(CELLS)


def main() -> None:
    """Inject, and rewrite the page."""
    made_of, measured = clean_commit(), []
    for name, checksum in DESIGNS:
        rows = Campaign(design=load(name, checksum)).rows(_FEWER.get((name, checksum), COUNT))
        measured.append(Measured(design=name, checksum=checksum, rows=rows))
        print(name, checksum, flush=True)
    rewrite(section(measured, made_of), *MARKS, PATH)


if __name__ == "__main__":
    main()
