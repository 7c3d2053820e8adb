"""Writes what stock synthesis makes of delivered Verilog into docs/figures.md.

    python -m docs.figures.stock

Only the part between the two marks is replaced. It names the commit that it was made of; a tree with changes is
refused. What was synthesized before is taken from the cache.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from docs.figures.measured import clean_commit, rewrite
from docs.tables import markdown_table
from fpga import families
from fpga.count import Resources, count
from fpga.map.synth import map_netlist, synthesize
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design, load_design
from macforge.emit.family import family_modules
from macforge.emit.verilog import tool_versions
from macforge.measure.area import fitted

__all__ = ["BEGIN", "DESIGNS", "END", "FAMILIES", "Row", "main", "rows", "section"]

BEGIN, END = "<!-- stock: begin -->", "<!-- stock: end -->"
FAMILIES = ("ecp5", "nexus", "xc7", "xcup")
DESIGNS = (
    "w4a8_ws",
    "w8a8_os",
    "mixpe_w4a8",
    "mxfp4",
    "mxfp8_e4m3",
    "lut_tensor_core_w2a8",
    "flute_nf4a8",
    "pot_w4a8",
    "xr_npe",
    "bf16_fp32",
    "w4a4_packed",
    "w8a8_packed",
    "rbe_w4a4",
)
# A cell of these takes a thousand LUTs, and stock synthesis of many an hour.
_CELLS, _LARGE = 4, {"xr_npe": 2, "mxfp8_e4m3": 2}


@dataclass(frozen=True, kw_only=True)
class Row:
    """The array or the drain edge of a design on a family.

    Attributes
    ----------
    design, family, part
    printed
        What `macforge area` counts.
    portable, delivered
        What the stock flow makes of it, out of the portable file and out of that for the family.
    """

    design: str
    family: str
    part: str
    printed: Resources
    portable: Resources
    delivered: Resources

    @property
    def ratios(self) -> tuple[float, float]:
        """LUTs of the portable file and of the family's, to those printed."""
        return self.portable.lut / self.printed.lut, self.delivered.lut / self.printed.lut


def rows(designs: Sequence[str] = DESIGNS, targets: Sequence[str] = FAMILIES) -> Iterator[Row]:
    """A row for the array of each design, and for its drain edge if it has one."""
    for family in targets:
        for name in designs:
            yield from _rows_of(load_design(name).resized(_LARGE.get(name, _CELLS)), family)


def _rows_of(design: Design, family: str) -> Iterator[Row]:
    own = fitted(design, family)
    dsp = own.pe.uses_dsp
    texts = family_modules(own, family).texts
    for part in ("array", "edge"):
        unit, fit = getattr(design.engine, part), getattr(own.engine, part)
        if unit is None:
            continue
        printed = synthesize(emit_verilog(fit), top=fit.name, family=family, dsp=dsp).resources
        portable = emit_verilog(unit, name=unit.module_name)
        delivered = emit_verilog(fit, name=fit.module_name, replaced=texts)
        yield Row(
            design=design.name,
            family=family,
            part=part,
            printed=printed,
            portable=_stock(portable, top=unit.module_name, family=family, dsp=dsp),
            delivered=_stock(delivered, top=fit.module_name, family=family, dsp=dsp),
        )


def _stock(verilog: str, *, top: str, family: str, dsp: bool) -> Resources:
    """What the family's own Yosys command makes of the modules, with nothing of macforge's."""
    target = families.find(family)
    netlist = map_netlist(verilog, top=top, flow=target.synth(dsp=dsp, flatten=True), absorbing=False)
    return count(netlist, target, top=top)


def section(measured: Sequence[Row], made_of: str) -> str:
    """The measured part of the page."""
    version = tool_versions()["yosys"]
    parts = [
        f"All figures of this part are of commit {made_of}, written by `python -m docs.figures.stock`. Arrays have "
        f"{_CELLS} x {_CELLS} cells, those of {' and '.join(f'`{name}`' for name in _LARGE)} 2 x 2. The flow is the "
        f"own command for the family of Yosys {version}, run on the modules of the array, or of the drain edge, that "
        "`macforge verilog` writes.",
    ]
    for family in dict.fromkeys(row.family for row in measured):
        own = [row for row in measured if row.family == family]
        summary = "; ".join(
            f"{what} at most {max(found):.2f}, median {statistics.median(found):.2f}"
            for what, found in zip(
                ("portable file", "family file"), zip(*(row.ratios for row in own), strict=True), strict=True
            )
        )
        cells = [
            [
                f"`{row.design}`",
                row.part,
                str(row.printed.lut),
                str(row.portable.lut),
                f"{row.ratios[0]:.2f}",
                str(row.delivered.lut),
                f"{row.ratios[1]:.2f}",
                f"{row.printed.ff} / {row.delivered.ff}",
            ]
            for row in own
        ]
        head = ["design", "part", "`macforge area`", "portable", "ratio", "`--family`", "ratio", "FF"]
        parts += [
            f"### {families.find(family).title}",
            f"LUTs to those printed: {summary}.",
            markdown_table(head, cells),
        ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def main() -> None:
    """Measure everything and write it into the page."""
    made_of = clean_commit()
    measured = []
    for row in rows():
        measured.append(row)
        print(row.family, row.design, row.part, *(f"{ratio:.3f}" for ratio in row.ratios), flush=True)
    rewrite(section(measured, made_of), BEGIN, END)


if __name__ == "__main__":
    main()
