"""Accelerators of named designs on products and on a transformer's layer, in Verilator with a memory in C++."""

import numpy as np
import pytest

from macforge.compile.compiler import compile_layer
from macforge.design.design import load_design
from macforge.design.named import design_names
from macforge.driver.device import Device
from macforge.measure.workload import load_layer
from macforge.run.job import job_of
from macforge.run.random_products import random_products
from sw_ref.accelerator.bus import Bus
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.engine.product import expected_results
from tb.bus_simulator import BusSimulator

SIZES = [(5, 9, 40), (1, 1, 1), (3, 4, 17)]
# Of all descriptors, of a product for each of several modes or precisions.
RING = 16


def run(unit, products, *, stalls=0.0):
    """Products through an accelerator: counters, after all results were compared with the model's."""
    image = MemoryImage(unit.layout, base=0x1000, size=RING)
    for one in products:
        image.add(one)
    cycles = sum(one.schedule(unit.layout.engine).cycles for one in products)
    with BusSimulator(unit, image.array(), base=0x1000, stalls=stalls, cycles=cycles) as simulator:
        device = Device(simulator, simulator.memory[: image.ring_bytes], 0x1000)
        device.submit(*image.descriptors())
        device.wait()
        assert simulator.broken == ""
        for one, got in zip(image.placed, image.results(simulator.memory), strict=True):
            assert np.array_equal(got, expected_results(unit.layout.engine, one.product))
        return device.counters()


@pytest.mark.long
@pytest.mark.parametrize("name", design_names())
def test_every_named_design_behind_its_bus(name):
    """Ragged sizes, and a memory that stalls in three cycles of ten."""
    design, random = load_design(name).resized(2), np.random.default_rng(1)
    products = [one for m, n, k in SIZES for one in random_products(design, random, m=m, n=n, k=k)]
    assert run(design.accelerator, products, stalls=0.3)["products"] == len(products)


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
    counters = run(unit, products)
    schedules = [one.schedule(unit.layout.engine) for one in products]
    compute = sum(one.macs / one.peak_macs for one in schedules)
    assert max(compute, counters["words_read"]) >= 0.95 * counters["cycles"]
    assert counters["cycles"] == pytest.approx(sum(one.cycles for one in schedules), rel=0.01)
