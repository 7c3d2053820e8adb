"""Simulates an array: tiles streamed in with random gaps, results in the cycle that the latency states."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from amaranth.lib.wiring import In

from dataflow.array.output_stationary import OutputStationaryArray
from dataflow.array.weight_stationary import WeightStationaryArray
from sw_ref.arith.accumulate import Accumulator
from sw_ref.engine.sums import model_sums
from sw_ref.interval import Interval
from sw_ref.wide import exactly, integer_type, wrapped
from tb.cycles import Timetable, simulate_cycles
from tb.draw import draw
from tb.runner import Outcome

__all__ = ["Tile", "simulate_array", "timetable_of"]

Array = OutputStationaryArray | WeightStationaryArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Tile:
    """What an array computes in one go: ``act @ weight``.

    Parameters
    ----------
    act, weight : ndarray
        Codes (M, K) and (K, N), where N is the array's columns. Output-stationary: M is its rows, K any.
        Weight-stationary: M any, K at most its rows times lanes.
    base : integer array (M, N), optional
        What the array adds its products to; only weight-stationary.
    abandon_after : int, optional
        Reset the array this many cycles into the tile, and go on with the next.
    mode : int
        Which of the processing element's modes.
    """

    act: np.ndarray
    weight: np.ndarray
    base: np.ndarray | None = None
    abandon_after: int | None = None
    mode: int = 0


def simulate_array(
    array: Array, tiles: Sequence[Tile], *, gaps: float = 0.0, seed: int = 0, verilog: str = ""
) -> Outcome:
    """Run tiles through an array in Verilator and hold the results against `sw_ref.arith.gemm`.

    Parameters
    ----------
    array : OutputStationaryArray or WeightStationaryArray
    tiles : sequence of Tile
        One as close after the other as the array allows.
    gaps : float
        Probability, in each cycle, of nothing going in.
    seed : int
        Of the gaps, and of what is on the inputs where nothing goes in.
    verilog : str
        What stands for the array, see `tb.cycles.simulate_cycles`.
    """
    timetable = timetable_of(array, tiles, gaps=gaps, random=np.random.default_rng(seed))
    return simulate_cycles(array, timetable, verilog=verilog)


def timetable_of(array: Array, tiles: Sequence[Tile], *, gaps: float, random: np.random.Generator) -> Timetable:
    """When what goes into ``array`` and comes out of it, starting with one cycle of reset."""
    kind = next(writer for base, writer in _WRITERS.items() if isinstance(array, base))
    writer = kind(array, gaps, random)
    for tile in tiles:
        writer.write(tile)
    return writer.timetable()


class _Writer(ABC):
    """Notes what happens in which cycle, then fills all other cycles with whatever is harmless."""

    quiet: ClassVar[tuple[str, ...]]
    """Inputs that are 0 where nothing goes in; on all others, anything may be."""

    def __init__(self, array: Array, gaps: float, random: np.random.Generator) -> None:
        self.array = array
        self.random = random
        self._gaps = gaps
        self._resets = [0]
        self._events: dict[str, dict[int, np.ndarray]] = {port: {} for port in array.ports()}
        self.start(1)

    @abstractmethod
    def start(self, cycle: int) -> None:
        """Be ready for a tile in ``cycle``, the first after a reset."""

    @abstractmethod
    def place(self, tile: Tile) -> int:
        """Note what goes in and what comes out; return the cycle in which it begins."""

    def write(self, tile: Tile) -> None:
        """Note one tile, and the reset in the middle of it if it has one."""
        begin = self.place(tile)
        if tile.abandon_after is not None:
            reset = begin + tile.abandon_after
            # lost: what was still to go in, and what has not come out yet
            for port, events in self._events.items():
                self._events[port] = {cycle: word for cycle, word in events.items() if cycle < reset}
            self._resets.append(reset)
            self.start(reset + 1)

    def spread(self, count: int, start: int) -> np.ndarray:
        """``count`` cycles from ``start`` on, with random gaps."""
        gaps = self.random.geometric(1 - self._gaps, count) - 1
        return start + np.arange(count) + np.cumsum(gaps)

    def note(self, port: str, cycles: Iterable[int], words: Iterable[Any]) -> None:
        """``words`` (cycles, slots) are on ``port`` in ``cycles``."""
        self._events[port].update(zip(map(int, cycles), words, strict=True))

    def steps(self, tile: Tile, side: str) -> np.ndarray:
        """Codes of a tile as (steps, rows or columns, slots), the last step padded.

        What one row or column has of a step is cut into as many slots as the processing element has lanes, whichever
        mode the codes are of.
        """
        pe, codes = self.array.pe, tile.act if side == "act" else tile.weight.T
        lanes, bits = pe.modes[tile.mode].lanes, getattr(pe.modes[tile.mode], side).bits
        count, depth = codes.shape
        padded = self.random.integers(0, 1 << bits, (count, -(-depth // lanes) * lanes))
        padded[:, :depth] = codes
        steps = padded.reshape(count, -1, lanes).swapaxes(0, 1)
        planes = (steps[..., None] >> np.arange(bits) & 1).reshape(*steps.shape[:2], lanes * bits)
        slot = self._bits[side]
        planes = np.pad(planes, ((0, 0), (0, 0), (0, pe.lanes * slot - lanes * bits)))
        return planes.reshape(*steps.shape[:2], pe.lanes, slot) @ (1 << np.arange(slot))

    def note_mode(self, cycles: np.ndarray, tile: Tile) -> None:
        """Codes in ``cycles`` are of the tile's mode."""
        if self.array.pe.mode_bits:
            self.note("mode", cycles, np.full((len(cycles), 1), tile.mode))

    def timetable(self) -> Timetable:
        """Everything that was noted, and some cycles more."""
        array = self.array
        cycles = max(max(events, default=0) for events in self._events.values()) + array.latency + 1
        inputs = {}
        for port, (value, flow) in array.ports().items():
            if port == "tick":
                inputs[port] = (np.arange(cycles) % array.pe.interleave == array.pe.interleave - 1)[:, None].astype(int)
            elif flow == In:
                bits = self._bits.get(port, 1)
                words = draw(self.random, Interval.of_bits(bits, signed=False), (cycles, len(value) // bits))
                if port in self.quiet:
                    # a reset holds whatever comes with it
                    words[~np.isin(np.arange(cycles), self._resets)] = 0
                for cycle, word in self._events[port].items():
                    words[cycle] = word
                inputs[port] = words
        expected = np.zeros((cycles, array.shape.cols), integer_type(array.accumulator.bits))
        counted = np.broadcast_to(self.counted(cycles)[:, None], expected.shape).copy()
        for cycle, sums in self._events["result"].items():
            expected[cycle], counted[cycle] = sums, True
        return Timetable(
            reset=np.isin(np.arange(cycles), self._resets),
            inputs=inputs,
            expected={"result": expected},
            counted={"result": counted},
        )

    def counted(self, cycles: int) -> np.ndarray:
        """Cycles in which the result is known to be 0 unless noted otherwise."""
        return np.zeros(cycles, bool)

    @property
    def _bits(self) -> dict[str, int]:
        pe = self.array.pe
        return {
            "act": pe.row_code_bits // pe.lanes,
            "weight": pe.column_code_bits // pe.lanes,
            "base": self.array.accumulator.bits,
            "mode": max(1, pe.mode_bits),
        }


class _OutputStationaryWriter(_Writer):
    quiet = ("valid", "last")

    def start(self, cycle: int) -> None:
        self._next = cycle
        self._earliest_last = cycle

    def place(self, tile: Tile) -> int:
        array, pe = self.array, self.array.pe
        mode = pe.modes[tile.mode]
        act, weight = self.steps(tile, "act"), self.steps(tile, "weight")
        # of the first cycles of steps, which take several if cells keep several sums
        turns = pe.interleave
        begins = turns * self.spread(len(act), -(-self._next // turns))
        begins[-1] = last = max(begins[-1], -(-self._earliest_last // turns) * turns)
        self._next, self._earliest_last = last + turns, last + turns * array.shape.rows
        cycles = (begins[:, None] + np.arange(turns)).ravel()
        rows = act.reshape(len(act), array.shape.rows, turns, -1).swapaxes(1, 2)
        self.note("act", cycles, rows.reshape(len(cycles), -1))
        self.note("weight", cycles, weight.reshape(len(act), -1).repeat(turns, axis=0))
        self.note_mode(cycles, tile)
        self.note("valid", cycles, np.ones((len(cycles), 1), int))
        self.note("last", cycles[-turns:], np.ones((turns, 1), int))
        if array.masked:
            used = np.arange(len(act) * pe.lanes) < tile.act.shape[1] * (pe.lanes // mode.lanes)
            self.note("mask", cycles, used.reshape(-1, pe.lanes).repeat(turns, axis=0))
        how = {"rule": pe.rule, "lowest": pe.lowest, "step": mode.lanes}
        (sums,) = model_sums(mode, array.accumulator, tile.act, tile.weight, **how)
        sums = wrapped(sums, array.accumulator.result_bits)
        self.note("result", last + array.latency + np.arange(len(sums)), sums)
        return int(cycles[0])

    def counted(self, cycles: int) -> np.ndarray:
        counted = np.ones(cycles, bool)
        for reset in self._resets:
            # what was on its way may still come out
            counted[reset : reset + self.array.latency + self.array.shape.rows * self.array.pe.interleave] = False
        return counted


class _WeightStationaryWriter(_Writer):
    quiet = ("load", "swap")

    def start(self, cycle: int) -> None:
        self._last_swap = cycle
        self._last_row = cycle
        self._mode = 0

    def place(self, tile: Tile) -> int:
        array, pe, shape = self.array, self.array.pe, self.array.shape
        mode = pe.modes[tile.mode]
        act, weight = self.steps(tile, "act"), self.steps(tile, "weight")
        # loading begins together with the swap before, and the swap comes together with the last row before; but both
        # edges are of one mode
        start = self._last_swap if tile.mode == self._mode else self._last_row + 1
        self._mode = tile.mode
        loads = self.spread(len(weight), start)
        swap = max(loads[-1] + 1, self._last_row)
        rows = self.spread(len(tile.act), swap + 1)
        self._last_swap, self._last_row = swap, rows[-1]
        order = self.random.permutation(len(weight))
        self.note("load", loads, np.eye(shape.rows, dtype=int)[order])
        self.note("weight", loads, weight[order].reshape(len(weight), -1))
        self.note("swap", [swap], [1])
        depth, words = tile.act.shape[1], np.ones((len(rows), shape.rows, pe.lanes), int)
        padded = self.random.integers(0, 1 << self._bits["act"], words.shape)
        padded[:, : len(act)] = act.swapaxes(0, 1)
        self.note("act", rows, padded.reshape(len(rows), -1))
        depth *= pe.lanes // mode.lanes
        self.note("mask", rows, words.reshape(len(rows), -1) * (np.arange(shape.rows * pe.lanes) < depth))
        self.note_mode(np.concatenate([loads, rows]), tile)
        products = pe.rule.matmul(mode.act.to_fixed(tile.act), mode.weight.to_fixed(tile.weight))
        base = np.zeros_like(products) if tile.base is None else tile.base
        self.note("base", rows + array.latency - array.sum_latency, base)
        assert isinstance(array.accumulator, Accumulator)
        self.note("result", rows + array.latency, array.accumulator.apply(exactly(operator.add, base, products)))
        return int(loads[0])


_WRITERS: dict[type, type[_Writer]] = {
    OutputStationaryArray: _OutputStationaryWriter,
    WeightStationaryArray: _WeightStationaryWriter,
}
