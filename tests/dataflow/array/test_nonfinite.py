"""Operands that are infinite or NaN: which results they reach, and that they leave all others alone."""

import numpy as np
import pytest

from dataflow import ENGINES
from dataflow.array.shape import Shape
from dataflow.engine.tiling import Tiling
from pe.float.family import FloatProduct
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_codes import value_of
from sw_ref.arith.float_sum import RoundedSum
from sw_ref.drain.edge import Drain
from sw_ref.engine.product import Product, expected_results
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import FLOATS, FP32
from sw_ref.formats.nonfinite import Pattern, nonfinite_pattern, nonfinite_results, zeroed
from tb.engine import simulate_engine
from tests.quick import each_once
from tests.typed import present

PATTERNS = {
    "int8": None,
    "e2m1": None,
    "e4m3_fn": Pattern(0x7F, 0x7F),
    "e5m2_ieee": Pattern(0x7C, 0x7C),
    "e5m10_ieee": Pattern(0x7C00, 0x7C00),
    "posit8_0": Pattern(0xFF, 0x80),
    "posit16_1": Pattern(0xFFFF, 0x8000),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_pattern_is_of_just_those_codes(name):
    form = parse_format(name)
    pattern = nonfinite_pattern(form)
    assert pattern == PATTERNS[name]
    codes = np.arange(1 << form.bits)
    matches = codes & pattern.care == pattern.value if pattern else np.zeros(len(codes), bool)
    np.testing.assert_array_equal(matches, ~np.isfinite(form.decode(codes)))
    np.testing.assert_array_equal(form.decode(zeroed(form, codes))[matches], 0.0)
    np.testing.assert_array_equal(zeroed(form, codes)[~matches], codes[~matches])


def test_rule_is_that_of_rows_and_columns():
    random = np.random.default_rng(0)
    act, weight = random.random((5, 9)) < 0.97, random.random((9, 7)) < 0.97
    expected = [[not all(act[m, k] and weight[k, n] for k in range(9)) for n in range(7)] for m in range(5)]
    assert np.unique(expected).size == 2
    np.testing.assert_array_equal(nonfinite_results(act, weight), expected)


CASES = {
    "sums": {},
    "groups": {"tiling": Tiling(group_size=4, max_k=12, panel_rows=3)},
    "passes": {"tiling": Tiling(max_k=12, panel_rows=3, max_passes=2), "drain": Drain.of(accumulator=Accumulator(40))},
    "floats": {
        "tiling": Tiling(group_size=4, max_k=12, panel_rows=3),
        "drain": Drain.of(scale=FLOATS["e8m0"], act_scale="row", relu=True),
    },
    "turns": {
        "tiling": Tiling(group_size=4, max_k=12, panel_rows=3, drain_lanes=2),
        "drain": Drain.of(scale=FP32, act_scale="group"),
    },
}


def make_engine(dataflow, *, tiling=None, drain=None, sums=None, interleave=1):
    pe = FloatProduct(act=parse_format("e4m3_fn"), weight=parse_format("e3m2_ieee"), lanes=2, interleave=interleave)
    tiling = tiling or Tiling(max_k=12, panel_rows=3)
    parts = {"shape": Shape(rows=2, cols=3), "accumulator": sums or Accumulator(40), "tiling": tiling, "drain": drain}
    return ENGINES[dataflow](pe=pe, **parts)


def product(engine, random, m, n, k, *, rate):
    """Random codes, of which so many are not finite."""
    passes = engine.tiling.max_passes
    codes = {}
    for side, shape in (("act", (m, k)), ("weight", (passes, k, n))):
        form = getattr(engine.pe, side)
        finite = zeroed(form, random.integers(0, 1 << form.bits, shape, np.uint32))
        codes[side] = np.where(random.random(shape) < rate, present(nonfinite_pattern(form)).value, finite)
    group = min(engine.tiling.group_size or k, k)
    sums = passes * -(-k // group)
    shapes, given = {"column": (sums, n), "row": (sums, m), "output": (n,)}, {}
    for parameter in engine.drain.parameters if engine.drain else ():
        given[parameter.name] = parameter.form.encode(2.0 ** random.integers(-3, 4, shapes[parameter.kind]))
    return Product(**codes, group=group, parameters=given)


@pytest.mark.parametrize(("case", "dataflow"), each_once(CASES, ENGINES, every=3))
def test_results_with_such_operands_are_invalid_and_no_others(dataflow, case):
    """The bench holds values, flags and the sticky flag against the model; a product without follows one with."""
    hold_against_the_model(make_engine(dataflow, **CASES[case]))


@pytest.mark.parametrize("drain", [None, Drain.of(channel_scale=True, sums=FP32)], ids=["sums", "drain"])
def test_cells_that_keep_several_sums_tell_them_apart(drain):
    engine = make_engine("output_stationary", drain=drain, sums=RoundedSum(FP32), interleave=3)
    hold_against_the_model(engine)


def hold_against_the_model(engine):
    random = np.random.default_rng(4)
    sizes = [(5, 4, 12, 0.02), (3, 3, 7, 0.0), (1, 7, 12, 0.02), (7, 2, 5, 0.3), (2, 3, 1, 0.0)]
    jobs = [product(engine, random, m, n, k, rate=rate) for m, n, k, rate in sizes]
    jobs += [job.under(stalls=0.4) for job in jobs]
    outcome, done = simulate_engine(engine, jobs, seed=2)
    assert outcome.failure is None
    floats = engine.drain.arithmetic if engine.drain and engine.drain.floating else None
    for job, simulation in zip(jobs, done, strict=True):
        bad = ~np.all(engine.pe.act.finite(job.act), axis=1)[:, None] | ~engine.pe.weight.finite(job.planes).all((0, 1))
        if floats:
            np.testing.assert_array_equal(np.isnan(value_of(floats, simulation.results[0] & 0xFFFFFFFF)), bad)
        np.testing.assert_array_equal(simulation.results, expected_results(engine.spec, job))
