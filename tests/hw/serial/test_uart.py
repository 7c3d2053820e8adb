"""Bytes over a line: what is sent comes, at clocks that differ, and with noise in between."""

from itertools import pairwise

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from hw.serial.uart import UartReceiver, UartTransmitter

SENT = bytes([0x00, 0xFF, 0x55, 0xA5, 0x01, 0x80])


@pytest.mark.parametrize("divisor", [4, 5, 8, 50])
def test_bytes_come_as_they_were_sent(divisor):
    """A byte takes ten bits, and the next one follows without a gap."""
    m = Module()
    m.submodules.out = out = UartTransmitter(divisor=divisor)
    m.submodules.back = back = UartReceiver(divisor=divisor)
    m.d.comb += back.rx.eq(out.tx)
    got, cycles = [], []

    async def send(context):
        for byte in SENT:
            context.set(out.bytes.payload, byte)
            context.set(out.bytes.valid, 1)
            await context.tick().until(out.bytes.ready)
        context.set(out.bytes.valid, 0)

    async def receive(context):
        for cycle in range(12 * divisor * len(SENT)):
            await context.tick()
            assert not context.get(back.broken)
            if context.get(back.valid):
                got.append(context.get(back.byte))
                cycles.append(cycle)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(send)
    simulator.add_testbench(receive)
    simulator.run()
    assert bytes(got) == SENT
    assert {later - earlier for earlier, later in pairwise(cycles)} == {10 * divisor + 1}


def received(divisor, levels):
    """Bytes, or None for each that had no stop bit, out of levels of the line, one a cycle."""
    unit, got = UartReceiver(divisor=divisor), []

    async def bench(context):
        context.set(unit.rx, 1)
        await context.tick().repeat(4)
        for level in levels:
            context.set(unit.rx, level)
            await context.tick()
            if context.get(unit.valid) or context.get(unit.broken):
                got.append(context.get(unit.byte) if context.get(unit.valid) else None)

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return got


def levels_of(byte, cycles_of_bit, stop=1):
    """Levels of a byte whose sender has a clock of its own."""
    bits = [0, *(byte >> at & 1 for at in range(8)), stop]
    return [bits[int(cycle / cycles_of_bit)] for cycle in range(int(10 * cycles_of_bit))]


@pytest.mark.parametrize("difference", [0.96, 1.0, 1.04])
def test_other_clocks_are_close_enough(difference):
    divisor = 32
    levels = [level for byte in SENT for level in levels_of(byte, divisor * difference)]
    assert received(divisor, [*levels, *[1] * divisor]) == list(SENT)


def test_a_short_pulse_is_no_start_bit():
    assert received(16, [0, 0, 0, *[1] * 200, *levels_of(0x3C, 16), *[1] * 20]) == [0x3C]


def test_a_byte_without_a_stop_bit_is_broken_and_the_next_is_not():
    levels = [*levels_of(0x5A, 8, stop=0), *[1] * 16, *levels_of(0x5A, 8), *[1] * 8]
    assert received(8, levels) == [None, 0x5A]


def test_too_few_cycles_are_refused():
    for unit in (UartReceiver, UartTransmitter):
        with pytest.raises(ValueError, match=r"^Divisor must be at least 4 cycles for a bit, not 3$"):
            unit(divisor=3)
