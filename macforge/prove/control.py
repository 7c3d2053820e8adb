"""Statements about an engine's control: beats, last results and cycles are the schedule's, whatever stalls."""

import dataclasses
import itertools
import time
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from dataflow.engine.base import Engine
from hw.emit.tools import ToolError
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design
from macforge.prove.statement import Statement, Verdict
from macforge.provenance import cached_figures
from sw_ref.engine.schedule import Schedule, schedule_of
from tb.formal.prove import children_seconds
from tb.formal.reach import Explored, FullError, explore

__all__ = ["control_statements", "schedules", "small_engine", "told"]

_ENGINE = "all states, visited one by one"
_MOST = 3_000_000
_TILES = _PASSES = 2
_OPERANDS = ("command", "act", "weight", "result")


def control_statements(design: Design) -> list[Statement]:
    """Of engines of one cell, or as few as there can be, and of 2 x 2 cells, for all sizes of up to two tiles."""
    least, parameters = max(design.array.tile_rows, design.array.tile_cols), design.engine.parameter_bits
    asked: list[tuple[int, int, tuple[str, ...]]] = [(least, 1, _OPERANDS)]
    if least == 1:
        asked += [(1, 2, _OPERANDS), (2, 1, _OPERANDS)]
    if parameters:
        asked.append((least, 1, (*parameters, "result")))
    return [Statement(part="control", text=_text(*each), decide=partial(_decide, design, *each)) for each in asked]


def _text(cells: int, products: int, stalling: Collection[str]) -> str:
    size = "one cell" if cells == 1 else f"{cells} x {cells} cells"
    after = "" if products == 1 else ", two products one right behind the other"
    return f"engine of {size}{after}: beats and cycles are those of the schedule, whatever {', '.join(stalling)} stalls"


def small_engine(design: Design, cells: int) -> Engine:
    """The engine with few cells, panels of as many rows, and a depth of two tiles, each a group if it has groups."""
    tiling, span = design.tiling, design.pe.lanes
    if design.dataflow == "weight_stationary":
        span *= cells
    group = span if tiling.group_size else 0
    tiling = dataclasses.replace(
        tiling, panel_rows=min(tiling.panel_rows, cells), group_size=group, max_k=_TILES * span
    )
    return dataclasses.replace(design, tiling=tiling).resized(cells).engine


def schedules(engine: Engine) -> list[Schedule]:
    """Of all sizes of up to two tiles, in all modes, with one pass of weights and two."""
    spec = engine.spec
    sides = (_TILES * engine.panel_rows, _TILES * engine.shape.cols, engine.tiling.max_k)
    found = []
    for mode, passes in itertools.product(range(len(spec.modes)), range(1, min(_PASSES, spec.max_passes) + 1)):
        m, n, k = (range(1, side + 1) for side in (*sides[:2], sides[2] // (spec.lanes // spec.modes[mode].lanes)))
        found += [schedule_of(spec, m=m, n=n, k=k, passes=passes, mode=mode) for m, n, k in itertools.product(m, n, k)]
    return found


def _decide(design: Design, cells: int, products: int, stalling: Sequence[str], _seconds: float) -> Verdict:
    """Of the small engine, whose text is what the answer is kept by."""
    try:
        engine = small_engine(design, cells)
    except ValueError as error:
        return Verdict(result="not tried", note=str(error))

    def compute() -> dict[str, Any]:
        start = time.process_time() + children_seconds()
        cases = list(itertools.product(schedules(engine), repeat=products))
        try:
            found = explore(engine, cases, stalling=stalling, most=_MOST)
        except FullError as error:
            return {"open": str(error), "seconds": time.process_time() + children_seconds() - start}
        return {**told(found, cases), "seconds": time.process_time() + children_seconds() - start}

    try:
        found = cached_figures("control", emit_verilog(engine), cells, products, list(stalling), _MOST, compute=compute)
    except ToolError as error:
        return Verdict(result="not tried", note=str(error))
    if "open" in found:
        return Verdict(result="open", engine=_ENGINE, seconds=found["seconds"], note=found["open"])
    return Verdict(
        result="broken" if found["example"] else "proven",
        engine=_ENGINE,
        depth=found["depth"],
        instances=found["cases"],
        seconds=found["seconds"],
        note=found["note"],
        example=found["example"],
    )


def told(found: Explored, cases: Sequence[Sequence[Schedule]]) -> dict[str, Any]:
    """As plain data: what is wrong, with an example, or how much was visited."""
    row: dict[str, Any] = {"depth": found.depth, "cases": len(cases), "example": None}
    if found.broken is not None:
        where = {"products": [_sizes(each) for each in cases[found.broken.case]]}
        note = f"{found.broken.stream} {found.broken.what}".strip()
        return {**row, "note": note, "example": {**where, **dataclasses.asdict(found.broken)}}
    for case, cycles in zip(cases, found.cycles, strict=True):
        if len(case) == 1 and cycles != case[0].cycles:
            example = {"products": [_sizes(case[0])], "cycles": cycles, "scheduled": case[0].cycles}
            return {**row, "note": f"takes {cycles} cycles, not {case[0].cycles}", "example": example}
    return {**row, "note": f"{found.states} states; over {found.longest} cycles after the last stall"}


def _sizes(schedule: Schedule) -> dict[str, int]:
    return {name: getattr(schedule, name) for name in ("m", "n", "k", "group", "passes", "mode")}
