"""Writes docs/mutants.md: how many faults of designs their benches find.

Run ``python -m docs.figures.mutants``. What has been found before is taken from the cache.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docs.figures.measured import clean_commit, rewrite
from docs.tables import markdown_table
from macforge.design.design import load_design
from macforge.mutate.design import mutate_design

__all__ = ["MARKS", "PATH", "main", "section"]

PATH = Path(__file__).parents[1] / "mutants.md"
MARKS = ("<!-- mutants: begin -->", "<!-- mutants: end -->")
COUNT = 200
# A design of each family, and those parts of designs that have more than one.
CELLS = (
    "w4a8_ws",
    "w8a8_os",
    "pot_w4a8",
    "flute_nf4a8",
    "fp8_e4m3_exact",
    "mxfp4",
    "abq_w2a8",
    "subword_int8_int4",
    "tmac_w2a8",
    "ternary_lut_a8",
    "xr_npe",
    "bf16_fp32",
    "w8a8_packed",
)
OTHERS = (("mixpe_w4a8", "drain"), ("w8a8_os", "control"), ("w8a8_os", "dma"))


def section(rows: Sequence[Mapping[str, Any]], made_of: str) -> str:
    """All figures, as a part of the page."""
    told = (
        f"All figures are measured, of commit {made_of}, written by `python -m docs.figures.mutants`: {COUNT} faults "
        "of each part, or as many as there are. CPU time is that of the benches."
    )
    head = ["design", "part", "mutants", "killed", "equivalent", "survived", "not decided", "score", "CPU s"]
    return "\n\n".join([told, markdown_table(head, [_cells(row) for row in rows]).strip()]) + "\n"


def _cells(row: Mapping[str, Any]) -> list[str]:
    numbers = [str(row[key]) for key in ("mutants", "killed", "equivalent", "survived", "not decided")]
    score = "-" if row["score"] is None else f"{row['score']:.1%}"
    return [f"`{row['design']}`", row["part"], *numbers, score, f"{row['seconds']:.1f}"]


def main() -> None:
    """Mutate, and rewrite the page."""
    made_of, rows = clean_commit(), []
    for name, part in (*((name, "cell") for name in CELLS), *OTHERS):
        rows.append(mutate_design(load_design(name), part, count=COUNT))
        print(name, part, rows[-1]["score"], flush=True)
    rewrite(section(rows, made_of), *MARKS, PATH)


if __name__ == "__main__":
    main()
