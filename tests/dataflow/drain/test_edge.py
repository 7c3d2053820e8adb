"""Engines with a drain edge against the model: groups, passes, parameters of all kinds, under stalls and resets."""

import itertools

import numpy as np
import pytest

from dataflow import ENGINES
from dataflow.array.shape import Shape
from dataflow.engine.tiling import Tiling
from pe import FAMILIES
from sw_ref.arith.accumulate import Accumulator
from sw_ref.drain.edge import Drain
from sw_ref.engine.product import Product
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import BF16, FLOATS, FP16, FP32, Float
from sw_ref.formats.signs import PowerOfTwo
from tb.engine import simulate_engine
from tb.parameters import random_parameters
from tests.quick import each_once

GROUPS = Tiling(group_size=5, max_k=24, panel_rows=4)
PLANES = Tiling(max_k=24, panel_rows=3, max_passes=3)
WHOLE = Tiling(max_k=24, panel_rows=5)
CASES = {
    "float-groups": {
        "tiling": GROUPS,
        "weight": "uint4",
        "drain": Drain.of(weight_zero=Int(4, False), scale=FP32, act_scale="row", bias=True, relu=True),
    },
    "float-act-groups": {
        "tiling": Tiling(group_size=5, max_k=24, panel_rows=4, max_passes=2),
        "act": "uint8",
        "lanes": 2,
        "drain": Drain.of(act_zero=Int(8, False), scale=BF16, act_scale="group", channel_scale=True, arithmetic=BF16),
    },
    "float-clamp": {
        "tiling": GROUPS,
        "drain": Drain.of(act_scale="group", clamp=(-1.5, 40.0)),
    },
    "integer-scales": {
        "tiling": GROUPS,
        "weight": "uint4",
        "lanes": 3,
        "drain": Drain.of(
            weight_zero=Int(4, False),
            act_zero=Int(8),
            scale=Int(8, False),
            channel_scale=True,
            act_scale="row",
            accumulator=Accumulator(40),
        ),
    },
    "powers": {
        "tiling": PLANES,
        "act": "bipolar1",
        "weight": "bipolar1",
        "family": "bit_serial",
        "lanes": 4,
        "drain": Drain.of(
            weight_zero=Int(2), scale=PowerOfTwo(5), scale_terms=3, accumulator=Accumulator(20, "wrap"), relu=True
        ),
    },
    "saturate": {
        "tiling": PLANES,
        "drain": Drain.of(accumulator=Accumulator(12, "saturate"), clamp=(-2000, 1500)),
    },
    "requantize": {
        "tiling": WHOLE,
        "shape": Shape(rows=2, cols=3),
        "drain": Drain.of(bias=True, requantize=Int(8), clamp=(-100, 90), accumulator=Accumulator(24)),
    },
    "turns": {
        "tiling": Tiling(group_size=5, max_k=24, panel_rows=4, drain_lanes=2),
        "weight": "uint4",
        "shape": Shape(rows=2, cols=5),
        "drain": Drain.of(weight_zero=Int(4, False), scale=FP16, act_scale="row", bias=True),
    },
    "turns-of-one": {
        "tiling": Tiling(group_size=9, max_k=24, panel_rows=5, max_passes=2, drain_lanes=1),
        "act": "uint8",
        "drain": Drain.of(act_zero=Int(8, False), scale=FLOATS["e8m0"], act_scale="group", arithmetic=BF16),
    },
    "turns-of-integers": {
        "tiling": Tiling(group_size=5, max_k=24, panel_rows=3, drain_lanes=2),
        "drain": Drain.of(bias=True, requantize=Int(8), accumulator=Accumulator(24)),
    },
    "turns-without-totals": {
        "tiling": Tiling(max_k=24, panel_rows=7, drain_lanes=2),
        "shape": Shape(rows=3, cols=4, tile_rows=3, tile_cols=2),
        "drain": Drain.of(act_scale="row", act_scale_format=Float(5, 3, specials="ieee"), channel_scale=True),
    },
    "offset": {
        "tiling": GROUPS,
        "weight": "uint4",
        "drain": Drain.of(scale=FP16, offset=FP16, act_scale="group", channel_scale=True),
    },
    "offset-at-once": {
        "tiling": Tiling(group_size=9, max_k=24, panel_rows=5, drain_lanes=1),
        "act": "uint8",
        "drain": Drain.of(weight_zero=Int(4), offset=BF16, arithmetic=BF16),
    },
    "gemmlowp": {
        "tiling": WHOLE,
        "drain": Drain.of(
            bias=True, requantize=Int(8), rounding="gemmlowp", out_zero=True, accumulator=Accumulator(32)
        ),
    },
    "floor": {
        "tiling": PLANES,
        "drain": Drain.of(
            requantize=Int(5, False), multiplier_bits=16, rounding="floor", addend=True, accumulator=Accumulator(24)
        ),
    },
    "zero-of-results": {
        "tiling": GROUPS,
        "drain": Drain.of(requantize=Int(4, False), out_zero=True, relu=True, accumulator=Accumulator(24)),
    },
    "bias": {
        "tiling": WHOLE,
        "drain": Drain.of(bias=True, accumulator=Accumulator(24)),
    },
}


def make_engine(dataflow, *, drain, tiling, family="mac", act="int8", weight="int4", lanes=1, shape=None):
    pe = FAMILIES[family](act=parse_format(act), weight=parse_format(weight), lanes=lanes)
    shape = shape or Shape(rows=3, cols=2)
    return ENGINES[dataflow](pe=pe, shape=shape, accumulator=Accumulator(18), tiling=tiling, drain=drain)


def product(engine, random, m, n, k, group, passes, abandon_after=None):
    act = random.integers(0, 1 << engine.pe.act.bits, (m, k), np.uint32)
    weight = random.integers(0, 1 << engine.pe.weight.bits, (passes, k, n), np.uint32)
    sums = passes * -(-k // group)
    given = random_parameters(engine, random, sums=sums, m=m, n=n)
    return Product(act=act, weight=weight, group=group, parameters=given, abandon_after=abandon_after)


def products(engine, random):
    """Sizes around the tiles, groups up to the longest, passes up to the most."""
    tiling = engine.tiling
    rows, cols, group = engine.panel_rows, engine.shape.cols, tiling.max_group
    ms, ns, ks = (
        (1, rows, rows + 1),
        (cols, 1, 2 * cols + 1),
        (tiling.max_k, group, 1, min(2 * group - 1, tiling.max_k)),
    )
    turns = zip(range(7), itertools.cycle(ms), itertools.cycle(ns), itertools.cycle(ks), strict=False)
    for turn, m, n, k in turns:
        passes = 1 + turn % tiling.max_passes
        shorter = group - turn % 2 if tiling.group_size else group
        yield m, n, k, min(k, shorter), passes


@pytest.mark.parametrize(("case", "dataflow"), each_once(CASES, ENGINES, every=5))
def test_results_are_those_of_the_model(dataflow, case):
    """The bench holds results against the model, and without stalls cycles against the schedule."""
    engine = make_engine(dataflow, **CASES[case])
    random = np.random.default_rng(1)
    sizes = list(products(engine, random))
    jobs = [product(engine, random, *size) for size in sizes]
    for index, size in enumerate(sizes):
        jobs.append(product(engine, random, *size, abandon_after=9 * index + 4).under(stalls=0.4))
        jobs.append(product(engine, random, *size).under(stalls=0.4))
    outcome, done = simulate_engine(engine, jobs, seed=3)
    assert outcome.failure is None
    assert len(done) == 14
    assert any((simulation.results != 0).any() for simulation in done)
