"""Frames of words on a stream of bytes, see `sw_ref.accelerator.serial`."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.wiring import In, Out

from hw.core.unit import Unit
from sw_ref.accelerator.serial import END, ESCAPE, ESCAPED

__all__ = ["FrameReceiver", "FrameSender"]


class FrameReceiver(Unit):
    """Takes frames out of bytes.

    Ports
    -----
    byte : In(8), valid : In(1)
        A byte, in this cycle.
    spoil : In(1)
        What comes now is lost, and so is the frame that it belongs to.
    word : Out(32), word_valid : Out(1), place : Out
        A word for a cycle, the CRC among them, and its place in the frame; beyond ``most`` it says ``most``.
    ended : Out(1), good : Out(1)
        A frame with at least one byte has ended, and it was whole: of whole words, with the right CRC.
    words : Out
        Words of the frame so far; beyond ``most`` it says ``most``.

    Parameters
    ----------
    most : int
        Words that are told apart.
    """

    def __init__(self, *, most: int) -> None:
        self.most = most
        super().__init__(
            {
                "byte": In(8),
                "valid": In(1),
                "spoil": In(1),
                "word": Out(32),
                "word_valid": Out(1),
                "place": Out(range(most + 1)),
                "ended": Out(1),
                "good": Out(1),
                "words": Out(range(most + 1)),
            }
        )

    @property
    def name(self) -> str:
        return f"frame_receiver_{self.most}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = CRC32_ETHERNET().create()
        escaped, some, spoiled = (Signal(name=name) for name in ("escaped", "some", "spoiled"))
        bytes_held = Signal(range(4), name="bytes_held")
        end, escape = self.valid & (self.byte == END), self.valid & (self.byte == ESCAPE)
        meant: Value = self.byte
        for byte, code in ESCAPED.items():
            meant = Mux(escaped & (self.byte == code), byte, meant)
        data = Signal(name="data_valid")
        m.d.comb += [
            data.eq(self.valid & ~end & ~escape),
            crc.data.eq(meant),
            crc.valid.eq(data),
            crc.start.eq(end),
            self.ended.eq(end & some),
            self.good.eq(crc.match_detected & (bytes_held == 0) & ~escaped & ~spoiled & ~self.spoil),
        ]
        with m.If(self.spoil):
            m.d.sync += spoiled.eq(1)
        with m.If(self.valid):
            m.d.sync += [some.eq(1), escaped.eq(escape)]
            with m.If(escaped & ~end & ~Cat(self.byte == code for code in ESCAPED.values()).any()):
                m.d.sync += spoiled.eq(1)
        m.d.sync += self.word_valid.eq(data & (bytes_held == 3))
        with m.If(data):
            m.d.sync += [self.word.eq(Cat(self.word[8:], meant)), bytes_held.eq(bytes_held + 1)]
            with m.If(bytes_held == 3):
                m.d.sync += [self.words.eq(Mux(self.words == self.most, self.most, self.words + 1))]
                m.d.sync += self.place.eq(self.words)
        with m.If(end):
            m.d.sync += [some.eq(0), escaped.eq(0), spoiled.eq(0), bytes_held.eq(0), self.words.eq(0)]
        return m


class FrameSender(Unit):
    """Puts words into frames, each with its CRC.

    Ports
    -----
    words : In(stream)
    last : In(1)
        The word is its frame's last.
    bytes : Out(stream)
    """

    def __init__(self) -> None:
        super().__init__({"words": In(stream.Signature(32)), "last": In(1), "bytes": Out(stream.Signature(8))})

    @property
    def name(self) -> str:
        return "frame_sender"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = CRC32_ETHERNET().create()
        held, left = Signal(32, name="held"), Signal(range(5), name="bytes_left")
        escaped, last = Signal(name="escaped"), Signal(name="last_word")
        byte = held[:8]
        code: Value = byte
        for plain, instead in ESCAPED.items():
            code = Mux(byte == plain, instead, code)
        special = Cat(byte == plain for plain in ESCAPED).any()
        sent, marks = Signal(name="byte_sent"), Signal(name="between_frames")
        m.d.comb += [
            self.bytes.payload.eq(Mux(marks, END, Mux(~special, byte, Mux(escaped, code, ESCAPE)))),
            sent.eq((left != 0) & ~marks & self.bytes.ready & (~special | escaped)),
            crc.data.eq(byte),
        ]
        with m.If(sent):
            m.d.sync += [held.eq(held >> 8), left.eq(left - 1), escaped.eq(0)]
        with m.Elif((left != 0) & ~marks & self.bytes.ready):
            m.d.sync += escaped.eq(1)
        with m.FSM(name="part"):
            with m.State("BEGIN"):
                m.d.comb += [marks.eq(1), self.bytes.valid.eq(self.words.valid), crc.start.eq(1)]
                with m.If(self.words.valid & self.bytes.ready):
                    m.next = "WORDS"
            with m.State("WORDS"):
                m.d.comb += [self.bytes.valid.eq(left != 0), crc.valid.eq(sent)]
                with m.If(left == 0):
                    m.d.comb += self.words.ready.eq(1)
                    m.d.sync += [held.eq(self.words.payload), last.eq(self.last)]
                    m.d.sync += left.eq(Mux(self.words.valid, 4, 0))
                with m.If(sent & (left == 1) & last):
                    m.next = "SUM"
            with m.State("SUM"):
                # which the sum is behind by a cycle
                m.d.sync += [held.eq(crc.crc), left.eq(4)]
                m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += self.bytes.valid.eq(left != 0)
                with m.If(left == 0):
                    m.next = "END"
            with m.State("END"):
                m.d.comb += [marks.eq(1), self.bytes.valid.eq(1)]
                with m.If(self.bytes.ready):
                    m.next = "BEGIN"
        return m
