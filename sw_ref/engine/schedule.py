"""The schedule in software: what each beat holds, and how many cycles a product takes."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from sw_ref.engine.spec import EngineSpec, Mode
from sw_ref.groups import group_slices

__all__ = ["Schedule", "schedule_of"]

# From the write of a result into the FIFO to when its reader can take it.
_FIFO_LATENCY = 2


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """What an engine does for one product C (M, N) = A (M, K) @ W (K, N), beat by beat.

    Beats are arrays of codes: ``(beats, slots)``, where slot 0 goes into the low bits of the stream's payload.

    Parameters
    ----------
    engine : EngineSpec
    m, n, k : int
    group : int
        Products along K that make one sum.
    passes : int
        How often weights come for the same activations: they are (passes, K, N).
    mode : int
        Which of the processing element's modes.
    """

    formula: ClassVar[str]
    """How `cycles` comes about, for people."""

    engine: EngineSpec
    m: int
    n: int
    k: int
    group: int
    passes: int = 1
    mode: int = 0

    def __post_init__(self) -> None:
        engine = self.engine
        if not 0 <= self.mode < len(engine.modes):
            raise ValueError(f"Mode must be from 0 to {len(engine.modes) - 1}, not {self.mode}")
        slots = self._slots
        sizes = {field.name: (1 << field.bits) - 1 for field in engine.command}
        limits = {
            "M": (self.m, sizes["m"]),
            "N": (self.n, sizes["n"]),
            "K": (self.k, engine.max_k // slots),
            "Group": (self.group, engine.max_group // slots),
            "Passes": (self.passes, engine.max_passes),
        }
        for name, (value, most) in limits.items():
            if not 1 <= value <= most:
                raise ValueError(f"{name} must be from 1 to {most} for this engine, not {value}")
        if (steps := len(self.k_steps)) > engine.max_steps:
            raise ValueError(
                f"K in groups must take at most {engine.max_steps} steps of {self._span}, not {steps} as {self.k} in "
                f"groups of {self.group} does"
            )
        if engine.drain and not engine.accumulates and self.sums > 1:
            raise ValueError(
                f"Group must be all of K ({self.k}) for a drain edge that adds nothing up, not {self.group}"
            )

    @property
    def command(self) -> int:
        """Payload of the command."""
        slots = self._slots
        sizes = {"m": self.m, "n": self.n, "k": slots * self.k, "group": slots * self.group, "passes": self.passes}
        return self.engine.command_payload(**sizes, mode=self.mode)

    @property
    def groups(self) -> tuple[slice, ...]:
        """The runs of K that make one sum each."""
        return group_slices(self.k, self.group)

    @property
    def k_steps(self) -> np.ndarray:
        """K for each step and product of the step; -1 where a group ends before the step does."""
        return _padded(self.groups, self._span)

    @property
    def sums(self) -> int:
        """Sums of each element of C: groups of all passes, those of a pass together."""
        return self.passes * len(self.groups)

    @property
    def results(self) -> int:
        """Results of each element of C: every sum, or what the drain edge makes of them all."""
        return 1 if self.engine.drain else self.sums

    @property
    def macs(self) -> int:
        """Multiply-accumulates that the product takes, padding apart."""
        return self.m * self.n * self.k * self.passes

    @property
    def peak_macs(self) -> int:
        """Multiply-accumulates that the array does in a cycle when nothing is missing."""
        return self.engine.rows * self.engine.cols * self._mode.lanes

    @property
    def utilization(self) -> float:
        """Useful multiply-accumulates of all that the array could have done in `cycles`."""
        return self.macs / (self.cycles * self.peak_macs)

    @property
    def operands(self) -> dict[str, int]:
        """Operands that enter on each stream, padding left out."""
        return {"act": self.m * self.k, "weight": len(self._rows) * self.passes * self.k * self.n}

    @property
    def beats(self) -> dict[str, int]:
        """Beats on each stream, the command's among them."""
        panels, blocks = len(self._rows), len(self._cols)
        parameters = {"column": panels * blocks * self.sums, "row": self.m * blocks * self.sums}
        parameters["output"] = panels * blocks
        return {
            "command": 1,
            "act": self._act_beats,
            "weight": self._weight_beats,
            **{name: parameters[name] for name in self.engine.parameters},
            "result": self.m * blocks * self.results,
        }

    @property
    @abstractmethod
    def _act_beats(self) -> int:
        """Beats of activations."""

    @property
    @abstractmethod
    def _weight_beats(self) -> int:
        """Beats of weights."""

    @cached_property
    def cycles(self) -> int:
        """Cycles from the one in which the command is accepted to the one of the last result, when nothing stalls."""
        return self._count_cycles()

    @abstractmethod
    def _count_cycles(self) -> int:
        """`cycles`, counted anew."""

    @abstractmethod
    def act_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        """Beats of the activations (M, K); what lies beyond their edges is 0, or random codes."""

    @abstractmethod
    def weight_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        """Beats of the weights (passes, K, N); what lies beyond their edges is 0, or random codes."""

    def column_beats(self, parameters: np.ndarray) -> np.ndarray:
        """Beats of a parameter of columns (sums, N), ``(beats, cols)``; what lies beyond their edges is 0."""
        beats = _pick(parameters, np.arange(self.sums)[None, :, None], self._cols[:, None, :])
        return np.tile(beats.reshape(-1, self.engine.cols), (len(self._rows), 1))

    def row_beats(self, parameters: np.ndarray) -> np.ndarray:
        """Beats of a parameter of rows (sums, M), ``(beats, 1)``."""
        rows = self._rows[:, None, None, :]
        picked = _pick(parameters, np.arange(self.sums)[:, None], rows)
        shape = (len(self._rows), len(self._cols), *picked.shape[2:])
        return np.broadcast_to(picked, shape)[np.broadcast_to(rows >= 0, shape)][:, None]

    def output_beats(self, parameters: np.ndarray) -> np.ndarray:
        """Beats of a parameter of columns (N,), ``(beats, cols)``; what lies beyond their edges is 0."""
        return np.tile(_pick(parameters[None], np.array(0), self._cols), (len(self._rows), 1))

    def result_beats(self, results: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Beats of `results` (results, M, N), ``(beats, cols)``; and which of their slots count."""
        index, row, col = (
            places.reshape(-1, self.engine.cols)
            for places in np.broadcast_arrays(
                np.arange(self.results)[None, None, :, None, None],
                self._rows[:, None, None, :, None],
                self._cols[None, :, None, None, :],
            )
        )
        beats = row[:, 0] >= 0
        return results[index, row, col][beats], (col >= 0)[beats]

    def collect(self, beats: np.ndarray) -> np.ndarray:
        """Results (results, M, N) out of their beats ``(beats, cols)``."""
        shape = (self.results, self.m, self.n)
        order, counted = self.result_beats(np.arange(np.prod(shape)).reshape(shape))
        results = np.empty(np.prod(shape), beats.dtype)
        results[order[counted]] = beats[counted]
        return results.reshape(shape)

    @property
    def _mode(self) -> Mode:
        return self.engine.modes[self.mode]

    @property
    def _slots(self) -> int:
        """Slots of a step that a product of this mode takes."""
        return self.engine.lanes // self._mode.lanes

    @property
    def _span(self) -> int:
        """Products along K of a step."""
        return self.engine.span // self._slots

    @property
    def _rows(self) -> np.ndarray:
        """Row of A for each panel and row of the panel; -1 beyond M."""
        return _padded([slice(0, self.m)], self.engine.panel_rows)

    @property
    def _cols(self) -> np.ndarray:
        """Column of W for each block of columns and column of the array; -1 beyond N."""
        return _padded([slice(0, self.n)], self.engine.cols)


class OutputStationarySchedule(Schedule):
    """Panels of rows, blocks of columns, passes, steps of K; a tile of sums after each group."""

    formula: ClassVar[str] = (
        "4 + interleave * (ceil(start / interleave) + ceil(M/panel_rows) * ceil(N/cols) * passes * (sum over "
        "groups of max(steps, apart)) - max(0, apart - steps)) + latency + turns * (rows of the last panel - 1); steps "
        "= ceil(group's K / lanes), that of the first group in the subtrahend; apart = ceil(max(turns * panel_rows, "
        "turnaround) / interleave); more if the drain edge has parameters of rows, and they take longer to come in "
        "than the first group's steps"
    )

    @property
    def _act_beats(self) -> int:
        return len(self._rows) * len(self.k_steps) * self.engine.interleave

    @property
    def _weight_beats(self) -> int:
        return len(self._rows) * len(self._cols) * self.passes * len(self.k_steps)

    def act_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        rows, turns = self.engine.rows, self.engine.interleave
        row = self._rows.reshape(-1, rows, turns).swapaxes(1, 2)[:, None, :, :, None]
        k = self.k_steps[None, :, None, None, :]
        beats = _pick(codes, row, k, random=random, bits=self._mode.act.bits)
        return beats.reshape(-1, rows * self._mode.lanes)

    def weight_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        k, col = self.k_steps[None, None, :, None, :], self._cols[:, None, None, :, None]
        planes = np.arange(self.passes)[None, :, None, None, None]
        beats = _pick(codes, planes, k, col, random=random, bits=self._mode.weight.bits)
        return np.tile(beats.reshape(-1, self.engine.cols * self._mode.lanes), (len(self._rows), 1))

    def _count_cycles(self) -> int:
        turns = self.engine.interleave
        apart = -(-self.engine.group_cycles // turns)
        steps = [-(-(group.stop - group.start) // self._span) for group in self.groups]
        # the first step begins when all its activations are there, and in its turn
        start, first = 1 + turns * (1 + -(-self.engine.start // turns)), steps[0] - 1
        if "row" in self.engine.parameters:
            # they come in one by one, and a cycle after those of all their rows the first sums can end
            late = int(self.engine.panel_rows > 1)
            first = max(first, -(-(min(self.m, self.engine.panel_rows) + late - start) // turns))
        # sums end one after the other, no two less than `apart` steps apart
        tiles = len(self._rows) * len(self._cols) * self.passes
        to_last_sum = first + tiles * sum(max(count, apart) for count in steps) - max(steps[0], apart)
        last_rows = int((self._rows[-1] >= 0).sum())
        to_last_row = 1 + self.engine.turns * (last_rows - 1)
        return start + turns * to_last_sum + self.engine.latency + _FIFO_LATENCY + to_last_row


class WeightStationarySchedule(Schedule):
    """Panels of rows, blocks of columns, passes, blocks of K; each row of a panel passes each block."""

    formula: ClassVar[str] = (
        "start + 2 + load + sum over all blocks of max(panel's rows, next block's load + 1, turnaround) + latency + 2, "
        "without waiting after the last; load = beats of weights of a block, at most rows. Blocks that end a group "
        "start at least turns * panel's rows apart; after the last block, (turns - 1) * (panel's rows - 1) more"
    )

    @property
    def _act_beats(self) -> int:
        return self.m * len(self.k_steps)

    @property
    def _weight_beats(self) -> int:
        return len(self._rows) * len(self._cols) * self.passes * int(self._loads.sum())

    @property
    def _loads(self) -> np.ndarray:
        """Rows of weights in each block: a row of the array without a single weight is not loaded."""
        return (self.k_steps.reshape(-1, self.engine.rows, self._mode.lanes)[:, :, 0] >= 0).sum(1)

    def act_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        row, k = self._rows[:, None, :, None], self.k_steps[None, :, None, :]
        beats = _pick(codes, row, k, random=random, bits=self._mode.act.bits)
        return beats[np.broadcast_to(row >= 0, beats.shape)[..., 0]]

    def weight_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        cols, lanes = self.engine.cols, self._mode.lanes
        steps = self.k_steps.reshape(-1, self.engine.rows, lanes)
        k, col = steps[None, None, :, :, None, :], self._cols[:, None, None, None, :, None]
        planes = np.arange(self.passes)[None, :, None, None, None, None]
        beats = _pick(codes, planes, k, col, random=random, bits=self._mode.weight.bits)
        # a row of the array without a single weight is not loaded
        beats = beats[:, :, steps[:, :, 0] >= 0]
        return np.tile(beats.reshape(-1, cols * lanes), (len(self._rows), 1))

    def _count_cycles(self) -> int:
        last_k = [group.stop - 1 for group in self.groups]
        ends = np.logical_or.reduce(np.isin(self.k_steps, last_k), axis=1).tolist()
        blocks = list(zip(self._loads.tolist(), ends, strict=True))
        turns = self.engine.turns
        rows, swap, last_row, turnaround, drained = 0, self.engine.start, 0, 0, 0
        for rows, panels in _runs((self._rows >= 0).sum(1).tolist()):
            after = max(0, self.engine.group_cycles - rows)
            times = panels * len(self._cols) * self.passes
            while times:
                before = (swap, last_row, turnaround, drained)
                for load, ends_group in blocks:
                    # a block is taken into use once it is loaded and the rows have passed the one before
                    swap = max(swap + load + 1, last_row)
                    first_row = max(swap + 1, last_row + 1 + turnaround, drained if ends_group else 0)
                    last_row, turnaround = first_row + rows - 1, after
                    if ends_group:
                        drained = first_row + rows * turns
                times -= 1
                moved = last_row - before[1]
                if (swap - moved, last_row - moved, turnaround, drained - moved) == before:
                    # and so it goes on with the same blocks and as many rows
                    swap, last_row, drained = (time + times * moved for time in (swap, last_row, drained))
                    break
        waiting = (rows - 1) * (turns - 1)
        return last_row + waiting + self.engine.latency + _FIFO_LATENCY + 1


def _runs(values: list[int]) -> list[tuple[int, int]]:
    """Equal neighbours, and how many there are."""
    return [(value, len(list(group))) for value, group in itertools.groupby(values)]


def schedule_of(
    engine: EngineSpec, *, m: int, n: int, k: int, group: int = 0, passes: int = 1, mode: int = 0
) -> Schedule:
    """The schedule of ``engine`` for one product; ``group`` 0 stands for that of its tiling, or all of K.

    Raises
    ------
    ValueError
        If a size is below 1, or above what the engine has room for.
    """
    kinds = {"output_stationary": OutputStationarySchedule, "weight_stationary": WeightStationarySchedule}
    slots = engine.lanes // engine.modes[mode].lanes if 0 <= mode < len(engine.modes) else 1
    group = group or min(engine.group_size // slots or k, max(k, 1))
    return kinds[engine.dataflow](engine=engine, m=m, n=n, k=k, group=group, passes=passes, mode=mode)


def _padded(runs: Sequence[slice], span: int) -> np.ndarray:
    """The numbers of each run in rows of ``span``, each run on rows of its own, padded with -1."""
    rows = []
    for run in runs:
        count = run.stop - run.start
        row = np.full(-(-count // span) * span, -1)
        row[:count] = np.arange(run.start, run.stop)
        rows.append(row.reshape(-1, span))
    return np.concatenate(rows)


def _pick(
    codes: np.ndarray, *places: np.ndarray, random: np.random.Generator | None = None, bits: int = 1
) -> np.ndarray:
    """``codes[places]``, and padding where one of them is -1: 0, or random codes of ``bits`` bits."""
    places = np.broadcast_arrays(*places)
    padding = 0 if random is None else random.integers(0, 1 << bits, places[0].shape)
    return np.where(np.logical_and.reduce([place >= 0 for place in places]), codes[tuple(places)], padding)
