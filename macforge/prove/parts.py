"""The parts of a proof: one entry each."""

from collections.abc import Callable, Mapping

from macforge.design.design import Design
from macforge.prove.cell import cell_statements
from macforge.prove.control import control_statements
from macforge.prove.mapping import mapping_statements
from macforge.prove.statement import Statement
from macforge.prove.streams import stream_statements

__all__ = ["PARTS"]

PARTS: Mapping[str, Callable[[Design], list[Statement]]] = {
    "cell": cell_statements,
    "streams": stream_statements,
    "control": control_statements,
    "mapping": mapping_statements,
}
"""Statements of each part, about a design."""
