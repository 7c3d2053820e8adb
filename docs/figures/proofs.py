"""Writes what is proven of the named designs into docs/proofs.md.

    python -m docs.figures.proofs cells        # of all named designs: an hour or two of a processor
    python -m docs.figures.proofs streams      # of some engines, and of the units behind the bus
    python -m docs.figures.proofs control      # of small engines of the headline designs: a quarter of an hour

Only the part between two marks is replaced. It names the commit that it was made of; a tree with changes is refused.
What has been decided before is taken from the cache.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docs.figures.measured import clean_commit, rewrite
from docs.tables import markdown_table
from macforge.design.design import load_design
from macforge.design.named import design_names
from macforge.prove.design import prove_design

__all__ = ["MARKS", "PATH", "cells_section", "control_section", "main", "streams_section"]

PATH = Path(__file__).parents[1] / "proofs.md"
MARKS = {
    part: (f"<!-- proofs {part}: begin -->", f"<!-- proofs {part}: end -->") for part in ("cells", "streams", "control")
}
# Seconds that a question may take.
SECONDS = 60.0
# An engine of each dataflow, with zero points, and with bits that come one after the other.
STREAMS = ("w4a8_ws", "w8a8_os", "mixpe_w4a8", "abq_w2a8")


def cells_section(rows: Sequence[Mapping[str, Any]], made_of: str) -> str:
    """What is known of all cells, as a part of the page."""
    count = Counter(row["result"] for row in rows)
    told = (
        f"All figures of this part are of commit {made_of}, written by `python -m docs.figures.proofs cells`: of "
        f"{len(rows)} cells (a mode of a design counts as one), "
        + ", ".join(f"{number} {result}" for result, number in count.most_common())
        + f". A question may take {SECONDS:g} s; CPU time is that of the solver when it was decided."
    )
    head = ["design", "cell", "result", "questions", "CPU s", "note"]
    return "\n\n".join([told, markdown_table(head, [_cell(row) for row in rows]).strip()]) + "\n"


def _cell(row: Mapping[str, Any]) -> list[str]:
    cell = row["statement"].removeprefix("sum = addend + products of ")
    return [f"`{row['design']}`", cell, *_found(row)]


def _found(row: Mapping[str, Any]) -> list[str]:
    return [row["result"], f"{row['instances']:,}", f"{row['seconds']:.1f}", row["note"]]


def streams_section(rows: Sequence[Mapping[str, Any]], made_of: str) -> str:
    """What is known of streams and buses, as a part of the page; what is the same for all designs comes once."""
    told = (
        f"All figures of this part are of commit {made_of}, written by `python -m docs.figures.proofs streams`. The "
        "depth is in cycles: of the induction, or from reset where the result is bounded."
    )
    shared = {row["statement"]: row for row in rows if ": " in row["statement"] and "engine" not in row["statement"]}
    own = [row for row in rows if row["statement"] not in shared]
    head = ["of", "statement", "result", "depth", "CPU s"]
    cells = [_stream(f"`{row['design']}`", row["statement"], row) for row in own]
    cells += [_stream(f"`{name.partition(': ')[0]}`", name.partition(": ")[2], row) for name, row in shared.items()]
    return "\n\n".join([told, markdown_table(head, cells).strip()]) + "\n"


def _stream(of: str, statement: str, row: Mapping[str, Any]) -> list[str]:
    depth = "-" if row["depth"] is None else str(row["depth"])
    return [of, statement, row["result"], depth, f"{row['seconds']:.1f}"]


def control_section(rows: Sequence[Mapping[str, Any]], made_of: str) -> str:
    """What is known of the control of small engines, as a part of the page."""
    count = Counter(row["result"] for row in rows)
    told = (
        f"All figures of this part are of commit {made_of}, written by `python -m docs.figures.proofs control`: of "
        f"{len(rows)} engines with streams that stall, "
        + ", ".join(f"{number} {result}" for result, number in count.most_common())
        + ". *Cases* are sizes, or pairs of them; *depth* is the number of cycles from reset to the state that is "
        "farthest from it."
    )
    head = ["design", "engine", "stalls", "result", "cases", "depth", "CPU s", "note"]
    return "\n\n".join([told, markdown_table(head, [_control(row) for row in rows]).strip()]) + "\n"


def _control(row: Mapping[str, Any]) -> list[str]:
    engine, _colon, rest = row["statement"].removeprefix("engine of ").partition(": ")
    stalls = rest.partition("whatever ")[2].removesuffix(" stalls")
    depth = "-" if row["depth"] is None else str(row["depth"])
    result, cases, seconds, note = _found(row)
    return [f"`{row['design']}`", engine, stalls, result, cases, depth, seconds, note]


_PARTS = {
    "cells": (design_names, "cell", cells_section),
    "streams": (lambda: STREAMS, "streams", streams_section),
    "control": (lambda: [name for name in design_names() if load_design(name).headline], "control", control_section),
}


def main(part: str) -> None:
    """Prove, and rewrite a part of the page."""
    made_of, rows = clean_commit(), []
    names, kind, section = _PARTS[part]
    for name in names():
        rows += prove_design(load_design(name), [kind], seconds=SECONDS)
        print(name, Counter(row["result"] for row in rows), flush=True)
    rewrite(section(rows, made_of), *MARKS[part], PATH)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in MARKS:
        sys.exit(f"usage: python -m docs.figures.proofs {' | '.join(MARKS)}")
    main(sys.argv[1])
