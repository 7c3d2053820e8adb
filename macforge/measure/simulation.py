"""A design in the simulator, on random products."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from macforge.design.design import Design
from macforge.run.random_products import random_products
from sw_ref.engine.schedule import schedule_of
from sw_ref.engine.spec import EngineSpec
from tb.engine import simulate_engine

__all__ = ["SimulationReport", "simulate"]

# Elements that are kept in memory, several times; to simulate them takes hours.
_MOST_ELEMENTS = 1 << 26


@dataclass(frozen=True, kw_only=True)
class SimulationReport:
    """What came of simulating one product.

    Parameters
    ----------
    design : str
    m, n, k : int
    passed : bool
        The hardware's results are the model's, bit for bit, and without stalls the cycles are those predicted.
    failure : str or None
        What differs, if something does.
    cycles : int or None
    predicted_cycles : int
        From the command to the last result, as measured, and as predicted for when nothing stalls.
    utilization : float or None
        Useful products of cells, of all that the array could have done in `cycles`.
    operands : dict
        Operands that entered, for each stream.
    macs_per_second : float
        Multiply-accumulates simulated in a second of wall-clock time, building the simulator apart.
    waves : bytes or None
        Recorded waves.
    """

    design: str
    m: int
    n: int
    k: int
    passed: bool
    failure: str | None
    cycles: int | None
    predicted_cycles: int
    utilization: float | None
    operands: dict[str, int]
    macs_per_second: float
    waves: bytes | None = None

    def to_table(self) -> dict[str, Any]:
        """Everything but the waves, as plain data."""
        table = dataclasses.asdict(self)
        del table["waves"]
        return table


def simulate(
    design: Design,
    *,
    m: int | None = None,
    n: int | None = None,
    k: int | None = None,
    seed: int = 0,
    stalls: float = 0.0,
    waves: str = "",
) -> SimulationReport:
    """Multiply random operands in Verilator and compare every result with the model.

    A processing element with several modes multiplies in each; columns of several precisions are a product each.

    Parameters
    ----------
    design : Design
    m, n, k : int, optional
        Sizes; by default a little more than two tiles each way.
    seed : int
        Of operands, padding and stalls.
    stalls : float
        Probability of a stall, on each stream and in each cycle: from 0 to below 1.
    waves : {"", "vcd", "fst"}
        Format of the waves to record, if any.

    Raises
    ------
    ValueError
        If a size or the probability is out of range.
    """
    if not 0 <= stalls < 1:
        raise ValueError(f"Stalls must be a probability from 0 to below 1, not {stalls}")
    if seed < 0:
        raise ValueError(f"Seed must be at least 0, not {seed}")
    engine = design.engine
    m, n, k = _sizes(design, engine.spec, m, n, k)
    products = [one.under(stalls) for one in random_products(design, np.random.default_rng(seed), m=m, n=n, k=k)]
    schedules = [product.schedule(engine.spec) for product in products]
    outcome, simulations = simulate_engine(engine, products, seed=seed, waves=waves)
    cycles = sum(simulation.cycles for simulation in simulations) if outcome.failure is None else None
    macs = sum(schedule.macs for schedule in schedules)
    return SimulationReport(
        design=design.name,
        m=m,
        n=n,
        k=k,
        passed=outcome.failure is None,
        failure=outcome.failure,
        cycles=cycles,
        predicted_cycles=sum(schedule.cycles for schedule in schedules),
        utilization=macs / sum(s.cycles * s.peak_macs for s in schedules) if cycles else None,
        operands={side: sum(schedule.operands[side] for schedule in schedules) for side in ("act", "weight")},
        macs_per_second=macs / outcome.seconds,
        waves=outcome.waves,
    )


def _sizes(design: Design, engine: EngineSpec, m: int | None, n: int | None, k: int | None) -> tuple[int, int, int]:
    """Sizes of a product, a little more than two tiles each way unless given; ValueError if they are too large."""
    m = 2 * engine.panel_rows + 1 if m is None else m
    n = 2 * engine.cols + 1 if n is None else n
    if k is None:
        group = design.tiling.group_size if design.edge else 0
        k = min(2 * group or 3 * engine.span + 20, design.tiling.max_k)
    schedule_of(engine, m=m, n=n, k=k)
    if (elements := m * k + k * n + m * n) > _MOST_ELEMENTS:
        raise ValueError(
            f"Product must have at most {_MOST_ELEMENTS:,} elements in A, W and C together to be simulated, not "
            f"{elements:,}"
        )
    return m, n, k
