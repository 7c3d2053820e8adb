"""Engines against the model and the schedule: any size, any stall, and a reset at any time."""

import numpy as np
import pytest

from dataflow import ENGINES
from dataflow.array.shape import Shape
from dataflow.engine.tiling import Tiling
from pe import FAMILIES
from sw_ref.arith.accumulate import Accumulator
from sw_ref.engine.product import Product, expected_results
from sw_ref.engine.schedule import schedule_of
from sw_ref.formats.catalog import parse_format
from tb.engine import simulate_engine
from tb.sizes import sizes
from tests.quick import each_once
from tests.typed import present

CASES = {
    "plain": {},
    "lanes-groups": {"lanes": 3, "tiling": Tiling(group_size=7, max_k=40, panel_rows=5)},
    "tiles": {"shape": Shape(rows=4, cols=4, tile_rows=2, tile_cols=4)},
    "pipeline-wide": {
        "act": "uint4",
        "weight": "int8",
        "options": {"pipeline": 1},
        "shape": Shape(rows=2, cols=5),
        "tiling": Tiling(group_size=6, max_k=40, panel_rows=3),
    },
    "shift-add": {"family": "shift_add", "lanes": 2, "weight": "uint5", "shape": Shape(rows=3, cols=3)},
    "decoded": {"family": "decoded", "weight": "nf4", "shape": Shape(rows=2, cols=3)},
    "table-tile": {
        "family": "table",
        "weight": "bipolar2",
        "lanes": 4,
        "shape": Shape(rows=2, cols=4, tile_rows=2, tile_cols=4),
    },
    "table-lossy": {
        "family": "table",
        "weight": "bipolar1",
        "lanes": 8,
        "options": {"k": 4, "table_bits": 8},
        "shape": Shape(rows=3, cols=2),
        "accumulator": Accumulator(20, "wrap"),
    },
    "ternary-table": {"family": "ternary_table", "weight": "ternary", "lanes": 2, "shape": Shape(rows=2, cols=3)},
    "saturate-tall": {"shape": Shape(rows=9, cols=1), "accumulator": Accumulator(10, "saturate")},
    "wrap-single": {"shape": Shape(rows=1, cols=1), "accumulator": Accumulator(9, "wrap"), "weight": "uint2"},
}


def make_engine(
    dataflow,
    *,
    family="mac",
    act="int8",
    weight="int4",
    lanes=1,
    options=None,
    shape=None,
    tiling=None,
    accumulator=None,
    drain=None,
):
    pe = FAMILIES[family](act=parse_format(act), weight=parse_format(weight), lanes=lanes, **(options or {}))
    return ENGINES[dataflow](
        pe=pe,
        shape=shape or Shape(rows=4, cols=3),
        accumulator=accumulator or Accumulator(20),
        tiling=tiling or Tiling(max_k=40, panel_rows=6),
        drain=drain,
    )


def product(engine, random, m, n, k, abandon_after=None, group=0):
    act = random.integers(0, 1 << engine.pe.act.bits, (m, k), np.uint32)
    weight = random.integers(0, 1 << engine.pe.weight.bits, (k, n), np.uint32)
    return Product(act=act, weight=weight, abandon_after=abandon_after, group=group)


def expected(engine, one):
    """Sums of exact products by NumPy's own integers, where the accumulator cannot lose anything."""
    act, weight = engine.pe.act.to_fixed(one.act), engine.pe.weight.to_fixed(one.weight)
    size = one.group or engine.tiling.group_size or act.shape[1]
    starts = range(0, act.shape[1], size)
    return np.stack([act[:, at : at + size] @ weight[at : at + size] for at in starts])


