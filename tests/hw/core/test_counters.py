"""Counters in a memory count every event, and begin anew where they are cleared."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.core.counters import Counters


@pytest.mark.parametrize(("count", "bits"), [(1, 8), (3, 5), (11, 32), (16, 4)])
def test_every_event_is_counted(count, bits):
    random = np.random.default_rng(count)
    unit, expected = Counters(count=count, bits=bits), np.zeros(count, int)

    async def read(context, at):
        """The counter's value, and what happens while it is waited for."""
        context.set(unit.read, at)
        for _ in range(unit.turns + 1):
            if context.get(unit.valid):
                return context.get(unit.value)
            await happen(context)
        raise AssertionError("a counter never has its turn")

    async def happen(context, clear=False):
        events = random.integers(0, 1 << count)
        context.set(unit.events, int(events))
        context.set(unit.clear, clear)
        await context.tick()
        happened = events >> np.arange(count) & 1
        expected[:] = happened + (0 if clear else expected)

    async def bench(context):
        for _round in range(6):
            for _ in range(random.integers(1, 90)):
                await happen(context)
            context.set(unit.events, 0)
            context.set(unit.clear, 0)
            for at in range(count):
                value = await read(context, at)
                assert value == expected[at] % (1 << bits)
            await happen(context, clear=bool(random.integers(0, 2)))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
