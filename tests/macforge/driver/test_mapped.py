"""Accelerators as stock synthesis maps them to ECP5: results and cycles are those of the RTL."""

import numpy as np
import pytest

from fpga.map.simulate import mapped_verilog
from hw.emit.verilog import emit_verilog
from macforge.driver.device import Device
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.engine.product import expected_results
from tb.bus_simulator import BusSimulator
from tests.dataflow.accelerator.driven import accelerator, products

SIZES = [(5, 9, 40), (1, 1, 1), (3, 4, 17)]


def run(unit, image, verilog):
    """Results of all products, and the counters, of a simulator of some text."""
    with BusSimulator(unit, image.array(), latency=10, stalls=0.2, cycles=5000, verilog=verilog) as simulator:
        device = Device(simulator, simulator.memory[: image.ring_bytes], 0)
        device.submit(*image.descriptors())
        device.wait()
        assert simulator.broken == ""
        return list(image.results(simulator.memory.copy())), device.counters()


@pytest.mark.long
@pytest.mark.parametrize("name", ["w8a8_os", "mixpe_w4a8"])
def test_mapped_netlist_computes_what_the_rtl_does(name):
    unit = accelerator(name)
    image = MemoryImage(unit.layout, size=4)
    for one in products(name, SIZES):
        image.add(one)
    mapped = mapped_verilog(emit_verilog(unit), top=unit.name, family="ecp5")
    assert {"LUT4", "TRELLIS_FF", "CCU2C", "DP16KD"} <= set(mapped.split())
    results, counters = run(unit, image, mapped)
    for one, got in zip(image.placed, results, strict=True):
        assert np.array_equal(got, expected_results(unit.layout.engine, one.product))
    _results, expected = run(unit, image, "")
    assert counters == expected
