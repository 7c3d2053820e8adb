"""Delay lines, cycle by cycle, through a reset."""

import re

import numpy as np
import pytest
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.sim import Simulator

from hw.core.delay import Skew
from hw.core.registers import delayed
from hw.emit.verilog import emit_verilog
from tb.lint import lint


def play(circuit, given, shown, words, reset):
    """What ``shown`` is in each cycle in which ``given`` is one of ``words``, with ``reset`` in some."""
    rst, seen = Signal(), []
    # without delay nothing else has a clock
    clocked = Signal()
    circuit.d.sync += clocked.eq(1)

    async def bench(ctx):
        for word, now in zip(words, reset, strict=True):
            ctx.set(given, word)
            ctx.set(rst, now)
            await ctx.delay(1e-7)
            seen.append(ctx.get(shown))
            await ctx.tick()

    simulator = Simulator(ResetInserter(rst)(circuit))
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


WORDS = [9, 250, 3, 77, 128, 64, 31, 5, 99, 200]
RESET = [i == 5 for i in range(len(WORDS))]


@pytest.mark.parametrize("cycles", range(4))
def test_delayed_data_goes_through_a_reset(cycles):
    m, given = Module(), Signal(8)
    shown = delayed(m, given, cycles, name="data")
    seen = play(m, given, shown, WORDS, RESET)
    assert seen[cycles:] == WORDS[: len(WORDS) - cycles]


@pytest.mark.parametrize("init", [0, 5])
@pytest.mark.parametrize("cycles", range(4))
def test_delayed_control_returns_to_its_start_at_reset(cycles, init):
    m, given = Module(), Signal(8)
    shown = delayed(m, given, cycles, name="control", init=init)
    seen = play(m, given, shown, WORDS, RESET)
    # what a reset has met on its way does not arrive
    assert seen == [
        WORDS[cycle - cycles] if cycle >= cycles and not any(RESET[cycle - cycles : cycle]) else init
        for cycle in range(len(WORDS))
    ]


def test_delayed_keeps_the_sign():
    m, given = Module(), Signal(8)
    shown = delayed(m, given.as_signed(), 2, name="data")
    assert play(m, given, shown, WORDS, RESET)[2:4] == [9, 250 - 256]


@pytest.mark.parametrize(
    "delays", [(0,), (3,), (0, 1, 2, 3), (3, 2, 1, 0), (0, 0, 2, 2), (1, 0, 4), (0, 5, 10), (6, 6, 0)]
)
def test_skew_delays_each_lane_by_its_own(delays):
    assert_skewed(delays, width=5, cycles=12)


@pytest.mark.parametrize("delays", [tuple(range(32)), tuple(at // 4 for at in reversed(range(128)))])
def test_skew_of_many_registers_takes_memories(delays):
    """Those that go on before they are full, too; what came before a reset is lost there."""
    assert_skewed(delays, width=13, cycles=110, far=8)
    skew = Skew(width=13, delays=delays)
    verilog = emit_verilog(skew)
    assert lint(verilog, skew.name) == ""
    assert len(re.findall(r"^module long_line_13_by_8_", verilog, re.MULTILINE)) == 1
    assert len(re.findall(r"^  long_line_13_by_8_", verilog, re.MULTILINE)) == sum(delay // 8 for delay in delays)


def assert_skewed(delays, *, width, cycles, far=None):
    """Each lane is as late as it is to be, through a reset in the middle if it is less than ``far``."""
    skew = Skew(width=width, delays=delays)
    random = np.random.default_rng(0)
    lanes = random.integers(0, 1 << width, (cycles, len(delays)))
    shifts = [width * lane for lane in range(len(delays))]
    words = [sum(int(code) << shift for code, shift in zip(row, shifts, strict=True)) for row in lanes]
    m = Module()
    m.submodules.skew = skew
    seen = play(m, skew.early, skew.late, words, [i == cycles // 2 - 1 for i in range(cycles)])
    for cycle, word in enumerate(seen):
        for lane, delay in enumerate(delays):
            begun = 0 if far is None or delay < far or cycle < cycles // 2 else cycles // 2
            if cycle - delay >= begun:
                assert word >> shifts[lane] & ((1 << width) - 1) == lanes[cycle - delay, lane]


@pytest.mark.parametrize("delays", [(), (0, -1)])
def test_skew_without_a_delay_to_keep_is_refused(delays):
    with pytest.raises(ValueError, match=r"^Delays must be one or more counts of cycles, not \(.*\)$"):
        Skew(width=4, delays=delays)
