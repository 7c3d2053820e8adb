"""Simulates units of fixed latency: operands in, results out, each on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import In, Out

from hw.core.registers import delayed
from hw.core.unit import Unit, place
from sw_ref.wide import wrapped
from tb.cycles import Timetable, simulate_cycles
from tb.runner import Outcome

__all__ = ["UnitTrial", "simulate_units"]

# Simulations are no longer than this: what is longer goes through several copies of its unit at once.
_CYCLES = 8192


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitTrial:
    """Operands for one unit, and the results that belong to them.

    Parameters
    ----------
    unit : Unit
        With a `latency`, and a new result in each cycle.
    inputs, expected : mapping of str to integer array (steps,)
        Of every input port and every output port; signed and unsigned values count alike.
    """

    unit: Unit
    inputs: Mapping[str, np.ndarray]
    expected: Mapping[str, np.ndarray]

    @property
    def steps(self) -> int:
        """How many results there are."""
        return len(next(iter(self.inputs.values())))


def simulate_units(trials: Sequence[UnitTrial]) -> Outcome:
    """Run trials of different units, all in one simulation; ``failure`` names every unit that differs.

    It begins with one cycle of reset.
    """
    steps = min(_CYCLES, max(trial.steps for trial in trials))
    copies = [-(-trial.steps // steps) for trial in trials]
    bed = _Bed(units=tuple((trial.unit, count) for trial, count in zip(trials, copies, strict=True)))
    cycles = 2 + steps + max(trial.unit.latency for trial in trials)
    inputs, expected, counted = {}, {}, {}
    for trial, count in zip(trials, copies, strict=True):
        name = trial.unit.name
        # what a shorter trial leaves free, its first steps fill again
        order = np.resize(np.arange(trial.steps), (steps, count))
        for port, words in trial.inputs.items():
            inputs[f"{name}_{port}"] = _within(words[order], start=1, cycles=cycles)
        # one register more: that of the bed
        start = 2 + trial.unit.latency
        for port, words in trial.expected.items():
            signed = wrapped(words, len(trial.unit.ports()[port][0]))
            expected[f"{name}_{port}"] = _within(signed[order], start=start, cycles=cycles)
            counted[f"{name}_{port}"] = _within(np.ones_like(order, bool), start=start, cycles=cycles)
    timetable = Timetable(reset=np.arange(cycles) == 0, inputs=inputs, expected=expected, counted=counted)
    return simulate_cycles(bed, timetable)


def _within(words: np.ndarray, *, start: int, cycles: int) -> np.ndarray:
    """``words`` from cycle ``start`` on, and zeros in all others."""
    return np.pad(words, ((start, cycles - start - len(words)), (0, 0)))


class _Bed(Unit):
    """Units side by side, each there several times, with a register behind every output.

    Parameters
    ----------
    units : tuple of (Unit, int)
        The int tells how many times.
    """

    def __init__(self, *, units: tuple[tuple[Unit, int], ...]) -> None:
        self.units = units
        names = [unit.name for unit, _copies in units]
        if len(set(names)) != len(names):
            raise ValueError(f"Trials must be of different units, not {', '.join(names)}")
        super().__init__(
            {
                f"{unit.name}_{port}": (In if flow == In else Out)(copies * len(value))
                for unit, copies in units
                for port, (value, flow) in unit.ports().items()
            }
        )

    @property
    def name(self) -> str:
        return "unit_bed"

    def circuit(self, platform: object) -> Module:
        m = Module()
        for unit, copies in self.units:
            placed = [place(m, f"{unit.name}_{copy}", self._another(unit)) for copy in range(copies)]
            for port, (value, flow) in unit.ports().items():
                whole = getattr(self, f"{unit.name}_{port}")
                if flow == In:
                    for copy, each in enumerate(placed):
                        m.d.comb += getattr(each, port).eq(whole.word_select(copy, len(value)))
                else:
                    words = Cat(getattr(each, port) for each in placed)
                    m.d.comb += whole.eq(delayed(m, words, 1, name=f"{unit.name}_{port}_register"))
        return m

    def _another(self, unit: Unit) -> Unit:
        """One more that is equal, since a component has but one place."""
        kind: Any = type(unit)
        return kind(**unit.arguments)
