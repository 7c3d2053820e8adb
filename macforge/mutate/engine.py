"""The parts of a design's engine besides its array: the drain edge, and all that controls both."""

from collections.abc import Callable

from dataflow.engine.base import Engine
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design
from macforge.mutate.stimuli import control_products, drain_products, small
from macforge.mutate.subject import Subject
from sw_ref.engine.product import Product
from tb.cycles import Joined
from tb.mutation.netlist import below
from tb.mutation.player import EnginePlayer

__all__ = ["control_subject", "drain_subject"]


def drain_subject(design: Design) -> Subject:
    """The drain edge of a small engine.

    Raises
    ------
    ValueError
        If the design has none.
    """
    reduced = small(design)
    edge = reduced.engine.edge
    if edge is None:
        raise ValueError(f"Part must be cell, control or dma for {design.name}, which has no drain edge, not drain")
    return _subject(reduced, lambda text: below(text, edge.module_name), drain_products(reduced))


def control_subject(design: Design) -> Subject:
    """All of a small engine that is neither array nor drain edge."""
    reduced = small(design)
    engine = reduced.engine

    def modules(text: str) -> set[str]:
        others = [unit.module_name for unit in (engine.array, engine.edge) if unit is not None]
        return below(text, engine.module_name) - below(text, *others)

    return _subject(reduced, modules, control_products(reduced))


def _subject(design: Design, modules: Callable[[str], set[str]], products: list[Product]) -> Subject:
    engine: Engine = design.engine
    unit = Joined(unit=engine)
    return Subject(
        unit=unit,
        modules=frozenset(modules(emit_verilog(unit))),
        bench=lambda mutants: EnginePlayer(mutants, products),
    )
