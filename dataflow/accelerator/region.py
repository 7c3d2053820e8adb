"""Reads beats that lie one behind the other, again and again."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Member, Out

from dataflow.accelerator.channel import PRODUCT_BITS, elaborate_errors, reader_ports
from dataflow.engine.job import SIZE_BITS
from hw.core.unit import Unit, place
from hw.stream.gearbox import Gearbox
from sw_ref.accelerator.bus import Bus

__all__ = ["RegionReader"]


class RegionReader(Unit):
    """Reads a region of memory for each panel of rows of A: the same one, or one behind the other.

    Ports
    -----
    in_front, last_byte : In
        Address of the word in front of the region, and of its last byte.
    panels : In
        Panels of rows of A.
    beats : Out(stream)
    and those of `dataflow.accelerator.channel.reader_ports`. With ``by_block``, instead of ``last_byte``:

    bytes, last_bytes : In(32)
        Of a region, and of the last one.
    blocks : In
        How often each of them is read.

    Parameters
    ----------
    bus : Bus
    beat : int
        Bits of a beat in memory, see `sw_ref.accelerator.bus.stride_bits`.
    by_block : bool
        Each region is read once for each block of columns, and the next panel's lies behind it, from a whole word on;
        else one region is read once for each panel.
    depth : int
        Words that are asked for ahead.
    kept : int
        Words that are read for the first panel only, as a cache has them; 0 with ``by_block``.
    """

    def __init__(self, *, bus: Bus, beat: int, by_block: bool, depth: int, kept: int) -> None:
        self.bus = bus
        self.beat = beat
        self.by_block = by_block
        self.depth = depth
        self.kept = kept
        self.tag_bits = bus.low_bits + PRODUCT_BITS
        one: dict[str, Member] = {"last_byte": In(bus.address_bits)}
        several: dict[str, Member] = {"bytes": In(32), "last_bytes": In(32), "blocks": In(SIZE_BITS)}
        super().__init__(
            {
                "in_front": In(bus.word_address_bits),
                **(several if by_block else one),
                "panels": In(SIZE_BITS),
                "beats": Out(stream.Signature(beat)),
                **reader_ports(bus, self.tag_bits),
            }
        )

    @property
    def name(self) -> str:
        return f"region_reader_{self.bus.data_bits}_to_{self.beat}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        region = _Region(self.bus)
        room = Signal(range(self.depth + 1), name="room", init=self.depth)
        product, busy = Signal(PRODUCT_BITS, name="product_of_run"), Signal(name="busy")
        ends = Signal(name="region_ends")
        m.d.comb += [
            self.request.eq(region.some & (room >= self.bus.burst)),
            self.address.eq(region.address),
            self.words.eq(region.length_less_one),
            self.tag.eq(Cat(Mux(region.ends, region.used, -1)[: self.bus.low_bits], product)),
            self.ready.eq(~busy),
            ends.eq(self.granted & region.ends),
        ]
        with m.If(self.start):
            m.d.sync += [busy.eq(1), product.eq(self.product)]
        elaborate = self._elaborate_regions if self.by_block else self._elaborate_same
        begins = elaborate(m, region, busy, ends)
        region.elaborate(m, begins=begins, granted=self.granted)
        popped, holds = self._elaborate_words(m, room)
        m.d.comb += self.past.eq(~holds & ~(busy & (product == self.retiring)))
        m.d.sync += room.eq(room - Mux(self.granted, self.words + 1, 0) + popped)
        return m

    def _elaborate_same(self, m: Module, region: "_Region", busy: Signal, ends: Signal) -> Value:
        """One region for all panels; return when it begins."""
        panels, first = _Tally("panel"), Signal(name="first_panel")
        with m.If(ends):
            panels.step(m)
            with m.If(panels.last):
                m.d.sync += busy.eq(0)
            if self.kept:
                m.d.sync += first.eq(0)
                with m.If(first):
                    m.d.sync += region.in_front.eq(region.in_front + self.kept)
                    with m.If((region.last - region.in_front)[: len(region.last)] <= self.kept):
                        m.d.sync += busy.eq(0)
        with m.If(self.start):
            m.d.sync += [region.in_front.eq(self.in_front), region.end.eq(self.last_byte), first.eq(1)]
            panels.start(m, self.panels)
        return busy & ~region.some

    def _elaborate_regions(self, m: Module, region: "_Region", busy: Signal, ends: Signal) -> Value:
        """A region for each panel, read once for each block; return when it begins."""
        panels, blocks, moves = _Tally("panel"), _Tally("block"), Signal(name="moves")
        size, last_size = Signal(32, name="region_bytes"), Signal(32, name="last_region_bytes")
        last_byte_before = Cat(Const(-1, self.bus.low_bits), region.last)
        with m.If(ends):
            blocks.step(m)
            with m.If(blocks.last):
                m.d.sync += moves.eq(1)
                blocks.repeat(m)
                panels.step(m)
                with m.If(panels.last):
                    m.d.sync += busy.eq(0)
        with m.If(moves):
            m.d.sync += [moves.eq(0), region.in_front.eq(region.last)]
            m.d.sync += region.end.eq(last_byte_before + Mux(panels.last, last_size, size))
        with m.If(self.start):
            m.d.sync += [moves.eq(1), region.last.eq(self.in_front)]
            panels.start(m, self.panels)
            blocks.start(m, self.blocks)
            m.d.sync += [size.eq(self.bytes), last_size.eq(self.last_bytes)]
        return busy & ~region.some & ~moves

    def _elaborate_words(self, m: Module, room: Signal) -> tuple[Value, Value]:
        """Keep words until they are taken; return whether one is, and whether the retiring product has some left.

        A product's words follow those of the one before only when the engine has taken it up, and nothing of that one
        is left: what is too long or too short by mistake does not go into the next product.
        """
        low, bits = self.bus.low_bits, self.bus.data_bits
        m.submodules.words = words = SyncFIFOBuffered(width=bits + self.tag_bits, depth=self.depth)
        gearbox = place(m, "gearbox", Gearbox(word=bits, beat=self.beat))
        before = Signal(PRODUCT_BITS, name="product_before")
        data, used, product = words.r_data[:bits], words.r_data[bits : bits + low], words.r_data[bits + low :]
        follows = (product == self.current) & ((product == before) | gearbox.empty)
        taken = Signal(name="word_taken")
        elaborate_errors(m, self.failed, valid=self.valid, error=self.error, product=self.data_tag[low:])
        m.d.comb += [
            words.w_data.eq(Cat(self.data, Mux(self.last, self.data_tag[:low], -1)[:low], self.data_tag[low:])),
            words.w_en.eq(self.valid),
            gearbox.words.payload.eq(data),
            gearbox.used.eq(used),
            gearbox.words.valid.eq(words.r_rdy & follows),
            words.r_en.eq(gearbox.words.ready & follows),
            taken.eq(words.r_rdy & words.r_en),
            self.beats.payload.eq(gearbox.beats.payload),
            self.beats.valid.eq(gearbox.beats.valid),
            gearbox.beats.ready.eq(self.beats.ready),
        ]
        with m.If(taken):
            m.d.sync += before.eq(product)
        # what is on its way belongs to nobody knows whom, until it is there
        waits = Mux(words.r_rdy, product == self.retiring, room != self.depth)
        return taken, waits | (~gearbox.empty & (before == self.retiring))


class _Tally:
    """Counts from 1 up to what it is given: a reset and a comparison take less than a number that is taken in."""

    def __init__(self, name: str) -> None:
        self._count = Signal(SIZE_BITS, name=f"{name}_number")
        self._all = Signal(SIZE_BITS, name=f"all_{name}s")

    @property
    def last(self) -> Value:
        """This is the last one."""
        return self._count == self._all

    def start(self, m: Module, count: Value) -> None:
        """In the next cycle, stand at the first of so many."""
        m.d.sync += self._all.eq(count)
        self.repeat(m)

    def repeat(self, m: Module) -> None:
        """In the next cycle, stand at the first one again."""
        m.d.sync += self._count.eq(1)

    def step(self, m: Module) -> None:
        """In the next cycle, stand at the next one."""
        m.d.sync += self._count.eq(self._count + 1)


class _Region:
    """Words that follow each other, in bursts that end at multiples of the longest: none crosses 4 KiB.

    ``in_front`` is the address of the word in front of them, ``end`` that of their last byte, whose word is ``last``
    and has ``used`` bytes more in front of it.
    """

    def __init__(self, bus: Bus) -> None:
        self.address = Signal(bus.word_address_bits, name="burst_address")
        self.some = Signal(name="bursts_go_on")
        self.in_front = Signal(bus.word_address_bits, name="word_before")
        self.end = Signal(bus.word_address_bits + bus.low_bits, name="region_end")
        self.used, self.last = self.end[: bus.low_bits], self.end[bus.low_bits :]
        self._bits = (bus.burst - 1).bit_length()

    @property
    def ends(self) -> Value:
        """The burst is the last one."""
        return self.address[self._bits :] == self.last[self._bits :]

    @property
    def length_less_one(self) -> Value:
        """Words of the burst, less one."""
        return (Mux(self.ends, self.last[: self._bits], -1)[: self._bits] - self.address[: self._bits])[: self._bits]

    def elaborate(self, m: Module, *, begins: Value, granted: Value) -> None:
        """Stand at the first burst when they begin, and at the next when one is granted."""
        here = Cat(Const(-1, self._bits), self.address[self._bits :])
        with m.If(begins | granted):
            m.d.sync += [self.address.eq(Mux(self.some, here, self.in_front) + 1), self.some.eq(begins | ~self.ends)]
