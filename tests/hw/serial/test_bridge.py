"""The bridge: every request is answered as the protocol says, also behind noise."""

import pytest
from amaranth.sim import Simulator

from hw.serial.bridge import SerialBridge
from sw_ref.accelerator.serial import PROTOCOL, Operation, Status, answer, bodies, framed, request

MOST, CLOCK = 4, 25_000_000
SIZE = 64
# of what stands for registers; there is nothing at 0x20 and beyond
REGISTERS = 0x20


class Bench:
    """A bridge between lists of bytes, a memory and registers of words."""

    def __init__(self, *, slow=0):
        self.unit = SerialBridge(most=MOST, memory_bytes=SIZE, clock_hz=CLOCK)
        self.memory = [0x0100 * at + 0xC0 for at in range(SIZE // 4)]
        self.registers = [0xDB0000C0 + at for at in range(REGISTERS // 4)]
        self.slow = slow

    def exchange(self, *streams, gap=1):
        """The answers' bodies to what is sent; each stream once all answers to those before are there."""
        unit, out = self.unit, bytearray()

        async def send(context):
            for stream in streams:
                for byte in stream:
                    context.set(unit.byte, byte)
                    context.set(unit.valid, 1)
                    await context.tick()
                    context.set(unit.valid, 0)
                    await context.tick().repeat(gap)
                await context.tick().repeat(600)

        async def receive(context):
            cycle = 0
            while True:
                context.set(unit.bytes.ready, cycle % (self.slow + 1) == 0)
                _clock, _reset, valid, ready, byte = await context.tick().sample(
                    unit.bytes.valid, unit.bytes.ready, unit.bytes.payload
                )
                if valid and ready:
                    out.append(byte)
                cycle += 1

        simulator = Simulator(unit)
        simulator.add_clock(1e-6)
        simulator.add_testbench(send)
        simulator.add_testbench(receive, background=True)
        simulator.add_testbench(self._serve, background=True)
        simulator.run()
        return bodies(bytes(out))

    async def _serve(self, context):
        unit = self.unit
        while True:
            await context.tick()
            if not context.get(unit.request):
                continue
            words = self.registers if context.get(unit.register) else self.memory
            at, known = context.get(unit.address) // 4, context.get(unit.address) // 4 < len(words)
            # what is written is taken at once, as a memory may
            if known and context.get(unit.write):
                words[at] = context.get(unit.data)
            await context.tick().repeat(2)
            context.set(unit.result, words[at] if known else 0)
            context.set(unit.failed, not known)
            context.set(unit.done, 1)
            await context.tick()
            context.set(unit.done, 0)


def words(*values):
    return b"".join(value.to_bytes(4, "little") for value in values)


@pytest.mark.parametrize("slow", [0, 3])
def test_words_are_read_and_written(slow):
    bench = Bench(slow=slow)
    written = words(0xC0DBC0DB, 0xDBDCC0DD, 7)
    answers = bench.exchange(
        framed(request(Operation.INFO, 1)),
        framed(request(Operation.READ, 2, address=8, count=4)),
        framed(request(Operation.WRITE, 3, address=4, count=3, data=written)),
        framed(request(Operation.READ, 4, address=0, count=4)),
        framed(request(Operation.WRITE_REGISTER, 0xC0, address=8, count=1, data=words(5))),
        framed(request(Operation.READ_REGISTER, 0xDB, address=4, count=2)),
    )
    assert answers == [
        answer(Status.OK, 1, words(PROTOCOL, SIZE, MOST, CLOCK)),
        answer(Status.OK, 2, words(0x2C0, 0x3C0, 0x4C0, 0x5C0)),
        answer(Status.OK, 3),
        answer(Status.OK, 4, words(0xC0) + written),
        answer(Status.OK, 0xC0),
        answer(Status.OK, 0xDB, words(0xDB0000C1, 5)),
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (request(0, 9), Status.OPERATION),
        (request(6, 9, count=1), Status.OPERATION),
        (request(255, 9), Status.OPERATION),
        (request(Operation.INFO, 9, count=1), Status.LENGTH),
        (request(Operation.READ, 9, count=0), Status.LENGTH),
        (request(Operation.READ, 9, count=MOST + 1), Status.LENGTH),
        (request(Operation.READ, 9, count=1, data=bytes(4)), Status.LENGTH),
        (request(Operation.WRITE, 9, count=2, data=bytes(4)), Status.LENGTH),
        (request(Operation.WRITE, 9, count=MOST + 1, data=bytes(4 * MOST + 4)), Status.LENGTH),
        (request(Operation.WRITE, 9, count=MOST, data=bytes(4 * MOST + 400)), Status.LENGTH),
        (request(Operation.READ, 9, address=2, count=1), Status.ADDRESS),
        (request(Operation.READ, 9, address=SIZE, count=1), Status.BUS),
        (request(Operation.READ_REGISTER, 9, address=REGISTERS, count=1), Status.BUS),
        (request(Operation.WRITE, 9, address=SIZE, count=1, data=bytes(4)), Status.BUS),
    ],
)
def test_what_cannot_be_done_is_refused(body, status):
    bench = Bench()
    before = list(bench.memory), list(bench.registers)
    right = framed(request(Operation.READ, 10, address=0, count=1))
    assert bench.exchange(framed(body), right) == [answer(status, 9), answer(Status.OK, 10, words(0xC0))]
    assert (bench.memory, bench.registers) == before


def test_words_ahead_of_one_that_fails_are_written():
    bench = Bench()
    body = request(Operation.WRITE, 1, address=SIZE - 4, count=2, data=words(5, 6))
    assert bench.exchange(framed(body)) == [answer(Status.BUS, 1)]
    assert bench.memory[-1] == 5


def damaged():
    whole = framed(request(Operation.WRITE, 1, address=4, count=1, data=words(0xABCD)))
    yield "no CRC", whole[:-5] + whole[-1:]
    yield "a bit", whole[:10] + bytes([whole[10] ^ 1]) + whole[11:]
    yield "a byte missing", whole[:5] + whole[6:]
    yield "cut off", whole[:9]
    yield "a bad escape", whole[:3] + b"\xdb\x01" + whole[3:]
    yield "an escape at the end", whole[:-1] + b"\xdb\xc0"
    yield "noise", bytes(range(1, 120))


@pytest.mark.parametrize(("stream"), [pytest.param(stream, id=name) for name, stream in damaged()])
def test_what_is_damaged_is_not_done_and_the_next_request_is(stream):
    """Also what has no end: the next frame's beginning is its end, and that frame is then lost, but no later one."""
    bench = Bench()
    before = list(bench.memory)
    right = framed(request(Operation.READ, 2, address=0, count=1))
    first, *_others, last = bench.exchange(stream, b"\xc0", right)
    assert first is not None and first[0] == Status.CRC
    assert last == answer(Status.OK, 2, words(0xC0))
    assert bench.memory == before


def test_what_comes_before_the_answer_is_lost():
    bench = Bench(slow=20)
    frames = [framed(request(Operation.READ, number, address=0, count=MOST)) for number in range(3)]
    got = bench.exchange(b"".join(frames), b"\xc0", framed(request(Operation.INFO, 9)))
    assert got[0] == answer(Status.OK, 0, words(0xC0, 0x1C0, 0x2C0, 0x3C0))
    assert got[-1] == answer(Status.OK, 9, words(PROTOCOL, SIZE, MOST, CLOCK))


def test_ends_without_bytes_between_them_are_no_frames():
    assert Bench().exchange(b"\xc0" * 20, framed(request(Operation.READ, 1, address=4, count=1))) == [
        answer(Status.OK, 1, words(0x1C0))
    ]
