"""From frames on a serial line to words of a memory and of registers."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hw.core.ram import Ram
from hw.core.select import pick
from hw.core.unit import Unit, place
from hw.serial.frames import FrameReceiver, FrameSender
from sw_ref.accelerator.serial import HEAD_WORDS, PROTOCOL, Operation, Status

__all__ = ["SerialBridge"]


@dataclass(frozen=True)
class _Work:
    """What of a request is kept while it is done, and where the work stands."""

    status: Signal
    operation: Signal
    sequence: Signal
    count: Signal
    address: Signal
    at: Signal


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
        work = _Work(
            status=Signal(Status, name="status"),
            operation=Signal(8, name="operation"),
            sequence=Signal(8, name="sequence"),
            count=Signal(16, name="count"),
            address=Signal(32, name="address_now"),
            at=Signal(range(self.most + 1), name="word_now"),
        )
        busy = Signal(name="busy")
        head, address = Signal(32, name="head"), Signal(32, name="first_address")
        m.d.comb += [
            receiver.byte.eq(self.byte),
            receiver.valid.eq(self.valid),
            # what comes while a request is done would be lost in part
            receiver.spoil.eq(self.broken | (self.valid & busy)),
            self.bytes.payload.eq(sender.bytes.payload),
            self.bytes.valid.eq(sender.bytes.valid),
            sender.bytes.ready.eq(self.bytes.ready),
            self.active.eq(busy),
            self.register.eq(work.operation[2]),
            self.write.eq(work.operation[0]),
            self.address.eq(work.address),
            self.data.eq(buffer.read_data),
        ]
        with m.If(receiver.word_valid & ~busy):
            with m.If(receiver.place == 0):
                m.d.sync += head.eq(receiver.word)
            with m.If(receiver.place == 1):
                m.d.sync += address.eq(receiver.word)
        kept = receiver.word_valid & ~busy & (receiver.place >= HEAD_WORDS) & (receiver.place < HEAD_WORDS + self.most)
        fetched = Signal(name="word_fetched")
        low = len(buffer.write_address)
        m.d.comb += [
            buffer.write.eq(kept | fetched),
            buffer.write_address.eq(Mux(fetched, work.at, receiver.place - HEAD_WORDS)[:low]),
            buffer.write_data.eq(Mux(fetched, self.result, receiver.word)),
            buffer.read_address.eq(work.at[:low]),
        ]
        self._elaborate_work(m, receiver, sender, work, busy, head, address, fetched, buffer)
        return m

    def _status(self, receiver: Unit, head: Value, address: Value) -> Value:
        """What is to be said of a request that is not to be done, or that all is well."""
        operation, count = head[:8], head[16:]
        some = (count != 0) & (count <= self.most)
        writes = (operation == Operation.WRITE) | (operation == Operation.WRITE_REGISTER)
        is_info = operation == Operation.INFO
        known = is_info | writes | (operation == Operation.READ) | (operation == Operation.READ_REGISTER)
        words = HEAD_WORDS + 1 + Mux(writes, count, 0)
        right = (receiver.words == words) & Mux(is_info, count == 0, some)
        found: Value = Const(Status.OK, Status)
        for wrong, status in (
            (address[:2] != 0, Status.ADDRESS),
            (~right, Status.LENGTH),
            (~known, Status.OPERATION),
            (~receiver.good, Status.CRC),
        ):
            found = Mux(wrong, status, found)
        return found

    def _elaborate_work(
        self,
        m: Module,
        receiver: Unit,
        sender: Unit,
        work: _Work,
        busy: Signal,
        head: Signal,
        address: Signal,
        fetched: Signal,
        buffer: Unit,
    ) -> None:
        """One request after the other: done, then answered."""
        status = Signal(Status, name="status_of_frame")
        is_info = work.operation == Operation.INFO
        info = [Const(value, 32) for value in (PROTOCOL, self.memory_bytes, self.most, self.clock_hz)]
        ends = work.at + 1 == work.count
        answers = Mux(work.status == Status.OK, Mux(is_info, len(info), Mux(self.write & ~is_info, 0, work.count)), 0)
        left = Signal(16, name="words_of_answer")
        m.d.comb += status.eq(self._status(receiver, head, address))
        with m.FSM(name="step"):
            with m.State("WAIT"):
                m.d.sync += [work.at.eq(0), work.address.eq(address), work.status.eq(status)]
                m.d.sync += [work.operation.eq(head[:8]), work.sequence.eq(head[8:16]), work.count.eq(head[16:])]
                with m.If(receiver.ended):
                    m.d.sync += busy.eq(1)
                    done = (status != Status.OK) | (head[:8] == Operation.INFO)
                    m.next = "FETCH"
                    with m.If(done):
                        m.next = "ANSWER"
            with m.State("FETCH"):
                # the word that is to be written comes out of the buffer
                m.next = "ACCESS"
            with m.State("ACCESS"):
                m.d.comb += [self.request.eq(1), fetched.eq(self.done & ~self.write)]
                with m.If(self.done):
                    m.d.sync += [work.at.eq(work.at + 1), work.address.eq(work.address + 4)]
                    m.next = "FETCH"
                    with m.If(self.failed):
                        m.d.sync += work.status.eq(Status.BUS)
                    with m.If(self.failed | ends):
                        m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += [
                    sender.words.valid.eq(1),
                    sender.words.payload.eq(Cat(work.status, Const(0, 8 - len(work.status)), work.sequence, answers)),
                    sender.last.eq(answers == 0),
                ]
                m.d.sync += [work.at.eq(0), left.eq(answers)]
                with m.If(sender.words.ready):
                    m.next = "WORD"
                    with m.If(answers == 0):
                        m.next = "END"
            with m.State("WORD"):
                m.next = "SEND"
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
                m.d.sync += busy.eq(0)
                m.next = "WAIT"
