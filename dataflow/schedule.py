"""The schedule in software: what each beat holds, and how many cycles a product takes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dataflow.engine import Engine
from dataflow.output_stationary_engine import OutputStationaryEngine
from dataflow.weight_stationary_engine import SUM_TURNAROUND, WeightStationaryEngine
from sw_ref.groups import group_slices

__all__ = ["Schedule", "schedule_of"]

# The first step is two cycles after the command: the first activations come in between.
_START = 2
# From the write of a result into the FIFO to when its reader can take it.
_FIFO_LATENCY = 2


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """What an engine does for one product C (M, N) = A (M, K) @ W (K, N), beat by beat.

    Beats are arrays of codes: ``(beats, slots)``, where slot 0 goes into the low bits of the stream's payload.
    """

    formula: ClassVar[str]
    """How `cycles` comes about, for people."""

    engine: Engine
    m: int
    n: int
    k: int

    def __post_init__(self) -> None:
        most = {"m": (1 << 20) - 1, "n": (1 << 20) - 1, "k": self.engine.tiling.max_k}
        for name, limit in most.items():
            if not 1 <= getattr(self, name) <= limit:
                raise ValueError(f"{name.upper()} must be from 1 to {limit} for this engine, not {getattr(self, name)}")

    @property
    def groups(self) -> tuple[slice, ...]:
        """The runs of K that make one result each."""
        return group_slices(self.k, self.engine.tiling.group_size)

    @property
    def macs(self) -> int:
        """Multiply-accumulates that the product takes, padding apart."""
        return self.m * self.n * self.k

    @property
    def peak_macs(self) -> int:
        """Multiply-accumulates that the array does in a cycle when nothing is missing."""
        shape = self.engine.shape
        return shape.rows * shape.cols * self.engine.pe.lanes

    @property
    def utilization(self) -> float:
        """Useful multiply-accumulates of all that the array could have done in `cycles`."""
        return self.macs / (self.cycles * self.peak_macs)

    @property
    def operands(self) -> dict[str, int]:
        """Operands that enter on each stream, padding left out."""
        return {"act": self.m * self.k, "weight": len(self._rows) * self.k * self.n}

    @property
    @abstractmethod
    def cycles(self) -> int:
        """Cycles from the one in which the command is accepted to the one of the last result, when nothing stalls."""

    @abstractmethod
    def act_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        """Beats of the activations (M, K); what lies beyond their edges is 0, or random codes."""

    @abstractmethod
    def weight_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        """Beats of the weights (K, N); what lies beyond their edges is 0, or random codes."""

    def result_beats(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Beats of the results, ``(beats, cols)``, of sums (G, M, N); and which of their slots count."""
        groups = np.arange(len(self.groups))
        group, row, col = (
            places.reshape(-1, self.engine.shape.cols)
            for places in np.broadcast_arrays(
                groups[None, None, :, None, None],
                self._rows[:, None, None, :, None],
                self._cols[None, :, None, None, :],
            )
        )
        beats = row[:, 0] >= 0
        return sums[group, row, col][beats], (col >= 0)[beats]

    def collect(self, beats: np.ndarray) -> np.ndarray:
        """Sums (G, M, N) out of the beats of results ``(beats, cols)``."""
        shape = (len(self.groups), self.m, self.n)
        order, counted = self.result_beats(np.arange(np.prod(shape)).reshape(shape))
        sums = np.empty(np.prod(shape), beats.dtype)
        sums[order[counted]] = beats[counted]
        return sums.reshape(shape)

    @property
    def _rows(self) -> np.ndarray:
        """Row of A for each panel and row of the panel; -1 beyond M."""
        return _padded([slice(0, self.m)], self.engine.panel_rows)

    @property
    def _cols(self) -> np.ndarray:
        """Column of W for each block of columns and column of the array; -1 beyond N."""
        return _padded([slice(0, self.n)], self.engine.shape.cols)

    @property
    def _steps(self) -> np.ndarray:
        """K for each step and product of the step; -1 where a group ends before the step does."""
        return _padded(self.groups, self.engine.span)


