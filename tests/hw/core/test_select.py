"""Choices are those that the key says."""

import pytest
from amaranth.hdl import Const, Module, Signal
from amaranth.sim import Simulator

from hw.core.select import pick


@pytest.mark.parametrize("count", range(1, 10))
def test_pick_takes_any_number_of_choices(count):
    """Of a key that says more than there are, the last one."""
    key, chosen, seen = Signal(range(count), name="key"), Signal(8, name="chosen"), []
    m = Module()
    m.d.comb += chosen.eq(pick(key, [Const(10 + at, 8) for at in range(count)]))

    async def bench(context):
        for value in range(1 << len(key)):
            context.set(key, value)
            seen.append(context.get(chosen))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [10 + min(at, count - 1) for at in range(1 << len(key))]
