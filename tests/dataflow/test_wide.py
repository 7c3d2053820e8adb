"""Sums that an int64 does not hold: cells, arrays, engines and drain edges, against the model and Python's integers."""

import numpy as np
import pytest

from dataflow import ENGINES
from dataflow.array.shape import Shape
from dataflow.array.weight_stationary import WeightStationaryArray
from dataflow.engine.tiling import Tiling
from hw.float.from_integer import IntegerToFloat
from hw.integer.halves import Halved
from pe.float.family import FloatProduct
from pe.mac import IntegerMac
from sw_ref.arith.accumulate import OVERFLOWS, Accumulator
from sw_ref.arith.float_codes import from_integer
from sw_ref.drain.edge import Drain
from sw_ref.engine.product import Product, expected_results
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import FP32
from sw_ref.interval import Interval
from tb.array import Tile, simulate_array
from tb.core import simulate_cores, trial_of
from tb.draw import draw
from tb.engine import simulate_engine
from tb.units import UnitTrial, simulate_units
from tests.quick import each_once, few

MAX_K = 24
# Sums of products of 32 bits take 69 bits, those of 53 bits 111.
CASES = {
    "refuse": (32, Accumulator(70), None),
    "wrap": (53, Accumulator(108, "wrap"), None),
    "float": (53, Accumulator(130), Drain.of(scale=FP32, relu=True)),
    "saturate": (
        32,
        Accumulator(66, "saturate"),
        Drain.of(weight_zero=Int(4), act_zero=Int(4), scale=Int(4), accumulator=Accumulator(73, "saturate")),
    ),
}


def mac(bits):
    return IntegerMac(act=Int(bits), weight=Int(bits), dsp="auto")


def make_engine(dataflow, bits, accumulator, drain):
    return ENGINES[dataflow](
        pe=mac(bits),
        shape=Shape(rows=2, cols=2),
        accumulator=accumulator,
        tiling=Tiling(group_size=10, max_k=MAX_K, panel_rows=3),
        drain=drain,
    )


def operands(bits, m, k, n, random):
    """Integers: all the lowest, the lowest and the highest, random."""
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    act, weight = (random.integers(low, high, shape, endpoint=True) for shape in ((m, k), (k, n)))
    act[0], weight[:, 0] = low, low
    act[-1], weight[:, -1] = high, low
    return act, weight


def parameters(engine, random, sums, m, n, weight):
    """For one product: floats that are no powers of two, zero points and scales of all sizes."""
    shapes = {"column": (sums, n), "row": (sums, m)}
    given = {}
    for kind, fields in engine.parameter_shapes.items():
        for name, shape in fields.items():
            if name == "column_sum":
                size = engine.tiling.group_size
                given[name] = np.stack([weight[at : at + size].sum(axis=0) for at in range(0, len(weight), size)])
            elif shape.width == FP32.bits:
                given[name] = FP32.encode(random.lognormal(-20, 5, shapes[kind]))
            else:
                low = -(1 << shape.width - 1)
                given[name] = random.integers(low, -low, shapes[kind])
    return given


@pytest.mark.parametrize(("case", "dataflow"), each_once(CASES, ENGINES, every=3))
def test_engines_sum_beyond_int64(dataflow, case):
    """The bench holds results against the model, with and without stalls; here sums against Python's integers."""
    bits, accumulator, drain = CASES[case]
    engine = make_engine(dataflow, bits, accumulator, drain)
    random = np.random.default_rng(1)
    products, expected = [], []
    for m, k, n in ((4, MAX_K, 3), (2, 10, 2), (1, 1, 1)):
        act, weight = operands(bits, m, k, n, random)
        groups = [slice(at, min(at + 10, k)) for at in range(0, k, 10)]
        given = parameters(engine, random, len(groups), m, n, weight) if drain else {}
        codes = (engine.pe.act.from_values(act), engine.pe.weight.from_values(weight))
        one = Product(act=codes[0], weight=codes[1], parameters=given)
        products += [one, one.under(stalls=0.4)]
        expected += 2 * [[(act[:, g].astype(object) @ weight[g].astype(object)).tolist() for g in groups]]
    outcome, done = simulate_engine(engine, products, seed=3)
    assert outcome.failure is None
    results = [one.results for one in done]
    assert len(results) == len(products)
    assert any(result.any() for result in results)
    assert all(result.dtype == (np.int64 if drain and drain.floating else object) for result in results)
    if not drain:
        half = 1 << accumulator.bits - 1
        for result, sums in zip(results, expected, strict=True):
            kept = (np.array(sums, object) + half) % (2 * half) - half
            assert result.tolist() == kept.tolist()


