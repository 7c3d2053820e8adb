"""Precision chosen at run time: one engine of one-bit cells multiplies operands of 1 to 8 bits on either side."""

import itertools

import numpy as np
import pytest

from dataflow import ENGINES
from dataflow.array.shape import Shape
from dataflow.engine.tiling import Tiling
from pe import FAMILIES
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.digits import plane_weights, planes
from sw_ref.drain.edge import Drain
from sw_ref.engine.product import Product
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.signs import Bipolar, PowerOfTwo
from tb.engine import simulate_engine
from tests.quick import few

LANES, STEPS, SCALE = 8, 5, PowerOfTwo(5)
K = LANES * STEPS
READINGS = {
    "twos-complement": ("uint1", Int),
    "unsigned": ("uint1", lambda bits: Int(bits, signed=False)),
    "bipolar": ("bipolar1", Bipolar),
}


def bit_serial_engine(dataflow, bit):
    pe = FAMILIES["bit_serial"](act=parse_format(bit), weight=parse_format(bit), lanes=LANES)
    return ENGINES[dataflow](
        pe=pe,
        shape=Shape(rows=3, cols=2),
        accumulator=Accumulator(9),
        tiling=Tiling(group_size=K, max_k=8 * K, panel_rows=3, max_passes=8),
        drain=Drain.of(scale=SCALE, accumulator=Accumulator(26, "wrap")),
    )


def serial_product(random, act_format, weight_format, m, n):
    """Planes of random operands, and their product by NumPy."""
    act = random.integers(0, 1 << act_format.bits, (m, K), np.uint32)
    weight = random.integers(0, 1 << weight_format.bits, (K, n), np.uint32)
    scales = np.outer(plane_weights(weight_format), plane_weights(act_format)).ravel()
    product = Product(
        act=np.concatenate(list(planes(act, act_format.bits)), axis=1),
        weight=np.tile(planes(weight, weight_format.bits), (1, act_format.bits, 1)),
        group=K,
        parameters={"scale": np.broadcast_to(SCALE.encode(scales)[None, :, None], (1, len(scales), n))},
    )
    return product, act_format.to_fixed(act) @ weight_format.to_fixed(weight)


@pytest.mark.parametrize("reading", few(READINGS, 2))
def test_all_precisions_in_turn(reading):
    """All 64 pairs, one after the other without a reset; cycles are bits x bits x K / lanes and a constant."""
    bit, make = READINGS[reading]
    engine = bit_serial_engine("output_stationary", bit)
    random = np.random.default_rng(0)
    pairs = list(itertools.product(range(1, 9), repeat=2))
    random.shuffle(pairs)
    jobs = [serial_product(random, make(act_bits), make(weight_bits), 3, 2) for act_bits, weight_bits in pairs]
    outcome, done = simulate_engine(engine, [product for product, _exact in jobs])
    assert outcome.failure is None
    constant = engine.spec.start + engine.latency + 3 + engine.shape.rows
    for (act_bits, weight_bits), (_product, exact), simulation in zip(pairs, jobs, done, strict=True):
        np.testing.assert_array_equal(simulation.results[0], exact)
        assert simulation.cycles == act_bits * weight_bits * K // LANES + constant


@pytest.mark.parametrize("dataflow", ENGINES)
def test_precisions_of_several_tiles_under_stalls(dataflow):
    engine = bit_serial_engine(dataflow, "uint1")
    random = np.random.default_rng(1)
    jobs = [
        serial_product(random, Int(a), Int(w, signed=w % 2 == 0), 5, 3) for a, w in ((8, 1), (1, 8), (3, 5), (4, 4))
    ]
    outcome, done = simulate_engine(engine, [product.under(stalls=0.3) for product, _exact in jobs], seed=2)
    assert outcome.failure is None
    for (_product, exact), simulation in zip(jobs, done, strict=True):
        np.testing.assert_array_equal(simulation.results[0], exact)
