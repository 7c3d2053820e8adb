"""The parts of a design that get faults: one entry each."""

from collections.abc import Callable, Mapping

from macforge.design.design import Design
from macforge.mutate.accelerator import dma_subject
from macforge.mutate.cell import cell_subject
from macforge.mutate.engine import control_subject, drain_subject
from macforge.mutate.subject import Subject

__all__ = ["PARTS", "parts_of"]

PARTS: Mapping[str, Callable[[Design], Subject]] = {
    "cell": cell_subject,
    "drain": drain_subject,
    "control": control_subject,
    "dma": dma_subject,
}
"""What gets faults, and the bench that has to find them, by the name of the part."""


def parts_of(design: Design) -> tuple[str, ...]:
    """Parts that a design has."""
    return tuple(name for name in PARTS if name != "drain" or design.edge is not None)