def test_cells_add_beyond_int64():
    """Addends of all sizes, the largest among them."""
    accumulators = [Accumulator(bits, overflow) for bits in (64, 70, 130) for overflow in OVERFLOWS]
    random = np.random.default_rng(2)
    trials = [trial_of(mac(16), accumulator, random=random) for accumulator in accumulators]
    assert simulate_cores(trials).failure is None
    for trial, accumulator in zip(trials, accumulators, strict=True):
        assert max(trial.sums) == accumulator.interval.hi or accumulator.overflow == "refuse"


@pytest.mark.parametrize("bits", few([256, 70], 2))
def test_floats_of_integers_beyond_int64(bits):
    """Of all sizes, and next to ties."""
    random = np.random.default_rng(5)
    sizes = random.integers(0, bits - 30, 3000).astype(object)
    ties = random.integers(-(1 << 26), 1 << 26, 3000).astype(object) * 4 << sizes
    integers = np.concatenate([ties - 1, ties, ties + 1, draw(random, Interval.of_bits(bits, signed=True), 1000)])
    unit = IntegerToFloat(bits=bits, signed=True, shape=FP32, pipeline=0)
    trial = UnitTrial(unit=unit, inputs={"integer": integers}, expected={"code": from_integer(FP32, integers)})
    assert simulate_units([trial]).failure is None


@pytest.mark.parametrize(("bits", "overflow"), few([(130, "wrap"), (70, "saturate")], 2))
def test_columns_start_from_sums_beyond_int64(bits, overflow):
    """What an array adds its products to is given to it."""
    array = WeightStationaryArray(pe=mac(16), shape=Shape(rows=2, cols=2), accumulator=Accumulator(bits, overflow))
    random, tiles = np.random.default_rng(3), []
    room = array.accumulator.interval
    for _ in range(4):
        act, weight = operands(16, 5, 2, 2, random)
        base = draw(random, room, (5, 2))
        base[0], base[-1] = room.hi, room.lo
        codes = [form.from_values(x) for form, x in ((array.pe.act, act), (array.pe.weight, weight))]
        tiles.append(Tile(act=codes[0], weight=codes[1], base=base))
    assert simulate_array(array, tiles, gaps=0.3).failure is None


def test_a_difference_beyond_int64_is_noticed(monkeypatch):
    engine = make_engine("output_stationary", 32, Accumulator(70), None)
    right = expected_results
    monkeypatch.setattr("tb.engine.expected_results", lambda *given: right(*given) ^ (1 << 67))
    act, weight = operands(32, 2, 10, 2, np.random.default_rng(4))
    codes = engine.pe.act.from_values(act), engine.pe.weight.from_values(weight)
    outcome, (one,) = simulate_engine(engine, [Product(act=codes[0], weight=codes[1])])
    total = 10 << 62
    assert one.results[0, 0, 0] == total
    where = "product 2 x 2 x 10: 4 of 4 results differ, the first in row 0, column 0"
    assert outcome.failure == f"{where}: {total}, not {total ^ (1 << 67)}"


@pytest.mark.parametrize(
    ("shape", "accumulator"),
    few(
        [
            (Shape(rows=3, cols=2), Accumulator(125)),
            (Shape(rows=4, cols=2, tile_rows=2, tile_cols=2), Accumulator(118, "saturate")),
            (Shape(rows=3, cols=1), Accumulator(40, "saturate")),
            (Shape(rows=2, cols=2), Accumulator(97, "wrap")),
        ],
        3,
    ),
    ids=lambda each: each.name,
)
def test_partial_sums_in_halves(shape, accumulator):
    """Of the largest products, which cancel or not, and of others; next to bases of all sizes."""
    posit = parse_format("posit16_1")
    pe = FloatProduct(act=posit, weight=posit, pipeline=2)
    array = WeightStationaryArray(pe=pe, shape=shape, accumulator=accumulator)
    assert isinstance(array.cells.psum, Halved)
    assert array.sum_latency == 2
    random, tiles = np.random.default_rng(3), []
    room = accumulator.interval
    room = Interval(room.lo // 2, room.hi // 2) if accumulator.overflow == "refuse" else room
    for _tile in range(12):
        depth, rows = random.integers(1, shape.rows, endpoint=True), random.integers(1, 9)
        act, weight = (random.integers(0, 1 << 16, size) for size in ((rows, depth), (depth, shape.cols)))
        for codes in (act, weight):
            codes[random.random(codes.shape) < 0.5] = random.choice([0x7FFF, 0x8001, 1, 0xFFFF])
        base = draw(random, room, rows * shape.cols).reshape(rows, shape.cols)
        tiles.append(Tile(act=act, weight=weight, base=base))
    assert simulate_array(array, tiles).failure is None
    assert simulate_array(array, tiles, gaps=0.4, seed=1).failure is None
