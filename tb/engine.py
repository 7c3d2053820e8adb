"""Simulates an engine: products in, what the hardware made of them out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataflow.engine.base import Engine
from hw.emit.verilog import emit_verilog
from sw_ref.engine.beats import act_payloads, parameter_payloads, weight_payloads
from sw_ref.engine.product import Product, expected_invalid, expected_results
from sw_ref.engine.schedule import Schedule
from sw_ref.engine.spec import EngineSpec
from tb.runner import Bench, Outcome, run_bench
from tb.simulator import require_simulator

__all__ = ["Simulation", "simulate_engine"]


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What came of simulating one product.

    Parameters
    ----------
    results : ndarray
        What the hardware put out (results, M, N): all sums, or what the drain edge made of them; int64, or objects
        beyond 63 bits, see `sw_ref.wide`.
    cycles : int
        From the command to the last result.
    schedule : Schedule
        What was predicted.
    """

    results: np.ndarray
    cycles: int
    schedule: Schedule


def simulate_engine(
    engine: Engine,
    products: Sequence[Product],
    *,
    seed: int = 0,
    waves: str = "",
    simulator: str = "verilator",
) -> tuple[Outcome, list[Simulation]]:
    """Run products through an engine in a simulator and hold the results against `expected_results`.

    Parameters
    ----------
    engine : Engine
    products : sequence of Product
        One after the other, without a reset between.
    seed : int
        Of the stalls and of the padding.
    waves : {"", "vcd", "fst"}
        Format of the waves to record, if any.
    simulator : {"verilator", "icarus"}
        See `tb.runner.Bench`; in Icarus Verilog a result that counts must not be X either.

    Returns
    -------
    Outcome
        ``failure`` tells whether hardware and model differ.
    list of Simulation
        One for each product that was not abandoned; empty if the bench ended early.
    """
    require_simulator()
    random = np.random.default_rng(seed)
    spec = engine.spec
    stimuli = [_stimulus(spec, product, random) for product in products]
    outcome = run_bench(_bench(engine, stimuli, seed=seed, waves=waves, simulator=simulator))
    kept = [(i, stimulus.schedule) for i, stimulus in enumerate(stimuli) if f"result_{i}" in outcome.arrays]
    simulations = [
        Simulation(results=schedule.collect(outcome.arrays[f"result_{i}"]), cycles=cycles, schedule=schedule)
        for (i, schedule), cycles in zip(kept, outcome.figures.get("cycles", []), strict=True)
    ]
    return outcome, simulations


@dataclass(frozen=True, kw_only=True)
class _Stimulus:
    """What the bench is given of one product."""

    schedule: Schedule
    arrays: dict[str, np.ndarray]
    description: dict[str, int | float | str]


def _bench(engine: Engine, stimuli: Sequence[_Stimulus], *, seed: int, waves: str, simulator: str) -> Bench:
    arrays = {
        f"{name}_{index}": array for index, stimulus in enumerate(stimuli) for name, array in stimulus.arrays.items()
    }
    return Bench(
        verilog=emit_verilog(engine),
        top=engine.name,
        module="tb.engine_bench",
        settings={
            "streams": ["act", "weight", *engine.parameter_bits],
            "result_bits": engine.result_bits,
            "invalid_bits": engine.invalid_bits,
            "cols": engine.shape.cols,
            "seed": seed,
            "four_state": simulator == "icarus",
            "products": [stimulus.description for stimulus in stimuli],
        },
        arrays=arrays,
        cycles=sum(stimulus.schedule.cycles for stimulus in stimuli),
        waves=waves,
        simulator=simulator,
    )


def _stimulus(engine: EngineSpec, product: Product, random: np.random.Generator) -> _Stimulus:
    schedule = product.schedule(engine)
    expected, counted = schedule.result_beats(expected_results(engine, product))
    description = {
        "name": f"{schedule.m} x {schedule.n} x {schedule.k}",
        "command": schedule.command,
        "rows": len(expected),
        "cycles": schedule.cycles,
        "stalls": product.stalls,
    }
    if product.abandon_after is not None:
        description["abandon_after"] = product.abandon_after
    arrays = {
        "act": act_payloads(engine, product, random),
        "weight": weight_payloads(engine, product, random),
        **parameter_payloads(engine, schedule, product.parameters),
        "expected": expected,
        "counted": counted,
    }
    if engine.invalid:
        arrays["invalid"], _counted = schedule.result_beats(expected_invalid(engine, product))
    return _Stimulus(schedule=schedule, arrays=arrays, description=description)
