"""A design in the simulator, on random products."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from dataflow.schedule import schedule_of
from macforge.design import Design
from tb.engine import Product, simulate_engine

__all__ = ["SimulationReport", "simulate"]


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
        Useful multiply-accumulates of all that the array could have done in `cycles`.
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

    def to_table(self) -> dict[str, object]:
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
    """Multiply random codes in Verilator and compare every result with the model.

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
    m = 2 * engine.panel_rows + 1 if m is None else m
    n = 2 * design.array.cols + 1 if n is None else n
    k = min(3 * engine.span + 20, design.tiling.max_k) if k is None else k
    schedule = schedule_of(engine, m=m, n=n, k=k)
    random = np.random.default_rng(seed)
    product = Product(
        act=random.integers(0, 1 << engine.pe.act.bits, (m, k), np.uint32),
        weight=random.integers(0, 1 << engine.pe.weight.bits, (k, n), np.uint32),
    )
    outcome, simulations = simulate_engine(engine, [product], stalls=stalls, seed=seed, waves=waves)
    cycles = simulations[0].cycles if simulations else None
    return SimulationReport(
        design=design.name,
        m=m,
        n=n,
        k=k,
        passed=outcome.failure is None,
        failure=outcome.failure,
        cycles=cycles,
        predicted_cycles=schedule.cycles,
        utilization=schedule.macs / (cycles * schedule.peak_macs) if cycles else None,
        operands=schedule.operands,
        macs_per_second=schedule.macs / outcome.seconds,
        waves=outcome.waves,
    )