class OutputStationarySchedule(Schedule):
    """Panels of rows, blocks of columns, steps of K; a tile of results after each group."""

    formula: ClassVar[str] = (
        "2 + ceil(M/rows) * ceil(N/cols) * (sum over groups of max(steps, rows)) - max(0, rows - steps) "
        "+ array_latency + 2 + rows of the last panel; steps = ceil(group's K / lanes), that of the first group in the "
        "subtrahend"
    )

    def act_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        row, k = self._rows[:, None, :, None], self._steps[None, :, None, :]
        beats = _pick(codes, row, k, random, self.engine.pe.act.bits)
        return beats.reshape(-1, self.engine.shape.rows * self.engine.pe.lanes)

    def weight_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        k, col = self._steps[None, :, None, :], self._cols[:, None, :, None]
        beats = _pick(codes, k, col, random, self.engine.pe.weight.bits)
        return np.tile(beats.reshape(-1, self.engine.shape.cols * self.engine.pe.lanes), (len(self._rows), 1))

    @property
    def cycles(self) -> int:
        rows = self.engine.shape.rows
        steps = [-(-(group.stop - group.start) // self.engine.span) for group in self.groups]
        # sums end one after the other, no two less than `rows` cycles apart
        tiles = len(self._rows) * len(self._cols)
        to_last_sum = steps[0] + tiles * sum(max(count, rows) for count in steps) - max(steps[0], rows)
        last_rows = int((self._rows[-1] >= 0).sum())
        return _START + to_last_sum + self.engine.array.latency + _FIFO_LATENCY + last_rows


class WeightStationarySchedule(Schedule):
    """Panels of rows, blocks of columns, blocks of K; each row of a panel passes each block."""

    formula: ClassVar[str] = (
        "3 + load + sum over all blocks of max(panel's rows, next block's load + 1, 3) + array_latency + 2, without "
        "waiting after the last; load = beats of weights of a block, at most rows"
    )

    def act_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        row, k = self._rows[:, None, :, None], self._steps[None, :, None, :]
        beats = _pick(codes, row, k, random, self.engine.pe.act.bits)
        return beats[np.broadcast_to(row >= 0, beats.shape)[..., 0]]

    def weight_beats(self, codes: np.ndarray, *, random: np.random.Generator | None = None) -> np.ndarray:
        shape, lanes = self.engine.shape, self.engine.pe.lanes
        steps = self._steps.reshape(-1, shape.rows, lanes)
        k, col = steps[None, :, :, None, :], self._cols[:, None, None, :, None]
        beats = _pick(codes, k, col, random, self.engine.pe.weight.bits)
        # a row of the array without a single weight is not loaded
        beats = beats[:, steps[:, :, 0] >= 0]
        return np.tile(beats.reshape(-1, shape.cols * lanes), (len(self._rows), 1))

    @property
    def cycles(self) -> int:
        loads = (self._steps.reshape(-1, self.engine.shape.rows, self.engine.pe.lanes)[:, :, 0] >= 0).sum(1)
        swap, last_row, turnaround = 0, 0, 0
        for rows in (self._rows >= 0).sum(1):
            for load in np.tile(loads, len(self._cols)):
                # a block is taken into use once it is loaded and the rows have passed the one before
                swap = max(swap + load + 1, last_row)
                first_row = max(swap + 1, last_row + 1 + turnaround)
                last_row = first_row + rows - 1
                turnaround = max(0, SUM_TURNAROUND - rows)
        return int(last_row + 1 + self.engine.array.latency + _FIFO_LATENCY + 1)


def schedule_of(engine: Engine, *, m: int, n: int, k: int) -> Schedule:
    """The schedule of ``engine`` for one product.

    Raises
    ------
    ValueError
        If a size is below 1, or above what the engine has room for.
    """
    kinds = {
        OutputStationaryEngine.dataflow: OutputStationarySchedule,
        WeightStationaryEngine.dataflow: WeightStationarySchedule,
    }
    return kinds[engine.dataflow](engine=engine, m=m, n=n, k=k)


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
    codes: np.ndarray, row: np.ndarray, col: np.ndarray, random: np.random.Generator | None, bits: int
) -> np.ndarray:
    """``codes[row, col]``, and padding where either is -1."""
    row, col = np.broadcast_arrays(row, col)
    padding = 0 if random is None else random.integers(0, 1 << bits, row.shape)
    return np.where((row >= 0) & (col >= 0), codes[row, col], padding)
