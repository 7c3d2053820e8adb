"""A design's cell with the encoders of its row and column, and the bench of cores."""

import itertools

import numpy as np
from amaranth.lib.wiring import In

from hw.emit.verilog import emit_verilog
from macforge.design.design import Design
from macforge.mutate.stimuli import drain_products, small
from macforge.mutate.subject import Subject
from pe.float.family import FloatProduct
from sw_ref.arith.accumulate import Accumulator
from tb.core import timetable_of_cores, trial_of
from tb.cycles import Joined
from tb.float_core import float_trial_of
from tb.mutation.netlist import below
from tb.mutation.player import CyclesPlayer, EnginePlayer

__all__ = ["cell_subject"]


def cell_subject(design: Design) -> Subject:
    """The cell on its own; where cells keep the sums of several, the array of a small engine."""
    pe, sums = design.pe, design.sums
    if pe.block is not None:
        return _array_subject(small(design))
    random = np.random.default_rng(0)
    if isinstance(sums, Accumulator):
        trial = trial_of(pe, sums, random=random)
    else:
        assert isinstance(pe, FloatProduct), "no other family has sums that are floats"
        trial = float_trial_of(pe, sums, random=random)
    bed, timetable = timetable_of_cores([trial])
    unit = Joined(unit=bed)
    tops = (pe.row_encoder(masked=True), pe.column_encoder(), pe.core(sums))
    modules = below(emit_verilog(unit), *(top.module_name for top in tops))
    slots = timetable.bits(bed)
    places, at = {}, 0
    for port, (value, flow) in bed.ports().items():
        if flow == In:
            places[port.removeprefix(f"{trial.name}_")] = at, len(value) // slots[port], slots[port]
            at += len(value)
    return Subject(
        unit=unit,
        modules=frozenset(modules),
        bench=lambda mutants: CyclesPlayer(mutants, timetable),
        only_delays=True,
        allowed=_allowed(design, places),
    )


def _allowed(design: Design, places: dict[str, tuple[int, int, int]]) -> dict[tuple[str, int, int], list[int]]:
    """Modes that there are, and masks in which the lanes of a product are alike."""
    pe, found = design.pe, {}
    if pe.mode_bits:
        start, count, bits = places["mode"]
        for slot in range(count):
            found["inputs", start + slot * bits, bits] = list(range(len(pe.modes)))
        slots = [pe.lanes // mode.lanes for mode in pe.modes]
        masks = {
            sum(value * ((1 << each) - 1) << lane * each for lane, value in enumerate(lanes))
            for each in slots
            for lanes in itertools.product((0, 1), repeat=pe.lanes // each)
        }
        start, count, bits = places["mask"]
        for copy in range(count * bits // pe.lanes):
            found["inputs", start + copy * pe.lanes, pe.lanes] = sorted(masks)
    return found


def _array_subject(design: Design) -> Subject:
    unit = Joined(unit=design.engine)
    return Subject(
        unit=unit,
        modules=frozenset(below(emit_verilog(unit), design.engine.array.module_name)),
        bench=lambda mutants: EnginePlayer(mutants, drain_products(design)),
    )
