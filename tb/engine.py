"""Simulates an engine: products in, what the hardware made of them out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dataflow.engine import Engine
from dataflow.schedule import Schedule, schedule_of
from hw.verilog import emit_verilog
from sw_ref.drain import drain
from sw_ref.gemm import gemm
from sw_ref.groups import group_slices
from tb.runner import Bench, Outcome, run_bench
from tb.streams import packed

__all__ = ["Product", "Simulation", "expected_results", "simulate_engine"]


@dataclass(frozen=True, kw_only=True)
class Product:
    """One product to simulate.

    Parameters
    ----------
    act, weight : ndarray
        Codes (M, K), and (K, N) or (passes, K, N).
    group : int
        Products along K that make a sum; 0 for what the engine's tiling says.
    mode : int
        Which of the processing element's modes.
    parameters : mapping
        What the drain edge takes, see `sw_ref.drain.drain`.
    abandon_after : int, optional
        Reset the engine this many cycles into the product, and go on with the next.
    """

    act: np.ndarray
    weight: np.ndarray
    group: int = 0
    mode: int = 0
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    abandon_after: int | None = None

    @property
    def planes(self) -> np.ndarray:
        """Weights (passes, K, N)."""
        return self.weight if self.weight.ndim == 3 else self.weight[None]

    def schedule(self, engine: Engine) -> Schedule:
        """What an engine does for it."""
        passes, k, n = self.planes.shape
        return schedule_of(engine, m=len(self.act), n=n, k=k, group=self.group, passes=passes, mode=self.mode)


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What came of simulating one product.

    Parameters
    ----------
    results : ndarray
        What the hardware put out, int64 (results, M, N): all sums, or what the drain edge made of them.
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
    stalls: float = 0.0,
    seed: int = 0,
    waves: str = "",
    verilog: str | None = None,
) -> tuple[Outcome, list[Simulation]]:
    """Run products through an engine in Verilator and hold the results against `expected_results`.

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
            "streams": ["act", "weight", *engine.parameter_bits],
            "result_bits": engine.result_bits,
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
        Simulation(results=schedule.collect(outcome.arrays[f"result_{i}"]), cycles=cycles, schedule=schedule)
        for (i, schedule), cycles in zip(kept, outcome.figures.get("cycles", []), strict=True)
    ]
    return outcome, simulations


@dataclass(frozen=True, kw_only=True)
class _Stimulus:
    """What the bench is given of one product."""

    schedule: Schedule
    arrays: dict[str, np.ndarray]
    description: dict[str, int | str]


def _stimulus(engine: Engine, product: Product, random: np.random.Generator) -> _Stimulus:
    schedule = product.schedule(engine)
    expected, counted = schedule.result_beats(expected_results(engine, product))
    description = {
        "name": f"{schedule.m} x {schedule.n} x {schedule.k}",
        "command": schedule.command,
        "rows": len(expected),
        "cycles": schedule.cycles,
    }
    if product.abandon_after is not None:
        description["abandon_after"] = product.abandon_after
    pe, mode = engine.pe, engine.pe.modes[product.mode]
    act = schedule.act_beats(product.act, random=random)
    weight = schedule.weight_beats(product.planes, random=random)
    arrays = {
        "act": packed((act, mode.act.bits), lanes=mode.lanes, word=pe.row_code_bits),
        "weight": packed((weight, mode.weight.bits), lanes=mode.lanes, word=pe.column_code_bits),
        **_parameter_beats(engine, schedule, product.parameters),
        "expected": expected,
        "counted": counted,
    }
    return _Stimulus(schedule=schedule, arrays=arrays, description=description)


def _parameter_beats(engine: Engine, schedule: Schedule, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Payloads of the streams of parameters."""
    beats = {"column": schedule.column_beats, "row": schedule.row_beats, "output": schedule.output_beats}
    payloads = {}
    for kind, shapes in engine.parameter_shapes.items():
        fields = []
        for name, shape in shapes.items():
            codes = np.asarray(parameters[name]).astype(np.int64)
            if name == "scale" and codes.ndim == 3:
                # the terms of a scale lie side by side
                terms = codes << (np.arange(len(codes)) * (shape.width // len(codes)))[:, None, None]
                codes = np.bitwise_or.reduce(terms, axis=0)
            fields.append((beats[kind](codes), shape.width))
        payloads[kind] = packed(*fields)
    return payloads


def expected_results(engine: Engine, product: Product) -> np.ndarray:
    """What the model says of one product of codes: int64 (results, M, N)."""
    mode = engine.pe.modes[product.mode]
    group = product.schedule(engine).group
    slots = engine.pe.lanes // mode.lanes
    sums = np.concatenate(
        [
            gemm(
                product.act,
                plane,
                act=mode.act,
                weight=mode.weight,
                accumulator=engine.accumulator,
                group_size=group,
                step=engine.span // slots,
                rule=engine.pe.rule,
            )
            for plane in product.planes
        ]
    )
    if not engine.drain:
        return sums
    act = mode.act.to_fixed(product.act)
    row_sums = np.stack([act[:, k].sum(axis=1) for k in group_slices(act.shape[1], group)] * len(product.planes))
    results = drain(sums, row_sums, product.parameters, engine.drain)[None].astype(np.int64)
    # codes of floats are read as two's complement, as all results are
    unused = 64 - engine.result_bits
    return results << unused >> unused
