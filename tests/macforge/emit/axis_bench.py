"""Bench of a design with AXI4-Stream ports, driven by somebody else's models of the bus.

The request holds the beats of each stream as bytes, and the settings its width. Everything stalls at random.
"""

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource

from tb.request import Request

__all__ = ["products"]


def pauses(seed, probability):
    random = np.random.default_rng(seed)
    while True:
        yield bool(random.random() < probability)


@cocotb.test()
async def products(dut):
    """Take all results, a frame for each product."""
    request = Request.load()
    cocotb.start_soon(Clock(dut.aclk, 10, "ns").start())
    dut.aresetn.value = 0
    ports = (dut.aclk, dut.aresetn)
    sources = []
    for seed, (name, beats) in enumerate(request.arrays.items()):
        source = AxiStreamSource(AxiStreamBus.from_prefix(dut, f"s_axis_{name}"), *ports, reset_active_level=False)
        source.set_pause_generator(pauses(seed, 0.4))
        source.send_nowait(beats.tobytes())
        sources.append(source)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_result"), *ports, reset_active_level=False)
    sink.set_pause_generator(pauses(99, 0.6))
    await ClockCycles(dut.aclk, 3)
    dut.aresetn.value = 1
    frames = {}
    for index in range(request.settings["products"]):
        frame = await sink.recv()
        frames[f"result_{index}"] = np.frombuffer(bytes(frame.tdata), np.uint8)
    # nothing is left over
    await ClockCycles(dut.aclk, 50)
    assert sink.empty() and all(source.idle() for source in sources)
    request.report(figures={}, arrays=frames)
