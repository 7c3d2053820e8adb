"""Memory behind AXI4: bursts and single words see the same bytes, and nothing beyond them."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.axi.memory import AxiMemory
from sw_ref.accelerator.bus import Bus

SIZE = 256


class Bench:
    """Masters of both ports, which stall at random, and what they have seen."""

    def __init__(self, unit, *, stalls, seed=1):
        self.unit = unit
        self.random = np.random.default_rng(seed)
        self.stalls = stalls

    def port(self, name):
        return getattr(self.unit, f"s_axi_{name}")

    async def pause(self, context):
        while self.random.random() < self.stalls:
            await context.tick()

    async def pass_on(self, context, channel, **values):
        """One transfer of a channel that we drive."""
        await self.pause(context)
        for name, value in values.items():
            context.set(self.port(channel + name), value)
        context.set(self.port(f"{channel}valid"), 1)
        await context.tick().until(self.port(f"{channel}ready"))
        context.set(self.port(f"{channel}valid"), 0)

    async def taken(self, context, channel, *names):
        """One transfer of a channel that the memory drives."""
        await self.pause(context)
        context.set(self.port(f"{channel}ready"), 1)
        values = (
            await context.tick()
            .sample(*(self.port(channel + name) for name in names))
            .until(self.port(f"{channel}valid"))
        )
        context.set(self.port(f"{channel}ready"), 0)
        return values

    async def write(self, context, address, words, *, strobe=None, kind=1, size=None):
        """Write a burst; the answer and its ID."""
        low = self.unit.bus.low_bits
        await self.pass_on(
            context, "aw", addr=address, len=len(words) - 1, size=low if size is None else size, burst=kind, id=1
        )
        for at, word in enumerate(words):
            mask = (1 << self.unit.bus.word_bytes) - 1 if strobe is None else strobe
            await self.pass_on(context, "w", data=word, strb=mask, last=at == len(words) - 1)
        return await self.taken(context, "b", "resp", "id")

    async def read(self, context, address, count, *, kind=1):
        """Words of a burst with the answer to each."""
        await self.pass_on(context, "ar", addr=address, len=count - 1, size=self.unit.bus.low_bits, burst=kind, id=0)
        got = [await self.taken(context, "r", "data", "resp", "last", "id") for _ in range(count)]
        assert [last for _data, _resp, last, _id in got] == [0] * (count - 1) + [1]
        return [(data, resp) for data, resp, _last, _id in got]

    async def single(self, context, address, data=None):
        """A word of the other port, written or read."""
        unit = self.unit
        context.set(unit.address, address)
        context.set(unit.write, data is not None)
        context.set(unit.data, data or 0)
        context.set(unit.request, 1)
        result, failed = await context.tick().sample(unit.result, unit.failed).until(unit.done)
        context.set(unit.request, 0)
        return result, failed

    def run(self, *benches):
        simulator = Simulator(self.unit)
        simulator.add_clock(1e-6)
        for bench in benches:
            simulator.add_testbench(bench)
        simulator.run()


@pytest.mark.parametrize("data_bits", [32, 64, 128])
@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_both_ports_see_the_same_bytes(data_bits, stalls):
    bus = Bus(data_bits=data_bits, burst=8)
    bench = Bench(AxiMemory(bus=bus, size=SIZE), stalls=stalls)
    content = np.random.default_rng(2).bytes(SIZE)
    words = [int.from_bytes(content[at : at + bus.word_bytes], "little") for at in range(0, SIZE, bus.word_bytes)]

    async def script(context):
        half = len(words) // 2
        for at in range(0, half, 4):
            assert await bench.write(context, at * bus.word_bytes, words[at : at + 4]) == (0, 1)
        for at in range(SIZE // 2, SIZE, 4):
            assert (await bench.single(context, at, int.from_bytes(content[at : at + 4], "little")))[1] == 0
        for at in range(0, len(words), 8):
            some = words[at : at + 8]
            assert await bench.read(context, at * bus.word_bytes, len(some)) == [(word, 0) for word in some]
        for at in range(0, SIZE, 20):
            assert await bench.single(context, at) == (int.from_bytes(content[at : at + 4], "little"), 0)

    bench.run(script)


def test_bursts_and_single_words_go_on_at_once():
    """Each in a part of its own: none is lost, whatever comes between."""
    bench = Bench(AxiMemory(bus=Bus(data_bits=64), size=SIZE), stalls=0.3)
    seen = []

    async def writes(context):
        for turn in range(6):
            assert await bench.write(context, 0, [turn * 16 + at for at in range(8)]) == (0, 1)
            assert await bench.read(context, 0, 8) == [(turn * 16 + at, 0) for at in range(8)]

    async def singles(context):
        for turn in range(40):
            await bench.single(context, 128, turn)
            seen.append((await bench.single(context, 128))[0])

    bench.run(writes, singles)
    assert seen == list(range(40))


def test_a_word_comes_in_every_cycle():
    unit = AxiMemory(bus=Bus(data_bits=32), size=SIZE)
    bench, cycles = Bench(unit, stalls=0.0), 0

    async def script(context):
        nonlocal cycles
        await bench.pass_on(context, "ar", addr=0, len=31, size=2, burst=1)
        context.set(unit.s_axi_rready, 1)
        await context.tick().until(unit.s_axi_rvalid)
        while True:
            last, valid = context.get(unit.s_axi_rlast), context.get(unit.s_axi_rvalid)
            assert valid
            cycles += 1
            if last:
                break
            await context.tick()

    bench.run(script)
    assert cycles == 31


def test_only_bytes_with_a_strobe_are_written():
    bench = Bench(AxiMemory(bus=Bus(data_bits=32), size=SIZE), stalls=0.0)

    async def script(context):
        await bench.write(context, 4, [0x11223344])
        await bench.write(context, 4, [0xAABBCCDD], strobe=0b0101)
        assert await bench.read(context, 4, 1) == [(0x11BB33DD, 0)]

    bench.run(script)


def test_what_is_beyond_is_an_error_and_not_written():
    bench = Bench(AxiMemory(bus=Bus(data_bits=32), size=SIZE), stalls=0.0)

    async def script(context):
        for at in (0, SIZE - 4):
            await bench.single(context, at, 5)
        assert (await bench.write(context, SIZE - 4, [7, 8]))[0] == 2
        answers = [resp for _data, resp in await bench.read(context, SIZE - 4, 2)]
        assert answers == [0, 2]
        assert await bench.single(context, 0) == (5, 0)
        assert (await bench.single(context, SIZE))[1] == 1
        await bench.single(context, SIZE, 9)
        assert await bench.single(context, 0) == (5, 0)

    bench.run(script)


def test_other_bursts_are_refused():
    bench = Bench(AxiMemory(bus=Bus(data_bits=32), size=SIZE), stalls=0.0)

    async def script(context):
        await bench.single(context, 0, 5)
        for how in ({"kind": 0}, {"kind": 2}, {"size": 1}):
            assert (await bench.write(context, 0, [6], **how))[0] == 2
        assert [resp for _data, resp in await bench.read(context, 0, 2, kind=2)] == [2, 2]
        assert await bench.single(context, 0) == (5, 0)

    bench.run(script)


@pytest.mark.parametrize("size", [0, 4, 12, 250, 1 << 17])
def test_sizes_are_refused(size):
    with pytest.raises(
        ValueError, match=r"^Memory must have a power of two of words of 4 bytes, within addresses of 16"
    ):
        AxiMemory(bus=Bus(data_bits=32, address_bits=16), size=size)
