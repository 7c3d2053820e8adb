"""Accelerators of named designs on products and on a transformer's layer, in Verilator with a memory in C++."""

import numpy as np
import pytest

from macforge.compile.compiler import compile_layer
from macforge.design.design import load_design
from macforge.design.named import design_names
from macforge.measure.workload import load_layer
from macforge.run.accelerated import run_accelerator
from macforge.run.job import job_of
from macforge.run.random_products import random_products
from sw_ref.accelerator.bus import Bus
from sw_ref.accelerator.traffic import traffic

SIZES = [(5, 9, 40), (1, 1, 1), (3, 4, 17)]


@pytest.mark.long
@pytest.mark.parametrize("name", design_names())
def test_every_named_design_behind_its_bus(name):
    """Ragged sizes, and a memory that stalls in three cycles of ten."""
    design, random = load_design(name).resized(2), np.random.default_rng(1)
    products = [one for m, n, k in SIZES for one in random_products(design, random, m=m, n=n, k=k)]
    unit = design.accelerator
    counters = run_accelerator(unit, products, stalls=0.3).counters
    assert counters["products"] == len(products)
    words = traffic(unit.layout, [one.schedule(unit.layout.engine) for one in products])
    assert counters["words_written"] == words["result"]
    assert counters["words_read"] == sum(words.values()) - words["result"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["mixpe_w4a8", "w4a8_ws", "w8a8_os", "mxfp4", "qserve_w4a8"])
def test_layer_takes_as_long_as_computing_or_reading_it(name):
    """all-MiniLM-L6-v2's first feed-forward layer, 64 x 384 x 1536, by 64 bits with a latency of 40 cycles.

    At least 0.95 of what the array could compute or the bus could read; and the cycles of the engine's schedule are
    those of the accelerator within 1 %.
    """
    design, layer = load_design(name), load_layer(tokens=64)
    program = compile_layer(design, layer.weight, calibration=layer.act)
    products = job_of(program, layer.act).products
    unit = design.accelerator
    assert unit.bus == Bus(data_bits=64)
    counters = run_accelerator(unit, products).counters
    schedules = [one.schedule(unit.layout.engine) for one in products]
    compute = sum(one.macs / one.peak_macs for one in schedules)
    assert max(compute, counters["words_read"]) >= 0.95 * counters["cycles"]
    assert counters["cycles"] == pytest.approx(sum(one.cycles for one in schedules), rel=0.01)
