"""Statements about a design in a family's cells: what takes the place of portable modules equals them."""

from functools import partial

from fpga.families import FAMILIES
from fpga.map.equal import UnprovenError
from hw.emit import yosys
from macforge.design.design import Design
from macforge.emit.family import family_modules
from macforge.measure.area import fitted
from macforge.prove.statement import Statement, Verdict

__all__ = ["mapping_statements"]


def mapping_statements(design: Design) -> list[Statement]:
    """One for each family whose cells Yosys has models of."""
    return [
        Statement(
            part="mapping",
            text=f"modules of array and drain edge in cells of {family.title} equal the portable ones",
            decide=partial(_decide, design, name),
        )
        for name, family in FAMILIES.items()
        if family.models
    ]


def _decide(design: Design, family: str, _seconds: float) -> Verdict:
    engine = f"Yosys {yosys.version()}"
    try:
        modules = family_modules(fitted(design, family), family)
    except UnprovenError as error:
        return Verdict(result="broken", engine=engine, note=str(error))
    proven, blocks = (sum(len(getattr(part, kind)) for part in modules.parts) for kind in ("proven", "blocks"))
    return Verdict(
        result="proven",
        engine=engine,
        instances=proven,
        note=f"{blocks} with a cell that has no model are simulated" if blocks else "",
    )
