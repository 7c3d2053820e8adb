"""Writes what whole engines take, and how fast they are, into docs/figures.md.

    python -m docs.figures.engines

Only the part between the two marks is replaced. It names the commit that it was made of; a tree with changes is
refused. What was placed before is taken from the cache: place and route of an engine takes minutes for each seed.
"""

import sys
from collections.abc import Sequence

from docs.figures.measured import clean_commit, rewrite
from docs.tables import markdown_table
from macforge.design.design import load_design
from macforge.measure.area import AreaReport, area
from macforge.measure.whole import WholeReport, whole

__all__ = ["BEGIN", "DESIGNS", "END", "above_arrays", "main", "section"]

BEGIN, END = "<!-- engines: begin -->", "<!-- engines: end -->"
DESIGNS = ("w8a8_os", "w4a8_ws", "mixpe_w4a8", "mxfp4")
SEEDS = (1, 2, 3)
# Of those whose engines are held against their arrays.
_LARGE = ("array.rows=16", "array.cols=16")


def section(measured: Sequence[WholeReport], made_of: str) -> str:
    """The measured part of the page."""
    head = ["design", "array", "LUT4", "FF", "block RAM", "MHz", "by seed", "limited by", "cells + wires, ns"]
    told = (
        f"All figures of this part are of commit {made_of}, written by `python -m docs.figures.engines`: ECP5-85F, "
        "speed grade 6, Yosys and nextpnr, out of context. MHz is the median of three seeds of the placer; what limits "
        "it is the slowest path of the median seed, from one register to another."
    )
    return "\n\n".join([told, markdown_table(head, [_cells(each) for each in measured]).strip()]) + "\n"


def above_arrays(measured: Sequence[tuple[AreaReport, WholeReport]]) -> str:
    """What engines of 16 x 16 cells take above their arrays."""
    head = ["design", "array", "LUT4 of the array", "of the engine", "ratio", "most of the rest"]
    told = (
        "Of the same designs with 16 x 16 cells, as synthesized: LUT4 of the array with the edges of its operands, of "
        "the whole engine, and which parts take most of the rest."
    )
    return "\n\n".join([told, markdown_table(head, [_above(*each) for each in measured]).strip()]) + "\n"


def _above(array: AreaReport, engine: WholeReport) -> list[str]:
    # in the engine, the array is what it is by itself
    others = [(name, part) for name, part in engine.parts.items() if part.lut != array.resources.lut]
    rest = sorted(others, key=lambda other: -other[1].lut)[:3]
    return [
        f"`{engine.design}`",
        f"{engine.rows} x {engine.cols}",
        f"{array.resources.lut:,}",
        f"{engine.resources.lut:,}",
        f"{engine.resources.lut / array.resources.lut:.2f}",
        ", ".join(f"`{name}` {part.lut:,}" for name, part in rest),
    ]


def _cells(one: WholeReport) -> list[str]:
    timing, resources = one.timing, one.resources
    by_seed = sorted(timing.fmax_mhz.items(), key=lambda each: each[1])
    seed, median = by_seed[len(by_seed) // 2]
    path = timing.slowest[seed]
    return [
        f"`{one.design}`",
        f"{one.rows} x {one.cols}",
        f"{resources.lut:,}",
        f"{resources.ff:,}",
        f"{resources.bram:g}",
        f"{median:.0f}",
        ", ".join(f"{timing.fmax_mhz[each]:.0f}" for each in timing.fmax_mhz),
        f"`{path.start}` to `{path.end}`",
        f"{path.logic_ns:.1f} + {path.wire_ns:.1f}",
    ]


def main(names: Sequence[str] = ()) -> None:
    """Measure some designs, or those of `DESIGNS`, and write them into the page."""
    made_of = clean_commit()
    measured = []
    for name in names or DESIGNS:
        measured.append(whole(load_design(name), seeds=SEEDS))
        print(name, dict(measured[-1].timing.fmax_mhz), flush=True)
    large = [load_design(name, _LARGE) for name in names or DESIGNS]
    above = [(area(design, family="ecp5", seeds=()), whole(design, seeds=())) for design in large]
    rewrite(section(measured, made_of) + "\n" + above_arrays(above), BEGIN, END)


if __name__ == "__main__":
    main(sys.argv[1:])