@pytest.mark.parametrize(("case", "dataflow"), each_once(CASES, ENGINES, every=3))
def test_any_size_under_any_stalls_and_after_resets(dataflow, case):
    """The bench holds results against the model and cycles against the schedule; here against NumPy."""
    engine = make_engine(dataflow, **CASES[case])
    random = np.random.default_rng(1)
    products = [product(engine, random, *size) for size in sizes(engine.spec)]
    # groups that the command asks for, of any length that the panel has room for
    spans = [(size, engine.span * -(-size[2] // engine.span // 3)) for size in sizes(engine.spec)]
    longest = engine.tiling.max_group
    products += [product(engine, random, *size, group=min(group, size[2], longest)) for size, group in spans]
    for stalls in (0.1, 0.5, 0.9):
        for index, size in enumerate(sizes(engine.spec)[::2]):
            products.append(product(engine, random, *size, abandon_after=7 * index + 3).under(stalls))
            products.append(product(engine, random, *size).under(stalls))
    outcome, done = simulate_engine(engine, products)
    assert outcome.failure is None
    kept = [one for one in products if one.abandon_after is None]
    assert isinstance(engine.accumulator, Accumulator)
    for one, simulation in zip(kept, done, strict=True):
        assert one.stalls or simulation.cycles == simulation.schedule.cycles
        if engine.accumulator.overflow == "refuse":
            np.testing.assert_array_equal(simulation.results, expected(engine, one))


@pytest.mark.parametrize("dataflow", ENGINES)
def test_wrong_expectation_is_noticed(dataflow, monkeypatch):
    """The bench compares: one bit off in one sum of the model is a failure that names the place."""
    engine = make_engine(dataflow)
    right = expected_results

    def wrong(*arguments):
        sums = right(*arguments)
        sums[0, 2, 1] ^= 1
        return sums

    monkeypatch.setattr("tb.engine.expected_results", wrong)
    one = product(engine, np.random.default_rng(3), 4, 3, 9)
    outcome, _ = simulate_engine(engine, [one])
    assert "1 of 12 results differ, the first in row 2, column 1" in present(outcome.failure)


@pytest.mark.parametrize("dataflow, least", [("output_stationary", 0.95), ("weight_stationary", 0.90)])
def test_utilization_of_256_cubed(dataflow, least):
    """By the schedule, which the simulations above meet exactly."""
    engine = make_engine(dataflow, shape=Shape(rows=16, cols=16), tiling=Tiling(max_k=256))
    schedule = schedule_of(engine.spec, m=256, n=256, k=256)
    assert schedule.utilization >= least
    assert len(engine.act.payload) == 16 * 8
    assert len(engine.weight.payload) == 16 * 4


@pytest.mark.parametrize("dataflow", ENGINES)
def test_every_further_block_takes_as_long(dataflow):
    """Long products are counted like short ones, which are simulated above."""
    engine = make_engine(dataflow)
    for further, panel in (("n", engine.shape.cols), ("m", engine.panel_rows)):
        sizes = {"m": 13, "n": 7, "k": 20}
        cycles = [schedule_of(engine.spec, **sizes | {further: panel * blocks}).cycles for blocks in (3, 4, 5, 50)]
        step = cycles[1] - cycles[0]
        assert [after - cycles[0] for after in cycles[1:]] == [step, 2 * step, 47 * step]


@pytest.mark.parametrize("dataflow", ENGINES)
def test_operand_traffic(dataflow):
    """Activations enter once, weights once for each panel."""
    engine = make_engine(dataflow)
    schedule = schedule_of(engine.spec, m=13, n=7, k=20)
    panels = -(-13 // engine.panel_rows)
    assert schedule.operands == {"act": 13 * 20, "weight": panels * 20 * 7}
    act, weight = np.ones((13, 20), np.uint32), np.ones((20, 7), np.uint32)
    assert schedule.act_beats(act).sum() == schedule.operands["act"]
    assert schedule.weight_beats(weight[None]).sum() == schedule.operands["weight"]


@pytest.mark.parametrize("dataflow", ENGINES)
@pytest.mark.parametrize(
    "size, message",
    [
        ((0, 1, 1), r"^M must be from 1 to 1048575 for this engine, not 0$"),
        ((1, 1 << 20, 1), r"^N must be from 1 to 1048575 for this engine, not 1048576$"),
        ((1, 1, 41), r"^K must be from 1 to 40 for this engine, not 41$"),
    ],
)
def test_wrong_size_is_refused(dataflow, size, message):
    m, n, k = size
    with pytest.raises(ValueError, match=message):
        schedule_of(make_engine(dataflow).spec, m=m, n=n, k=k)


@pytest.mark.parametrize(
    "field, message",
    [
        ({"group_size": -1}, r"^Tiling group_size must be an integer from 0 to 65535, not -1$"),
        ({"max_k": 0}, r"^Tiling max_k must be an integer from 1 to 65535, not 0$"),
        ({"panel_rows": 1.5}, r"^Tiling panel_rows must be an integer from 1 to 4096, not 1.5$"),
    ],
)
def test_wrong_tiling_is_refused(field, message):
    with pytest.raises(ValueError, match=message):
        Tiling(**field)
