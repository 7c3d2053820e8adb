"""Simulates an engine: products in, what the hardware made of them out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dataflow.engine import Engine
from dataflow.schedule import Schedule, schedule_of
from hw.verilog import emit_verilog
from sw_ref.drain import drain
from sw_ref.formats import Format
from sw_ref.groups import group_slices
from sw_ref.matmul import exact_matmul
from sw_ref.nonfinite import nonfinite_results, zeroed
from sw_ref.wide import integer_array, wrapped
from tb.model import model_sums
from tb.runner import Bench, Outcome, run_bench
from tb.simulator import require_simulator
from tb.streams import packed

__all__ = ["Product", "Simulation", "expected_invalid", "expected_results", "simulate_engine"]


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
    stalls : float
        Probability, in each cycle and on each stream, of nobody being ready there.
    abandon_after : int, optional
        Reset the engine this many cycles into the product, and go on with the next.
    """

    act: np.ndarray
    weight: np.ndarray
    group: int = 0
    mode: int = 0
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    stalls: float = 0.0
    abandon_after: int | None = None

    @property
    def planes(self) -> np.ndarray:
        """Weights (passes, K, N)."""
        return self.weight if self.weight.ndim == 3 else self.weight[None]

    def under(self, stalls: float) -> "Product":
        """The same product under so many stalls."""
        return replace(self, stalls=stalls)

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
    stimuli = [_stimulus(engine, product, random) for product in products]
    arrays = {
        f"{name}_{index}": array for index, stimulus in enumerate(stimuli) for name, array in stimulus.arrays.items()
    }
    bench = Bench(
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
    description: dict[str, int | float | str]


def _stimulus(engine: Engine, product: Product, random: np.random.Generator) -> _Stimulus:
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
    pe, mode = engine.pe, engine.pe.modes[product.mode]
    act = schedule.act_beats(integer_array(product.act), random=random)
    weight = schedule.weight_beats(integer_array(product.planes), random=random)
    arrays = {
        "act": packed((act, mode.act.bits), lanes=mode.lanes, word=pe.row_code_bits),
        "weight": packed((weight, mode.weight.bits), lanes=mode.lanes, word=pe.column_code_bits),
        **_parameter_beats(engine, schedule, product.parameters),
        "expected": expected,
        "counted": counted,
    }
    if engine.invalid_bits:
        arrays["invalid"], _counted = schedule.result_beats(expected_invalid(engine, product))
    return _Stimulus(schedule=schedule, arrays=arrays, description=description)


def _parameter_beats(engine: Engine, schedule: Schedule, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Payloads of the streams of parameters."""
    beats = {"column": schedule.column_beats, "row": schedule.row_beats, "output": schedule.output_beats}
    payloads = {}
    for kind, shapes in engine.parameter_shapes.items():
        fields = []
        for name, shape in shapes.items():
            codes = integer_array(parameters[name])
            if name == "scale" and codes.ndim == 3:
                # the terms of a scale lie side by side
                terms = codes << (np.arange(len(codes)) * (shape.width // len(codes)))[:, None, None]
                codes = np.bitwise_or.reduce(terms, axis=0)
            fields.append((beats[kind](codes), shape.width))
        payloads[kind] = packed(*fields)
    return payloads


def expected_results(engine: Engine, product: Product) -> np.ndarray:
    """What the model says of one product of codes: integers (results, M, N), as `Simulation` has them."""
    mode = engine.pe.modes[product.mode]
    group = product.schedule(engine).group
    slots = engine.pe.lanes // mode.lanes
    how = {"mode": product.mode, "group_size": group, "step": engine.span // slots}
    sums = [model_sums(engine.pe, engine.accumulator, product.act, plane, **how) for plane in product.planes]
    sums = np.concatenate(sums)
    if not engine.drain:
        return wrapped(sums, engine.result_bits)
    row_sums = _row_sums(mode.act, zeroed(mode.act, product.act), group) if engine.row_sum_bits else []
    results = drain(sums, np.array(row_sums * len(product.planes)), product.parameters, engine.drain)[None]
    if engine.invalid_bits and engine.drain.floating:
        results = np.where(expected_invalid(engine, product), engine.drain.arithmetic.nan, results)
    # codes of floats are read as two's complement, as all results are
    return wrapped(results, engine.result_bits)


def _row_sums(act: Format, codes: np.ndarray, group: int) -> list[np.ndarray]:
    """Of each group, the sum of each row's activations."""
    integers = act.to_fixed(codes)
    groups = group_slices(codes.shape[1], group)
    return [exact_matmul(integers[:, k], np.ones((k.stop - k.start, 1), int))[:, 0] for k in groups]


def expected_invalid(engine: Engine, product: Product) -> np.ndarray:
    """Which results have an operand that is infinite or NaN: bool (results, M, N)."""
    mode = engine.pe.modes[product.mode]
    act, planes = mode.act.finite(product.act), mode.weight.finite(product.planes)
    groups = group_slices(act.shape[1], product.schedule(engine).group)
    sums = np.stack([nonfinite_results(act[:, k], plane[k]) for plane in planes for k in groups])
    return sums.any(axis=0, keepdims=True) if engine.drain else sums
