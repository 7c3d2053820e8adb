"""Simulates an engine: products in, what the hardware made of them out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataflow.engine import SIZE_BITS, Engine
from dataflow.schedule import Schedule, schedule_of
from hw.verilog import emit_verilog
from sw_ref.gemm import gemm
from tb.runner import Bench, Outcome, run_bench

__all__ = ["Product", "Simulation", "simulate_engine"]


@dataclass(frozen=True, kw_only=True)
class Product:
    """One product to simulate.

    Parameters
    ----------
    act, weight : ndarray
        Codes (M, K) and (K, N).
    abandon_after : int, optional
        Reset the engine this many cycles into the product, and go on with the next.
    """

    act: np.ndarray
    weight: np.ndarray
    abandon_after: int | None = None


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What came of simulating one product.

    Parameters
    ----------
    sums : ndarray
        Sums (G, M, N) as the hardware put them out, int64.
    cycles : int
        From the command to the last result.
    schedule : Schedule
        What was predicted.
    """

    sums: np.ndarray
    cycles: int
    schedule: Schedule


def simulate_engine(
    engine: Engine,
    products: Sequence[Product],
    *,
    stalls: float = 0.0,
    seed: int = 0,
    waves: str = "",
    verilog: str | None = None,
) -> tuple[Outcome, list[Simulation]]:
    """Run products through an engine in Verilator and hold the results against `sw_ref.gemm.gemm`.

    Parameters
    ----------
    engine : Engine
    products : sequence of Product
        One after the other, without a reset between.
    stalls : float
        Probability, in each cycle and on each stream, of nobody being ready there.
    seed : int
        Of the stalls and of the padding.
    waves : {"", "vcd", "fst"}
        Format of the waves to record, if any.
    verilog : str, optional
        The engine's Verilog, if it is at hand.

    Returns
    -------
    Outcome
        ``failure`` tells whether hardware and model differ.
    list of Simulation
        One for each product that was not abandoned; empty if the bench ended early.
    """
    random = np.random.default_rng(seed)
    stimuli = [_stimulus(engine, product, random) for product in products]
    arrays = {
        f"{name}_{index}": array for index, stimulus in enumerate(stimuli) for name, array in stimulus.arrays.items()
    }
    bench = Bench(
        verilog=verilog or emit_verilog(engine),
        top=engine.name,
        module="tb.engine_bench",
        settings={
            "act_bits": engine.pe.act.bits,
            "weight_bits": engine.pe.weight.bits,
            "sum_bits": engine.accumulator.bits,
            "cols": engine.shape.cols,
            "stalls": stalls,
            "seed": seed,
            "products": [stimulus.description for stimulus in stimuli],
        },
        arrays=arrays,
        waves=waves,
    )
    outcome = run_bench(bench)
    kept = [(i, stimulus.schedule) for i, stimulus in enumerate(stimuli) if f"result_{i}" in outcome.arrays]
    simulations = [
        Simulation(sums=schedule.collect(outcome.arrays[f"result_{i}"]), cycles=cycles, schedule=schedule)
        for (i, schedule), cycles in zip(kept, outcome.figures.get("cycles", []), strict=True)
    ]
    return outcome, simulations


@dataclass(frozen=True, kw_only=True)
class _Stimulus:
    """What the bench is given of one product."""

    schedule: Schedule
    arrays: dict[str, np.ndarray]
    description: dict[str, int]


def _stimulus(engine: Engine, product: Product, random: np.random.Generator) -> _Stimulus:
    (m, k), n = product.act.shape, product.weight.shape[1]
    schedule = schedule_of(engine, m=m, n=n, k=k)
    expected, counted = schedule.result_beats(expected_sums(engine, product.act, product.weight))
    description = {
        "m": m,
        "n": n,
        "k": k,
        "command": m | n << SIZE_BITS | k << 2 * SIZE_BITS,
        "rows": len(expected),
        "cycles": schedule.cycles,
    }
    if product.abandon_after is not None:
        description["abandon_after"] = product.abandon_after
    arrays = {
        "act": schedule.act_beats(product.act, random=random),
        "weight": schedule.weight_beats(product.weight, random=random),
        "expected": expected,
        "counted": counted,
    }
    return _Stimulus(schedule=schedule, arrays=arrays, description=description)


def expected_sums(engine: Engine, act: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What the model says of one product of codes: sums (G, M, N)."""
    return gemm(
        act,
        weight,
        act=engine.pe.act,
        weight=engine.pe.weight,
        accumulator=engine.accumulator,
        group_size=engine.tiling.group_size,
        step=engine.span,
        rule=engine.pe.rule,
    )
