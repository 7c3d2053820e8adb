"""Gearboxes: the bits that go in come out, whatever the widths, gaps and runs."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hw.stream.gearbox import Gearbox


def run_of(beats, width, word):
    """Words of a run of beats, and the bytes of each that count, less one."""
    total = sum(value << (index * width) for index, value in enumerate(beats))
    size = len(beats) * width // 8
    words = [(total >> at) & ((1 << word) - 1) for at in range(0, size * 8, word)]
    return [(value, min(word // 8, size - at * word // 8) - 1) for at, value in enumerate(words)]


@pytest.mark.parametrize(
    ("word", "beat"), [(64, 64), (64, 8), (64, 32), (32, 128), (64, 192), (64, 24), (64, 40), (64, 96), (32, 80)]
)
@pytest.mark.parametrize("gaps", [0.0, 0.4])
def test_beats_are_what_the_words_hold(word, beat, gaps):
    """Runs of one beat to twenty, each from a whole word on, with and without gaps on both sides."""
    random = np.random.default_rng(3)
    runs = [[int.from_bytes(random.bytes(beat // 8), "little") for _ in range(count)] for count in (1, 3, 20, 2)]
    given = [one for run in runs for one in run_of(run, beat, word)]
    expected = [value for run in runs for value in run]
    unit, taken, cycles = Gearbox(word=word, beat=beat), [], 0

    async def bench(context):
        nonlocal cycles
        at = 0
        while len(taken) < len(expected):
            offered = at < len(given) and random.random() >= gaps
            if offered:
                context.set(unit.words.payload, given[at][0])
                context.set(unit.used, given[at][1])
            context.set(unit.words.valid, offered)
            context.set(unit.beats.ready, random.random() >= gaps)
            at += offered and bool(context.get(unit.words.ready))
            if context.get(unit.beats.ready) and context.get(unit.beats.valid):
                taken.append(context.get(unit.beats.payload))
            await context.tick()
            cycles += 1
            assert cycles < 4000
        assert at == len(given)
        assert context.get(unit.empty)
        assert not context.get(unit.beats.valid) or word == beat

    m = Module()
    m.submodules.unit = unit
    # one that only passes words on has no clock
    m.d.sync += Signal(name="clocked").eq(1)
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert taken == expected
    if not gaps:
        # a word or a beat in each cycle
        assert cycles <= max(len(given), len(expected)) + 2 * len(runs) + 3
