"""Faults in netlists: what the players find, what SAT says of them, and that both agree."""

import dataclasses
import os
import time

import numpy as np
import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hw.core.unit import Unit
from hw.emit.tools import ToolError
from hw.emit.verilog import emit_verilog
from pe.mac import IntegerMac
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from tb.core import timetable_of_cores, trial_of
from tb.cycles import Joined, Timetable
from tb.mutation.child import in_child
from tb.mutation.equal import Equivalence
from tb.mutation.netlist import below, mutants_of
from tb.mutation.player import CyclesPlayer


def test_verdicts_of_a_small_cell():
    """What the bench finds differs for some inputs, by SAT; and what it does not find, for none."""
    pe, sums = IntegerMac(act=Int(2), weight=Int(2), pipeline=1), Accumulator(6, "wrap")
    bed, timetable = timetable_of_cores([trial_of(pe, sums, random=np.random.default_rng(0))])
    unit = Joined(unit=bed)
    mutants = mutants_of(unit, below(emit_verilog(unit), pe.core(sums).module_name), count=24)
    assert [each.number for each in mutants.mutations] == list(range(1, 25))
    player, equivalence = CyclesPlayer(mutants, timetable), Equivalence(mutants, seconds=10)
    assert player.failure(0) == ""
    found = {each.number: bool(player.failure(each.number)) for each in mutants.mutations}
    assert {True, False} == set(found.values())
    for number, is_killed in found.items():
        assert equivalence.of_paths(number, {}) == ("different" if is_killed else "equivalent"), number


def test_a_bench_with_a_hole_lets_faults_live():
    """With addends that are always 0, no fault of their highest bits shows."""
    pe, sums = IntegerMac(act=Int(2), weight=Int(2), pipeline=1), Accumulator(6, "wrap")
    trial = trial_of(pe, sums, random=np.random.default_rng(0))
    trial = dataclasses.replace(trial, addend=np.zeros_like(trial.addend), act=np.zeros_like(trial.act))
    bed, timetable = timetable_of_cores([trial])
    unit = Joined(unit=bed)
    mutants = mutants_of(unit, below(emit_verilog(unit), pe.core(sums).module_name), count=24)
    player, equivalence = CyclesPlayer(mutants, timetable), Equivalence(mutants, seconds=10)
    left = [each.number for each in mutants.mutations if not player.failure(each.number)]
    assert "different" in {equivalence.of_paths(number, {}) for number in left}


class Pulses(Unit):
    """Counts up to 2, and says so; a register that is read nowhere matters to nobody."""

    def __init__(self) -> None:
        super().__init__({"enable": In(1), "high": Out(1)})

    @property
    def name(self) -> str:
        return "pulses"

    def circuit(self, platform: object) -> Module:
        m = Module()
        count, shadow = Signal(2), Signal(2)
        m.d.sync += [
            count.eq(Mux(count == 2, 0, count + self.enable)),
            # as much as count, and no more than what is known without it
            shadow.eq(Mux(self.enable, count & ~count, shadow)),
        ]
        m.d.comb += self.high.eq((count == 2) | (shadow[0] & shadow[1] & ~shadow[0]))
        return m


def pulses(cycles):
    """When they come, in plain Python."""
    enable = np.random.default_rng(0).integers(0, 2, cycles)
    enable[0], count, high = 0, 0, [0]
    for each in enable[:-1]:
        count = 0 if count == 2 else count + int(each)
        high.append(-int(count == 2))
    counted = np.arange(cycles)[:, None] > 0
    return Timetable(
        reset=np.arange(cycles) == 0,
        inputs={"enable": enable[:, None]},
        expected={"high": np.array(high)[:, None]},
        counted={"high": counted},
    )


def test_equivalence_of_states_agrees_with_simulation():
    unit = Joined(unit=Pulses())
    mutants = mutants_of(unit, below(emit_verilog(unit), unit.name) | {Pulses().module_name}, count=30)
    player, equivalence = CyclesPlayer(mutants, pulses(400)), Equivalence(mutants, seconds=10)
    assert player.failure(0) == ""
    results = set()
    for each in mutants.mutations:
        result, is_killed = equivalence.of_states(each.number), bool(player.failure(each.number))
        assert not (is_killed and result == "equivalent"), each
        results.add((is_killed, result))
    assert {(True, "open"), (False, "equivalent")} <= results


def test_what_aborts_hangs_or_raises():
    assert in_child(lambda: "wrong", seconds=1).failure == "wrong"
    assert in_child(os.abort, seconds=1).failure == "simulator ended with SIGABRT"
    assert in_child(lambda: os._exit(3), seconds=1).failure == "simulator ended with status 3"
    hung = in_child(spin, seconds=1)
    assert (hung.failure, hung.hung) == ("not done after 1 s of a processor", True)
    with pytest.raises(ToolError, match=r"(?s)^Bench of a mutant raised: .*ZeroDivisionError: "):
        in_child(lambda: str(1 // 0), seconds=1)


def spin():
    while True:
        time.process_time()


class Twos(Unit):
    """Counts in steps of two; nothing reads the lowest bit."""

    def __init__(self) -> None:
        super().__init__({"enable": In(1), "high": Out(1)})

    @property
    def name(self) -> str:
        return "twos"

    def circuit(self, platform: object) -> Module:
        m = Module()
        count = Signal(4)
        m.d.sync += count.eq(Mux(self.enable, count + 2, count))
        m.d.comb += self.high.eq(count[3])
        return m


def test_bits_that_nothing_reads_may_differ():
    unit = Joined(unit=Twos())
    mutants = mutants_of(unit, below(emit_verilog(unit), Twos().name), count=200)
    equivalence = Equivalence(mutants, seconds=10)
    of_lowest, of_highest = (
        [each.number for each in mutants.mutations if each.place.endswith(f".Q[{bit}] ({wire})")]
        for bit, wire in ((0, "count[0]"), (3, "high[0]"))
    )
    assert of_lowest and of_highest
    assert {equivalence.of_states(number) for number in of_lowest} == {"equivalent"}
    assert {equivalence.of_states(number) for number in of_highest} == {"open"}
