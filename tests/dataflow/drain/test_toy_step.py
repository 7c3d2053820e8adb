"""A step of one's own: one specification, one circuit, two entries; everything else takes it as it comes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dataflow.array.shape import Shape
from dataflow.drain.steps import CIRCUITS
from dataflow.engine.tiling import Tiling
from dataflow.engine.weight_stationary import WeightStationaryEngine
from hw.core.number import Number
from pe.mac import IntegerMac
from sw_ref.arith.accumulate import Accumulator
from sw_ref.drain.edge import Drain
from sw_ref.drain.step import Step
from sw_ref.drain.steps import STEPS
from sw_ref.engine.product import Product
from sw_ref.formats.base import Int
from tb.engine import simulate_engine
from tests.dataflow.drain import toy_step

HERE = Path(__file__).parent

# A design with the key, made, shown and multiplied through the front door.
FRONT_DOOR = """
from tests.dataflow.drain import toy_step
toy_step.enter()
from macforge import load_design
design = load_design("w4a4_os", ["drain.turn=true", "array.rows=2", "array.cols=2"])
print(design.drain.turn, design.edge.names("output"), [type(step).__name__ for step in design.edge.steps])
print(design.engine.spec.result_bits - load_design("w4a4_os").engine.spec.result_bits > 0)
"""


@pytest.fixture
def entered(monkeypatch):
    monkeypatch.setattr("sw_ref.drain.edge.STEPS", [*STEPS, toy_step.Turn])
    monkeypatch.setitem(CIRCUITS, toy_step.Turn, toy_step.TurnCircuit)


def simulated(drain, random):
    engine = WeightStationaryEngine(
        pe=IntegerMac(act=Int(4), weight=Int(4)),
        shape=Shape(rows=2, cols=3),
        accumulator=Accumulator(14),
        tiling=Tiling(group_size=4, max_k=12, panel_rows=3),
        drain=drain,
    )
    act, weight = random.integers(0, 16, (5, 10), np.uint32), random.integers(0, 16, (10, 5), np.uint32)
    parameters = {"turn": random.integers(0, 2, 5), "bias": random.integers(-99, 99, 5)}
    product = Product(act=act, weight=weight, parameters=parameters, stalls=0.2)
    outcome, done = simulate_engine(engine, [product])
    signed = [x.astype(int) - 16 * (x >= 8) for x in (act, weight)]
    total = signed[0] @ signed[1] + parameters["bias"]
    return outcome.failure, done, np.where(parameters["turn"], -total, total)


def test_a_new_step_is_simulated_like_any(entered):
    drain = Drain.of(bias=True, turn=True, accumulator=Accumulator(20))
    failure, (done,), expected = simulated(drain, np.random.default_rng(0))
    assert failure is None
    np.testing.assert_array_equal(done.results[0], expected)


def test_a_wrong_circuit_is_found(entered, monkeypatch):
    class Straight(toy_step.TurnCircuit):
        def describe(self, m, column, value):
            column.field(m, "turn", self.start)
            assert isinstance(value, Number)
            return toy_step.register(m, "straight", value)

    monkeypatch.setitem(CIRCUITS, toy_step.Turn, Straight)
    # of another width, since a process elaborates a column of the same arguments once
    drain = Drain.of(bias=True, turn=True, accumulator=Accumulator(21))
    failure, _, _ = simulated(drain, np.random.default_rng(1))
    assert failure is not None and "differ" in failure


def test_designs_have_its_key():
    root = HERE.parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", FRONT_DOOR], env=environment, capture_output=True, text=True, check=False, cwd=root
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["True ('turn',) ['Turn']", "True"]


def test_every_step_has_a_circuit():
    assert set(CIRCUITS) == set(STEPS)
    assert all(issubclass(step, Step) for step in STEPS)
    keys = [key.name for step in STEPS for key in step.keys]
    assert len(keys) == len(set(keys))


def test_what_a_step_does_not_take_is_refused(entered):
    with pytest.raises(ValueError, match=r"^Drain turn must be left out behind steps with floats$"):
        Drain.of(channel_scale="fp32", turn=True)
