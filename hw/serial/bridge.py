"""From frames on a serial line to words of a memory and of registers."""

from dataclasses import dataclass
from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hw.core.ram import RAM_LATENCY, Ram
from hw.core.select import pick
from hw.core.unit import Unit, place
from hw.serial.frames import FrameReceiver, FrameSender
from sw_ref.accelerator.serial import HEAD_WORDS, PROTOCOL, Operation, Status

__all__ = ["SerialBridge"]


@dataclass(frozen=True)
class _Work:
    """The request whose frame comes, and what is kept of it while it is done.

    Attributes
    ----------
    head, first
        Its head and address.
    busy
        It is done, or answered.
    status, operation, sequence, count
        What is to be said of it, and its fields.
    address, at
        The word that is read, written or sent.
    fetched
        A word has been read.
    """

    head: Signal
    first: Signal
    busy: Signal
    status: Signal
    operation: Signal
    sequence: Signal
    count: Signal
    address: Signal
    at: Signal
    fetched: Signal

    @classmethod
    def of(cls, most: int) -> "_Work":
        bits = {"head": 32, "first": 32, "busy": 1, "operation": 8, "sequence": 8, "count": 16, "address": 32}
        signals = {name: Signal(width, name=f"request_{name}") for name, width in bits.items()}
        at, fetched = Signal(range(most + 1), name="word_now"), Signal(name="word_fetched")
        return cls(**signals, status=Signal(Status, name="status"), at=at, fetched=fetched)


