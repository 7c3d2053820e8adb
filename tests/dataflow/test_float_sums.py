"""Engines whose sums are floats: every cell rounds, and the drain edge goes on from there."""

import ml_dtypes
import numpy as np
import pytest

from dataflow import ENGINES
from dataflow.array.shape import Shape
from dataflow.engine.tiling import Tiling
from pe import FAMILIES
from sw_ref.arith.float_sum import AlignedSum, PartialSum, RoundedSum
from sw_ref.drain.edge import Drain
from sw_ref.engine.product import Product, expected_results
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import BF16, FLOATS, FP32, Float
from sw_ref.formats.nonfinite import zeroed
from tb.draw import draw_near
from tb.engine import simulate_engine
from tests.quick import few

BF16_FLUSHED = "e8m7_ieee_flushed"
CASES = {
    "rounded": {"sums": RoundedSum(FP32), "forms": (BF16_FLUSHED, BF16_FLUSHED)},
    "rounded-groups": {
        "sums": RoundedSum(FP32),
        "forms": ("fp8_e4m3", "int4"),
        "group": 5,
        "drain": Drain.of(scale=FLOATS["e8m0"], act_scale="row", sums=FP32),
    },
    "rounded-short": {"sums": RoundedSum(BF16), "forms": ("fp8_e5m2", "fp4_e2m1"), "lanes": 2},
    "aligned": {
        "sums": AlignedSum(13, Float(8, 13, specials="ieee")),
        "forms": ("fp8_e4m3", "fp8_e4m3"),
        "lanes": 4,
        "drain": Drain.of(channel_scale=True, sums=Float(8, 13, specials="ieee")),
    },
    "rounded-in-turn": {
        "sums": RoundedSum(FP32),
        "forms": ("bf16", BF16_FLUSHED),
        "options": {"pipeline": 1, "interleave": 3},
    },
    "rounded-groups-in-turn": {
        "sums": RoundedSum(FP32),
        "forms": ("fp8_e4m3", "int4"),
        "group": 5,
        "drain": Drain.of(scale=FLOATS["e8m0"], act_scale="row", sums=FP32),
        "options": {"interleave": 4},
    },
    "aligned-in-turn": {
        "sums": AlignedSum(13, Float(8, 13, specials="ieee")),
        "forms": ("fp8_e4m3", "fp8_e5m2"),
        "lanes": 5,
        "drain": Drain.of(channel_scale=True, act_scale="row", sums=Float(8, 13, specials="ieee")),
        "options": {"pipeline": 2, "interleave": 2},
    },
    "partial-in-turn": {
        "sums": PartialSum((1, 3)),
        "forms": (BF16_FLUSHED, BF16_FLUSHED),
        "options": {"interleave": 5},
    },
    "partial": {"sums": PartialSum((1, 3)), "forms": (BF16_FLUSHED, BF16_FLUSHED)},
    "partial-groups": {
        "sums": PartialSum((2,)),
        "forms": (BF16_FLUSHED, BF16_FLUSHED),
        "group": 4,
        "drain": Drain.of(sums=BF16, arithmetic=BF16),
    },
}


def make_engine(*, sums, forms, lanes=1, group=0, drain=None, options=None, dataflow="output_stationary"):
    act, weight = map(parse_format, forms)
    pe = FAMILIES["float"](act=act, weight=weight, lanes=lanes, **(options or {}))
    tiling = Tiling(group_size=group, max_k=12, drain_lanes=1 if drain else 0)
    return ENGINES[dataflow](pe=pe, shape=Shape(rows=2, cols=3), accumulator=sums, tiling=tiling, drain=drain)


def product(engine, random, m, n, k):
    group = min(engine.tiling.group_size or k, k)
    given, sums = {}, -(-k // group)
    shapes = {"column": (sums, n), "row": (sums, m), "output": (n,)}
    for parameter in engine.drain.parameters if engine.drain else ():
        given[parameter.name] = parameter.form.encode(2.0 ** random.integers(-3, 4, shapes[parameter.kind]))
    act, weight = draw_near(random, engine.pe.act, (m, k)), draw_near(random, engine.pe.weight, (k, n))
    return Product(act=act, weight=weight, group=group, parameters=given)


@pytest.mark.parametrize("case", few(CASES, 3))
def test_results_are_those_of_the_model(case):
    engine = make_engine(**CASES[case])
    random = np.random.default_rng(5)
    jobs = [product(engine, random, m, n, k) for m, n, k in [(3, 4, 12), (2, 3, 7), (9, 5, 1), (5, 1, 1)]]
    jobs += [job.under(stalls=0.4) for job in jobs]
    outcome, done = simulate_engine(engine, jobs, seed=2)
    assert outcome.failure is None
    assert len(done) == len(jobs)
    for job, simulation in zip(jobs, done, strict=True):
        np.testing.assert_array_equal(simulation.results, expected_results(engine.spec, job))


def test_fp32_sums_are_those_of_numpy():
    engine = make_engine(**CASES["rounded"])
    job = product(engine, np.random.default_rng(6), 4, 5, 12)
    act, weight = (x.astype(np.uint16).view(ml_dtypes.bfloat16).astype(np.float32) for x in (job.act, job.weight))
    total = np.zeros((4, 5), np.float32)
    for k in range(12):
        total = total + act[:, k, None] * weight[k]
    np.testing.assert_array_equal(expected_results(engine.spec, job)[0].astype(np.int32).view(np.float32), total)


def test_operands_that_are_not_finite_do_not_reach_the_cells():
    engine = make_engine(**CASES["rounded"])
    random = np.random.default_rng(7)
    clean = product(engine, random, 3, 3, 6)
    act = clean.act.copy()
    act[1, 2] = 0x7F80
    (dirty,) = [Product(act=act, weight=clean.weight, group=clean.group)]
    outcome, (simulation,) = simulate_engine(engine, [dirty])
    assert outcome.failure is None
    zero = Product(act=zeroed(engine.pe.act, act), weight=clean.weight, group=clean.group)
    np.testing.assert_array_equal(simulation.results, expected_results(engine.spec, zero))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: make_engine(**CASES["rounded"], dataflow="weight_stationary"),
            "^Dataflow must be output_stationary for sums as fp32, which depend on their order",
        ),
        (
            lambda: ENGINES["output_stationary"](
                pe=FAMILIES["mac"](act=Int(8), weight=Int(8)),
                shape=Shape(rows=2, cols=2),
                accumulator=RoundedSum(FP32),
                tiling=Tiling(),
                drain=None,
            ),
            "^Accumulator must hold fixed-point sums for family mac, not fp32$",
        ),
        (
            lambda: Drain.of(sums=FP32, weight_zero=Int(4)),
            "^Drain zero points must be none, and its scale a float or none, where sums are floats$",
        ),
        (
            lambda: Drain.of(sums=FP32, arithmetic=BF16),
            "^Drain arithmetic must have the 8 exponent bits of the sums, and at least their 23 of fraction, not 8 ",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
