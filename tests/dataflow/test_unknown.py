"""Engines of every shape, from unknown registers and memories: no result that counts shows it."""

import numpy as np
import pytest

from dataflow import ENGINES
from dataflow.array.shape import Shape
from dataflow.engine.tiling import Tiling
from pe.float.family import FloatProduct
from pe.mac import IntegerMac
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import RoundedSum
from sw_ref.engine.product import Product
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import FP32
from tb.engine import simulate_engine
from tests.quick import few

MAC = IntegerMac(act=Int(4), weight=Int(3), lanes=3, pipeline=1)
SMALL = parse_format("fp6_e3m2")
FLOAT = FloatProduct(act=SMALL, weight=SMALL, lanes=2, pipeline=1)
IN_TURN = FloatProduct(act=SMALL, weight=SMALL, lanes=2, pipeline=2, interleave=3)
SHAPES = [Shape(rows=3, cols=2), Shape(rows=4, cols=4, tile_rows=2, tile_cols=2), Shape(rows=1, cols=3)]

RUNS = [
    *((dataflow, MAC, shape, Accumulator(40)) for dataflow in ENGINES for shape in SHAPES),
    ("weight_stationary", FLOAT, SHAPES[1], Accumulator(40)),
    ("output_stationary", IN_TURN, SHAPES[0], RoundedSum(FP32)),
]


@pytest.mark.parametrize(
    ("dataflow", "pe", "shape", "accumulator"),
    few(RUNS, 3),
    ids=[f"{dataflow}-{pe.name}-{shape.name}" for dataflow, pe, shape, _accumulator in RUNS],
)
def test_first_product_may_be_shorter_than_a_step(dataflow, pe, shape, accumulator):
    tiling = Tiling(max_k=32, panel_rows=4)
    engine = ENGINES[dataflow](pe=pe, shape=shape, accumulator=accumulator, tiling=tiling, drain=None)
    random = np.random.default_rng(0)

    def product(m, n, k, **how):
        act, weight = (
            random.integers(0, 1 << form.bits, size) for form, size in ((pe.act, (m, k)), (pe.weight, (k, n)))
        )
        return Product(act=act, weight=weight, **how)

    first = [product(1, 1, 1), product(2, 1, engine.span - 1 or 1)]
    others = [product(5, 5, 2 * engine.span + 1, stalls=0.3), product(3, 4, 30, abandon_after=20)]
    outcome, done = simulate_engine(engine, [*first, *others, *first], simulator="icarus")
    assert outcome.failure is None
    assert len(done) == 5
