"""Memories whose module is written down directly: the same as what Amaranth writes."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.core.ram import DEEP_RAM_LATENCY, DeepRam, Ram
from hw.core.unit import Unit
from hw.emit.verilog import emit_verilog


class Elaborated(Ram):
    """The same memory, as Amaranth writes it."""

    rtlil = Unit.rtlil


@pytest.mark.parametrize(("width", "depth"), [(1, 2), (4, 8), (13, 5), (64, 512)])
def test_module_is_that_of_its_circuit(width, depth):
    text = emit_verilog(Ram(width=width, depth=depth))
    assert text == emit_verilog(Elaborated(width=width, depth=depth))
    assert f"words [{depth - 1}:0]" in text


@pytest.mark.parametrize(("width", "depth"), [(3, 5), (9, 2048), (19, 2049), (4, 40000)])
def test_deep_memory_gives_its_words_back(width, depth):
    """Written from the last word down, and then read one a cycle; each word is a mix of its address."""
    unit = DeepRam(width=width, depth=depth)
    random = np.random.default_rng(1)
    addresses = sorted({0, depth - 1, *random.integers(0, depth, 100).tolist()}, reverse=True)
    words = [address * 40503 % (1 << width) for address in addresses]
    read = []

    async def testbench(context):
        context.set(unit.write, 1)
        for address, word in zip(addresses, words, strict=True):
            context.set(unit.write_address, address)
            context.set(unit.write_data, word)
            await context.tick()
        context.set(unit.write, 0)
        for address in addresses + [0] * (DEEP_RAM_LATENCY - 1):
            context.set(unit.read_address, address)
            await context.tick()
            read.append(context.get(unit.read_data))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert read[DEEP_RAM_LATENCY - 1 :] == words
