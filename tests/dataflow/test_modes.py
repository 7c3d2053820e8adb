"""Modes chosen product by product: arrays and engines around a cell of several formats."""

import numpy as np
import pytest

from dataflow import ENGINES
from dataflow.array.output_stationary import OutputStationaryArray
from dataflow.array.shape import Shape
from dataflow.array.weight_stationary import WeightStationaryArray
from dataflow.engine.tiling import Tiling
from pe.sub_word import SubWord
from sw_ref.arith.accumulate import Accumulator
from sw_ref.engine.product import Product
from sw_ref.engine.schedule import schedule_of
from sw_ref.formats.base import Int
from tb.array import Tile, simulate_array
from tb.engine import simulate_engine
from tests.quick import each_once

PE = SubWord(act=Int(8), weight=Int(8))
MODES = [1, 0, 2, 2, 0, 1, 0, 2, 1]


def codes(random, mode, m, k, n):
    act = random.integers(0, 1 << PE.modes[mode].act.bits, (m, k), np.uint32)
    return act, random.integers(0, 1 << PE.modes[mode].weight.bits, (k, n), np.uint32)


@pytest.mark.parametrize(
    ("array", "gaps"), each_once([OutputStationaryArray, WeightStationaryArray], [0.3, 0.0], every=2)
)
def test_array_changes_modes_between_tiles(array, gaps):
    random = np.random.default_rng(0)
    shape = Shape(rows=3, cols=4, tile_cols=2)
    tiles = []
    for index, mode in enumerate(MODES):
        lanes = PE.modes[mode].lanes
        # whole steps, and steps that are not
        k = 3 * lanes - index % 2
        act, weight = codes(random, mode, 3, k, 4)
        tiles.append(Tile(act=act, weight=weight, mode=mode))
    outcome = simulate_array(array(pe=PE, shape=shape, accumulator=Accumulator(24)), tiles, gaps=gaps, seed=1)
    assert outcome.failure is None


@pytest.mark.parametrize("dataflow", ENGINES)
def test_engine_changes_modes_between_products(dataflow):
    engine = ENGINES[dataflow](
        pe=PE,
        shape=Shape(rows=2, cols=3),
        accumulator=Accumulator(24),
        tiling=Tiling(group_size=20, max_k=64, panel_rows=3),
        drain=None,
    )
    random = np.random.default_rng(1)
    products = []
    for index, mode in enumerate(MODES):
        act, weight = codes(random, mode, 1 + 3 * (index % 2), 16 * PE.modes[mode].lanes - index, 4)
        products.append(Product(act=act, weight=weight, mode=mode))
    products += [product.under(stalls=0.4) for product in products]
    outcome, done = simulate_engine(engine, products, seed=3)
    assert outcome.failure is None
    for product, simulation in zip(products, done, strict=True):
        mode = PE.modes[product.mode]
        # the group of 20 slots is 5, 10 or 20 products
        size = 20 * mode.lanes // PE.lanes
        act, weight = mode.act.to_fixed(product.act), mode.weight.to_fixed(product.weight)
        starts = range(0, act.shape[1], size)
        sums = np.stack([act[:, at : at + size] @ weight[at : at + size] for at in starts])
        np.testing.assert_array_equal(simulation.results, sums)
        assert product.stalls or simulation.cycles == simulation.schedule.cycles


def test_narrow_modes_are_as_much_faster():
    engine = ENGINES["output_stationary"](
        pe=PE, shape=Shape(rows=4, cols=4), accumulator=Accumulator(32), tiling=Tiling(max_k=4096), drain=None
    )
    cycles = [schedule_of(engine.spec, m=64, n=64, k=1024, mode=mode).cycles for mode in range(3)]
    assert cycles[0] / cycles[1] == pytest.approx(2, rel=0.01)
    assert cycles[0] / cycles[2] == pytest.approx(4, rel=0.01)


def test_mode_that_is_not_there_is_refused():
    engine = ENGINES["output_stationary"](
        pe=PE, shape=Shape(rows=1, cols=1), accumulator=Accumulator(24), tiling=Tiling(max_k=64), drain=None
    )
    with pytest.raises(ValueError, match=r"^Mode must be from 0 to 2, not 3$"):
        schedule_of(engine.spec, m=1, n=1, k=1, mode=3)
    with pytest.raises(ValueError, match=r"^K must be from 1 to 16 for this engine, not 17$"):
        schedule_of(engine.spec, m=1, n=1, k=17)