class SerialBridge(Unit):
    """Does what frames ask for, see `sw_ref.accelerator.serial`.

    A request is kept until its frame has ended and its CRC is right; only then it is done. No state waits for the host.

    Ports
    -----
    byte : In(8), valid : In(1), broken : In(1)
        From the line, as `hw.serial.uart.UartReceiver` gives them.
    bytes : Out(stream)
        To the line.
    request : Out(1), register : Out(1), write : Out(1), address : Out(32), data : Out(32)
        A word is to be read or written, of a register or else of the memory; held until ``done``.
    done : In(1), result : In(32), failed : In(1)
        See `hw.axi.lite_master.access_ports`.
    active : Out(1)
        There is a request or its answer.

    Parameters
    ----------
    most : int
        Words of data in a frame, at most.
    memory_bytes, clock_hz : int
        What the board says of itself.
    """

    def __init__(self, *, most: int, memory_bytes: int, clock_hz: int) -> None:
        self.most = most
        self.memory_bytes = memory_bytes
        self.clock_hz = clock_hz
        super().__init__(
            {
                "byte": In(8),
                "valid": In(1),
                "broken": In(1),
                "bytes": Out(stream.Signature(8)),
                "request": Out(1),
                "register": Out(1),
                "write": Out(1),
                "address": Out(32),
                "data": Out(32),
                "done": In(1),
                "result": In(32),
                "failed": In(1),
                "active": Out(1),
            }
        )

    @property
    def name(self) -> str:
        return f"serial_bridge_{self.most}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # words of a frame that are told apart: its head, its data, its CRC, and one too many
        receiver = place(m, "receiver", FrameReceiver(most=HEAD_WORDS + self.most + 2))
        sender = place(m, "sender", FrameSender())
        buffer = place(m, "buffer", Ram(width=32, depth=max(self.most, 2)))
        work = _Work.of(self.most)
        m.d.comb += [
            receiver.byte.eq(self.byte),
            receiver.valid.eq(self.valid),
            # what comes while a request is done would be lost in part
            receiver.spoil.eq(self.broken | (self.valid & work.busy)),
            self.bytes.payload.eq(sender.bytes.payload),
            self.bytes.valid.eq(sender.bytes.valid),
            sender.bytes.ready.eq(self.bytes.ready),
            self.active.eq(work.busy),
            self.register.eq(work.operation[2]),
            self.write.eq(work.operation[0]),
            self.address.eq(work.address),
            self.data.eq(buffer.read_data),
        ]
        self._elaborate_buffer(m, receiver, buffer, work)
        with m.FSM(name="step"):
            self._elaborate_wait(m, receiver, work)
            self._elaborate_access(m, work)
            self._elaborate_answer(m, sender, buffer, work)
        return m

    def _elaborate_buffer(self, m: Module, receiver: Unit, buffer: Unit, work: _Work) -> None:
        """Keep the words of a frame, and later those that are read."""
        comes = receiver.word_valid & ~work.busy
        for at, word in enumerate((work.head, work.first)):
            with m.If(comes & (receiver.place == at)):
                m.d.sync += word.eq(receiver.word)
        kept = comes & (receiver.place >= HEAD_WORDS) & (receiver.place < HEAD_WORDS + self.most)
        low = len(buffer.write_address)
        m.d.comb += [
            buffer.write.eq(kept | work.fetched),
            buffer.write_address.eq(Mux(work.fetched, work.at, receiver.place - HEAD_WORDS)[:low]),
            buffer.write_data.eq(Mux(work.fetched, self.result, receiver.word)),
            buffer.read_address.eq(work.at[:low]),
        ]

    def _status(self, receiver: Unit, work: _Work) -> Value:
        """What is to be said of a request that is not to be done, or that all is well."""
        operation, count = work.head[:8], work.head[16:]
        some = (count != 0) & (count <= self.most)
        writes = (operation == Operation.WRITE) | (operation == Operation.WRITE_REGISTER)
        is_info = operation == Operation.INFO
        known = is_info | writes | (operation == Operation.READ) | (operation == Operation.READ_REGISTER)
        words = HEAD_WORDS + 1 + Mux(writes, count, 0)
        right = (receiver.words == words) & Mux(is_info, count == 0, some)
        found: Value = Const(Status.OK, Status)
        for wrong, status in (
            (work.first[:2] != 0, Status.ADDRESS),
            (~right, Status.LENGTH),
            (~known, Status.OPERATION),
            (~receiver.good, Status.CRC),
        ):
            found = Mux(wrong, status, found)
        return found

    def _elaborate_wait(self, m: Module, receiver: Unit, work: _Work) -> None:
        """Wait for the end of a frame."""
        status = self._status(receiver, work)
        with m.State("WAIT"):
            m.d.sync += [work.at.eq(0), work.address.eq(work.first), work.status.eq(status)]
            m.d.sync += Cat(work.operation, work.sequence, work.count).eq(work.head)
            with m.If(receiver.ended):
                m.d.sync += work.busy.eq(1)
                m.next = "FETCH"
                with m.If((status != Status.OK) | (work.head[:8] == Operation.INFO)):
                    m.next = "ANSWER"

    def _elaborate_word(self, m: Module, name: str, then: str) -> None:
        """Wait until the word comes out of the buffer."""
        states = [name, *(f"{name}_{cycle}" for cycle in range(1, RAM_LATENCY)), then]
        for now, following in pairwise(states):
            with m.State(now):
                m.next = following

    def _elaborate_access(self, m: Module, work: _Work) -> None:
        """Read or write one word after the other."""
        self._elaborate_word(m, "FETCH", "ACCESS")
        with m.State("ACCESS"):
            m.d.comb += [self.request.eq(1), work.fetched.eq(self.done & ~self.write)]
            with m.If(self.done):
                m.d.sync += [work.at.eq(work.at + 1), work.address.eq(work.address + 4)]
                m.next = "FETCH"
                with m.If(self.failed):
                    m.d.sync += work.status.eq(Status.BUS)
                with m.If(self.failed | (work.at + 1 == work.count)):
                    m.next = "ANSWER"

    def _elaborate_answer(self, m: Module, sender: Unit, buffer: Unit, work: _Work) -> None:
        """Send the answer's head and its words."""
        is_info = work.operation == Operation.INFO
        info = [Const(value, 32) for value in (PROTOCOL, self.memory_bytes, self.most, self.clock_hz)]
        words = Mux(is_info, len(info), Mux(self.write, 0, work.count))
        words = Mux(work.status == Status.OK, words, 0)
        left = Signal(16, name="words_left")
        with m.State("ANSWER"):
            m.d.comb += [
                sender.words.valid.eq(1),
                sender.words.payload.eq(Cat(work.status, Const(0, 8 - len(work.status)), work.sequence, words)),
                sender.last.eq(words == 0),
            ]
            m.d.sync += [work.at.eq(0), left.eq(words)]
            with m.If(sender.words.ready):
                m.next = "WORD"
                with m.If(words == 0):
                    m.next = "END"
        self._elaborate_word(m, "WORD", "SEND")
        with m.State("SEND"):
            m.d.comb += [
                sender.words.valid.eq(1),
                sender.words.payload.eq(Mux(is_info, pick(work.at[:2], info), buffer.read_data)),
                sender.last.eq(left == 1),
            ]
            with m.If(sender.words.ready):
                m.d.sync += [work.at.eq(work.at + 1), left.eq(left - 1)]
                m.next = "WORD"
                with m.If(left == 1):
                    m.next = "END"
        with m.State("END"):
            m.d.sync += work.busy.eq(0)
            m.next = "WAIT"
