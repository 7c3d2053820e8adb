"""Simulates processing elements: codes through both encoders and the core, against the model."""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import In, Out

from dataflow.array.edge import edge_latency
from hw.core.registers import delayed
from hw.core.unit import Unit, place
from pe.base import PE
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum
from sw_ref.formats.base import Format
from sw_ref.formats.nonfinite import zeroed
from sw_ref.interval import Interval
from sw_ref.wide import exactly, integer_type, wrapped
from tb.cycles import Timetable, simulate_cycles
from tb.draw import draw
from tb.runner import Outcome

__all__ = ["EncodedCore", "Trial", "simulate_cores", "timetable_of_cores", "trial_of"]

# Simulations are no longer than this: what is longer goes through several copies of its core at once.
_CYCLES = 16384

# Random steps, and as many whose lanes are at ends: sums of several lanes seldom saturate otherwise.
_RANDOM_STEPS = 2048


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """Steps for one core to compute, each on its own.

    Parameters
    ----------
    pe : PE
    accumulator : Accumulator or FloatSum
    act, weight : ndarray (steps, lanes)
        Codes; of a mode with fewer lanes, the first ones of a step.
    mask : bool array (steps, lanes)
        Lanes that count; those that belong to one product are alike.
    addend : integer array (steps,)
    mode : int array (steps,), optional
        Which of `PE.modes` a step is of; the first if left out.
    """

    pe: PE
    accumulator: Accumulator | FloatSum
    act: np.ndarray
    weight: np.ndarray
    mask: np.ndarray
    addend: np.ndarray
    mode: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.mode is None:
            object.__setattr__(self, "mode", np.zeros(len(self.act), np.int64))

    @property
    def name(self) -> str:
        """That of the core, which tells everything about it."""
        return self.pe.core(self.accumulator).name

    @property
    def _modes(self) -> np.ndarray:
        """`mode`, which is never None once it is made."""
        assert self.mode is not None
        return self.mode

    @property
    def sums(self) -> np.ndarray:
        """What the model says: integers (steps,), or codes of floats as the integers that their bits are."""
        if isinstance(self.accumulator, FloatSum):
            return self._float_sums(self.accumulator)
        return self.accumulator.apply(self.totals)

    def _float_sums(self, sums: FloatSum) -> np.ndarray:
        """Of an element with one mode, as are all with such sums."""
        (mode,), lowest = self.pe.modes, self.pe.lowest
        assert lowest is not None
        act = mode.act.decode(zeroed(mode.act, self.act)) * self.mask
        weight = mode.weight.decode(zeroed(mode.weight, self.weight))
        each = [
            sums.sums(x[None], y[:, None], mode.lanes, lowest=lowest, start=addend)
            for x, y, addend in zip(act, weight, self.addend, strict=True)
        ]
        return wrapped(np.concatenate(each).ravel(), sums.bits)

    @property
    def totals(self) -> np.ndarray:
        """The exact sums, before the accumulator keeps them (steps,)."""
        added = np.zeros(len(self._modes), integer_type(self.pe.term.signed_bits))
        for index, mode in enumerate(self.pe.modes):
            steps = self._modes == index
            act = mode.act.to_fixed(zeroed(mode.act, self.act[steps, : mode.lanes]))
            weight = mode.weight.to_fixed(zeroed(mode.weight, self.weight[steps, : mode.lanes]))
            mask = self.mask[steps, :: self.pe.lanes // mode.lanes]
            added[steps] = self.pe.rule.dots(act * mask, weight)
        return exactly(operator.add, self.addend, added)

    def words(self, port: str) -> np.ndarray:
        """What goes into ``port`` of the bed, (steps, words of equal width)."""
        words = getattr(self, port).reshape(len(self._modes), -1)
        if port not in ("act", "weight") or len(self.pe.modes) == 1:
            return words
        # codes of different widths have nothing but their bits in common; those above them may be anything
        all_bits = {"act": self.pe.row_code_bits, "weight": self.pe.column_code_bits}[port]
        bits = np.random.default_rng(all_bits).integers(0, 2, (len(words), all_bits))
        for index, mode in enumerate(self.pe.modes):
            steps, width = self._modes == index, getattr(mode, port).bits
            packed = words[steps, : mode.lanes, None] >> np.arange(width) & 1
            bits[steps, : mode.lanes * width] = packed.reshape(-1, mode.lanes * width)
        return bits


def trial_of(pe: PE, accumulator: Accumulator, *, random: np.random.Generator) -> Trial:
    """A trial of one core.

    For each mode: every pair of codes if they have at most 16 bits together and there is one lane; else, and for the
    addend and the mask, corners and random values; several lanes are at corners alike and each on its own. Steps of
    several modes come in random order. Where the accumulator refuses to overflow, addends leave room for one step.
    """
    parts = [_steps(pe, index, random) for index in range(len(pe.modes))]
    mode, act, weight, mask = (np.concatenate(part) for part in zip(*parts, strict=True))
    if len(parts) > 1:
        order = random.permutation(len(mode))
        mode, act, weight, mask = (part[order] for part in (mode, act, weight, mask))
    addend = _addends(pe, accumulator, len(act), random)
    return Trial(pe=pe, accumulator=accumulator, mode=mode, act=act, weight=weight, mask=mask, addend=addend)


def simulate_cores(trials: Sequence[Trial], *, waves: str = "") -> Outcome:
    """Run trials of different cores, all in one simulation, and hold their sums against `Trial.sums`.

    ``failure`` names every core that differs. ``waves``, "vcd" or "fst", is the format of waves to record.
    """
    return simulate_cycles(*timetable_of_cores(trials), waves=waves)


def timetable_of_cores(trials: Sequence[Trial]) -> tuple[Unit, Timetable]:
    """A bed with the cores of trials, several times each where that shortens the simulation, and what goes through."""
    steps = min(_CYCLES, max(len(trial.act) for trial in trials))
    copies = [-(-len(trial.act) // steps) for trial in trials]
    bed = _Bed(cores=tuple((t.pe, t.accumulator, count) for t, count in zip(trials, copies, strict=True)))
    cycles = 1 + steps + bed.latency
    inputs, expected, counted = {}, {}, {}
    for trial, count in zip(trials, copies, strict=True):
        # what a shorter trial leaves free, its first steps fill again
        order = np.resize(np.arange(len(trial.act)), (steps, count))
        for port in ("act", "weight", "mask", "addend", *(("mode",) if trial.pe.mode_bits else ())):
            words = trial.words(port)[order].reshape(steps, -1)
            inputs[f"{trial.name}_{port}"] = _within(words, start=1, cycles=cycles)
        port = f"{trial.name}_sum"
        expected[port] = _within(trial.sums[order], start=1 + bed.latency, cycles=cycles)
        counted[port] = _within(np.ones_like(order, bool), start=1 + bed.latency, cycles=cycles)
    return bed, Timetable(reset=np.arange(cycles) == 0, inputs=inputs, expected=expected, counted=counted)


def _within(words: np.ndarray, *, start: int, cycles: int) -> np.ndarray:
    """``words`` from cycle ``start`` on, and zeros in all others."""
    return np.pad(words, ((start, cycles - start - len(words)), (0, 0)))


def _ends(side: Format) -> np.ndarray:
    """Codes at the ends of the two halves of the code space."""
    ends = np.unique([0, 1, (1 << side.bits - 1) - 1, 1 << side.bits - 1, (1 << side.bits) - 1])
    return ends[ends < 1 << side.bits]


def _corners(act: Format, weight: Format) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of `_ends`."""
    pairs = np.meshgrid(_ends(act), _ends(weight))
    return pairs[0].ravel(), pairs[1].ravel()


def _lanes_at_ends(side: Format, lanes: int, random: np.random.Generator) -> np.ndarray:
    """In each step, each lane has one of two `_ends`: in half of the steps those of the least and the largest value."""
    ends = _ends(side)
    values = side.decode(zeroed(side, ends))
    two = random.choice(ends, (_RANDOM_STEPS, 2))
    two[::2] = ends[[values.argmin(), values.argmax()]]
    return np.take_along_axis(two, random.integers(0, 2, (_RANDOM_STEPS, lanes)), axis=1)


def _steps(pe: PE, index: int, random: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Mode, act, weight and mask of steps of one mode."""
    mode, slots = pe.modes[index], pe.lanes // pe.modes[index].lanes
    sides = (mode.act, mode.weight)
    corners = _corners(*sides)
    act, weight = (_codes(side, corner, pe.lanes, random) for side, corner in zip(sides, corners, strict=True))
    mask = random.random((len(act), mode.lanes)) < random.choice([0.8, 1.0], (len(act), 1))
    mask[: len(corners[0])] = True
    if mode.lanes == 1 and mode.act.bits + mode.weight.bits <= 16:
        pairs = np.repeat(np.arange(1 << mode.act.bits + mode.weight.bits)[:, None], pe.lanes, axis=1)
        act = np.concatenate([act, pairs >> mode.weight.bits])
        weight = np.concatenate([weight, pairs & ((1 << mode.weight.bits) - 1)])
        mask = np.concatenate([mask, np.full((len(pairs), 1), True)])
    return np.full(len(act), index), act, weight, np.repeat(mask, slots, axis=1)


def _codes(side: Format, corners: np.ndarray, lanes: int, random: np.random.Generator) -> np.ndarray:
    """Corners in all lanes alike, random codes, and of several lanes each at an end on its own."""
    codes = [np.repeat(corners[:, None], lanes, axis=1), random.integers(0, 1 << side.bits, (_RANDOM_STEPS, lanes))]
    return np.concatenate([*codes, _lanes_at_ends(side, lanes, random)] if lanes > 1 else codes)


def _addends(pe: PE, accumulator: Accumulator, count: int, random: np.random.Generator) -> np.ndarray:
    room = accumulator.interval
    if accumulator.overflow == "refuse":
        step = pe.term | 0
        room = Interval(room.lo - step.lo, room.hi - step.hi)
    addends = draw(random, room, count)
    corners = random.choice(np.array([room.lo, room.hi, 0], addends.dtype), count)
    return np.where(random.random(count) < 0.5, corners, addends)


class EncodedCore(Unit):
    """A core with the encoders of its row and column: codes in, a sum out, `latency` cycles later.

    Parameters
    ----------
    pe : PE
    accumulator : Accumulator or FloatSum
    """

    def __init__(self, *, pe: PE, accumulator: Accumulator | FloatSum) -> None:
        self.pe = pe
        self.accumulator = accumulator
        ports = {
            "act": In(pe.row_code_bits),
            "mask": In(pe.lanes),
            "weight": In(pe.column_code_bits),
            **({"mode": In(pe.mode_bits)} if pe.mode_bits else {}),
            "addend": In(accumulator.bits),
        }
        self.given = tuple(ports)
        super().__init__({**ports, "sum": Out(accumulator.bits)})

    @property
    def name(self) -> str:
        return f"{self.pe.core(self.accumulator).name}_encoded"

    @property
    def latency(self) -> int:
        """Cycles from the codes to the sum."""
        return edge_latency(self.pe, masked=True) + self.pe.latency + self.pe.interleave - 1

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe, edge = self.pe, edge_latency(self.pe, masked=True)
        row = place(m, "row", pe.row_encoder(masked=True))
        column = place(m, "column", pe.column_encoder())
        core = place(m, "core", pe.core(self.accumulator))
        if pe.mode_bits:
            m.d.comb += [row.mode.eq(self.mode), column.mode.eq(self.mode)]
        m.d.comb += [
            row.codes.eq(self.act),
            row.mask.eq(self.mask),
            column.codes.eq(self.weight),
            core.act.eq(delayed(m, row.operand, edge - row.latency, name="act_wait")),
            core.weight.eq(delayed(m, column.operand, edge - column.latency, name="weight_wait")),
            core.addend.eq(delayed(m, self.addend, edge + pe.latency, name="addend_wait")),
            self.sum.eq(core.sum),
        ]
        return m


class _Bed(Unit):
    """Cores with their encoders, side by side; each is there several times.

    The sum of core ``<name>``, for each copy, belongs to its codes, mask and addend of `latency` cycles ago.

    Parameters
    ----------
    cores : tuple of (PE, Accumulator or FloatSum, int)
        The int tells how many times.
    """

    def __init__(self, *, cores: tuple[tuple[PE, Accumulator | FloatSum, int], ...]) -> None:
        self.cores = cores
        names = [pe.core(accumulator).name for pe, accumulator, _copies in cores]
        if len(set(names)) != len(names):
            raise ValueError(f"Trials must be of different cores, not {', '.join(names)}")
        ports = {}
        for name, (pe, accumulator, copies) in zip(names, cores, strict=True):
            core = EncodedCore(pe=pe, accumulator=accumulator)
            ports |= {f"{name}_{port}": In(copies * len(getattr(core, port))) for port in core.given}
            ports[f"{name}_sum"] = Out(copies * accumulator.bits)
        super().__init__(ports)

    @property
    def name(self) -> str:
        return "core_bed"

    @functools.cached_property
    def latency(self) -> int:
        """Cycles from the codes to the sum: those of the slowest core, and one register."""
        return 1 + max(EncodedCore(pe=pe, accumulator=kept).latency for pe, kept, _copies in self.cores)

    def circuit(self, platform: object) -> Module:
        m = Module()
        for pe, accumulator, copies in self.cores:
            name = pe.core(accumulator).name
            m.d.comb += getattr(self, f"{name}_sum").eq(
                Cat(self._core(m, pe, accumulator, name, copy) for copy in range(copies))
            )
        return m

    def _core(self, m: Module, pe: PE, accumulator: Accumulator | FloatSum, name: str, copy: int):
        """One core's sum."""
        core = place(m, f"{name}_{copy}", EncodedCore(pe=pe, accumulator=accumulator))
        for port in core.given:
            taken = getattr(core, port)
            m.d.comb += taken.eq(getattr(self, f"{name}_{port}").word_select(copy, len(taken)))
        return delayed(m, core.sum, self.latency - core.latency, name="sum")
