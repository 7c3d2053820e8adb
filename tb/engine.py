"""Simulates engines: products in, what the hardware made of them out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from dataflow.engine.base import Engine
from hw.core.unit import Unit, place
from hw.emit.verilog import emit_verilog
from sw_ref.engine.beats import act_payloads, parameter_payloads, weight_payloads
from sw_ref.engine.product import Product, expected_invalid, expected_results
from sw_ref.engine.schedule import Schedule
from sw_ref.engine.spec import EngineSpec
from tb.runner import Bench, Outcome, run_bench
from tb.simulator import require_simulator

__all__ = ["Simulation", "Stimulus", "simulate_engine", "simulate_engines", "stimulus_of"]


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
    planted: Callable[[str], str] | None = None,
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
    planted : callable, optional
        Makes Verilog with faults of the engine's Verilog, which may then report them.

    Returns
    -------
    Outcome
        ``failure`` tells whether hardware and model differ, or faults are reported of which none is planted; figure
        ``faults`` counts the cycles in which each such output was high.
    list of Simulation
        One for each product that was not abandoned; empty if the bench ended early.
    """
    (part,) = _parts([(engine, products)], ("",), seed=seed, planted=bool(planted))
    bench = _bench(engine, [part], seed=seed, waves=waves, simulator=simulator)
    outcome = run_bench(replace(bench, verilog=planted(bench.verilog)) if planted else bench)
    return outcome, part.simulations(outcome)


def simulate_engines(
    engines: Sequence[tuple[Engine, Sequence[Product]]], *, seed: int = 0
) -> tuple[Outcome, list[list[Simulation]]]:
    """Run products through several engines, all in one simulation in Verilator; ``failure`` names the one that differs.

    Parameters
    ----------
    engines : sequence of (Engine, sequence of Product)
        No product is abandoned.
    seed : int
        Of the stalls and of the padding.
    """
    parts = _parts(engines, [f"e{index}_" for index in range(len(engines))], seed=seed)
    bed = _Bed(engines=tuple(engine for engine, _products in engines))
    outcome = run_bench(_bench(bed, parts, seed=seed, waves="", simulator="verilator"))
    return outcome, [part.simulations(outcome) for part in parts]


class _Bed(Unit):
    """Engines side by side, with the prefix ``e<index>_`` in front of the ports of each."""

    def __init__(self, *, engines: tuple[Engine, ...]) -> None:
        self.engines = engines
        ports = {}
        for index, engine in enumerate(engines):
            for name, (value, flow) in engine.ports().items():
                ports[f"e{index}_{name}"] = (In if flow == In else Out)(len(value))
        super().__init__(ports)

    @property
    def name(self) -> str:
        return "engine_bed"

    def circuit(self, platform: object) -> Module:
        m = Module()
        for index, engine in enumerate(self.engines):
            kind: Any = type(engine)
            # a component has but one place
            placed = place(m, f"engine_{index}", kind(**engine.arguments))
            for name, (value, flow) in placed.ports().items():
                port = getattr(self, f"e{index}_{name}")
                value = Value.cast(value)
                m.d.comb += value.eq(port) if flow == In else port.eq(value)
        return m


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """What the bench is given of one product."""

    schedule: Schedule
    arrays: dict[str, np.ndarray]
    description: dict[str, int | float | str]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One of the engines of a bench, and what it is given."""

    engine: Engine
    prefix: str
    stimuli: list[Stimulus]
    planted: bool

    @property
    def settings(self) -> dict[str, object]:
        """What the bench knows of it."""
        of = f"{self.engine.name}, " if self.prefix else ""
        return {
            "streams": ["act", "weight", *self.engine.parameter_bits],
            "result_bits": self.engine.result_bits,
            "invalid_bits": self.engine.invalid_bits,
            "cols": self.engine.shape.cols,
            "name": self.engine.name,
            "faults": [name for name in self.engine.flags if name != "nonfinite"],
            "fault_latency": self.engine.fault_latency + self.engine.panel_rows,
            "planted": self.planted,
            "products": [{**stimulus.description, "of": of} for stimulus in self.stimuli],
        }

    def simulations(self, outcome: Outcome) -> list[Simulation]:
        """What came out of it."""
        named = [(f"{self.prefix}result_{i}", stimulus.schedule) for i, stimulus in enumerate(self.stimuli)]
        kept = [(outcome.arrays[name], schedule) for name, schedule in named if name in outcome.arrays]
        cycles = outcome.figures.get("cycles", {}).get(self.prefix, [])
        return [
            Simulation(results=schedule.collect(beats), cycles=taken, schedule=schedule)
            for (beats, schedule), taken in zip(kept, cycles, strict=True)
        ]


def _parts(
    engines: Sequence[tuple[Engine, Sequence[Product]]], prefixes: Sequence[str], *, seed: int, planted: bool = False
) -> list[_Part]:
    require_simulator()
    parts = []
    for (engine, products), prefix in zip(engines, prefixes, strict=True):
        random, spec = np.random.default_rng(seed), engine.spec
        stimuli = [stimulus_of(spec, product, random) for product in products]
        parts.append(_Part(engine=engine, prefix=prefix, stimuli=stimuli, planted=planted))
    return parts


def _bench(top: Unit, parts: Sequence[_Part], *, seed: int, waves: str, simulator: str) -> Bench:
    arrays = {
        f"{part.prefix}{name}_{index}": array
        for part in parts
        for index, stimulus in enumerate(part.stimuli)
        for name, array in stimulus.arrays.items()
    }
    return Bench(
        verilog=emit_verilog(top),
        top=top.name,
        module="tb.engine_bench",
        settings={
            "seed": seed,
            "four_state": simulator == "icarus",
            "engines": {part.prefix: part.settings for part in parts},
        },
        arrays=arrays,
        cycles=max(sum(stimulus.schedule.cycles for stimulus in part.stimuli) for part in parts),
        waves=waves,
        simulator=simulator,
    )


def stimulus_of(engine: EngineSpec, product: Product, random: np.random.Generator) -> Stimulus:
    """Beats of a product, with random padding, and what must come of them."""
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
    return Stimulus(schedule=schedule, arrays=arrays, description=description)
