"""Writes what check columns take into docs/figures.md.

    python -m docs.figures.checksums

Only the part between the two marks is replaced. It names the commit that it was made of; a tree with changes is
refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from docs.figures.measured import clean_commit, rewrite
from docs.tables import markdown_table
from fpga.count import Resources
from fpga.map.synth import synthesize
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design, load_design
from macforge.measure.area import fitted
from sw_ref.arith.checksum import CHECKSUMS
from sw_ref.engine.schedule import schedule_of

__all__ = ["BEGIN", "END", "Measured", "main", "measure", "section"]

BEGIN, END = "<!-- checksums: begin -->", "<!-- checksums: end -->"
_DESIGNS = ("w8a8_os", "w4a8_ws")
_CELLS = (8, 16)
_FAMILIES = {"xc7": "xc7", "ecp5": "ECP5"}
# Of the product whose cycles are given, each way.
_SIZE = 256


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A design's array with what judges its rows, in each family, and the predicted cycles of a product."""

    design: str
    cells: int
    checksum: str
    resources: Mapping[str, Resources]
    cycles: int


def measure(design: Design) -> Measured:
    """Synthesize a design's array, with its check columns, and what judges rows of sums, for each family."""
    spec = design.engine.spec
    return Measured(
        design=design.name,
        cells=design.array.rows,
        checksum=design.array.checksum,
        resources={family: _resources(design, family) for family in _FAMILIES},
        cycles=schedule_of(spec, m=_SIZE, n=_SIZE, k=_SIZE).cycles,
    )


def _resources(design: Design, family: str) -> Resources:
    engine = fitted(design, family).engine
    units = [engine.array, *([engine.verdict] if engine.verdict else [])]
    parts = [synthesize(emit_verilog(unit), top=unit.name, family=family, dsp=design.pe.uses_dsp) for unit in units]
    return sum((part.resources for part in parts), Resources())


def section(measured: Sequence[Measured], made_of: str) -> str:
    """The measured part of the page."""
    head = ["design", "array", "checksum"]
    for title in _FAMILIES.values():
        head += [f"{title} LUT", "ratio", "FF", "ratio"]
    told = (
        f"All figures of this part are of commit {made_of}, written by `python -m docs.figures.checksums`: the array "
        "with its check columns and the unit that judges its rows, as Yosys maps them without DSP blocks. *Ratio* is "
        "against the same array without a checksum. Cycles are those that the schedule predicts for a product of "
        f"{_SIZE} x {_SIZE} x {_SIZE}."
    )
    plain = {(one.design, one.cells): one for one in measured if one.checksum == "none"}
    rows = [_cells(one, plain[one.design, one.cells]) for one in measured]
    return "\n\n".join([told, markdown_table([*head, "cycles"], rows).strip()]) + "\n"


def _cells(one: Measured, plain: Measured) -> list[str]:
    cells = [f"`{one.design}`", f"{one.cells} x {one.cells}", one.checksum]
    for family in _FAMILIES:
        for kind in ("lut", "ff"):
            found, before = (getattr(each.resources[family], kind) for each in (one, plain))
            cells += [f"{found:,}", f"{found / before:.2f}"]
    return [*cells, f"{one.cycles:,}"]


def main() -> None:
    """Measure all designs, and write them into the page."""
    made_of, measured = clean_commit(), []
    for name in _DESIGNS:
        for cells in _CELLS:
            for checksum in CHECKSUMS:
                size = [f"array.rows={cells}", f"array.cols={cells}"]
                measured.append(measure(load_design(name, [*size, f"array.checksum={checksum}"])))
                print(name, cells, checksum, flush=True)
    rewrite(section(measured, made_of), BEGIN, END)


if __name__ == "__main__":
    main()
