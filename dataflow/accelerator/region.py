"""Reads beats that lie one behind the other, again and again."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from dataflow.accelerator.channel import PRODUCT_BITS, elaborate_errors, reader_ports
from dataflow.accelerator.run import Run
from dataflow.engine.job import SIZE_BITS
from dataflow.engine.walk import BlockWalk
from hw.core.unit import Unit, place
from hw.stream.gearbox import Gearbox
from sw_ref.accelerator.bus import Bus

__all__ = ["RegionReader"]


class RegionReader(Unit):
    """Reads a region of memory for each panel of rows of A: the same one, or one behind the other.

    Ports
    -----
    base : In
        Address of the (first) region, in words.
    bytes : In(32)
        Of a region.
    m : In
        Rows of A.
    n, last_bytes : In, only with ``block_cols``
        Columns of W, and the bytes of the last region.
    beats : Out(stream)
    and those of `dataflow.accelerator.channel.reader_ports`.

    Parameters
    ----------
    bus : Bus
    beat : int
        Bits of a beat in memory, see `sw_ref.accelerator.bus.stride_bits`.
    panel_rows : int
    block_cols : int
        With which each region is read once for each block of so many columns, and the next panel's lies behind it; 0
        for one region that is read once for each panel.
    depth : int
        Words that are asked for ahead.
    kept : int
        Words that are read for the first panel only, as a cache has them; 0 with ``block_cols``.
    """

    def __init__(self, *, bus: Bus, beat: int, panel_rows: int, block_cols: int, depth: int, kept: int) -> None:
        self.bus = bus
        self.beat = beat
        self.panel_rows = panel_rows
        self.block_cols = block_cols
        self.depth = depth
        self.kept = kept
        self.tag_bits = bus.low_bits + PRODUCT_BITS
        by_block = {"n": In(SIZE_BITS), "last_bytes": In(32)} if block_cols else {}
        super().__init__(
            {
                "base": In(bus.word_address_bits),
                "bytes": In(32),
                "m": In(SIZE_BITS),
                **by_block,
                "beats": Out(stream.Signature(beat)),
                **reader_ports(bus, self.tag_bits),
            }
        )

    @property
    def name(self) -> str:
        return f"region_reader_{self.bus.data_bits}_to_{self.beat}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        run = Run(
            address_bits=len(self.address), count_bits=32 - self.bus.low_bits, burst=self.bus.burst, name="region"
        )
        room = Signal(range(self.depth + 1), name="room", init=self.depth)
        product = Signal(PRODUCT_BITS, name="product_of_run")
        busy = Signal(name="busy")
        used = self._elaborate_regions(m, run, busy, product)
        m.d.comb += [
            self.request.eq(run.some & (room >= self.bus.burst)),
            self.address.eq(run.address),
            self.words.eq(run.length_less_one),
            self.tag.eq(Cat(Mux(run.ends, used, -1)[: self.bus.low_bits], product)),
        ]
        with m.If(self.granted):
            run.step(m)
        popped, holds = self._elaborate_words(m, room)
        m.d.comb += self.past.eq(~holds & ~(busy & (product == self.retiring)))
        m.d.sync += room.eq(Mux(self.granted, room - run.length, room) + popped)
        return m

    def _elaborate_regions(self, m: Module, run: Run, busy: Signal, product: Signal) -> Value:
        """Start a run for each region; return the bytes of the last word of this one that count, less one."""
        low = self.bus.low_bits
        panels = BlockWalk(span=self.panel_rows, bits=SIZE_BITS, name="panel")
        blocks = BlockWalk(span=max(self.block_cols, 1), bits=SIZE_BITS, name="block")
        base = Signal.like(self.base, name="region_base")
        size, last_size = Signal(32, name="region_bytes"), Signal(32, name="last_region_bytes")
        begins, first = Signal(name="begins"), Signal(name="first_region")
        columns = Signal(SIZE_BITS, name="columns")
        last_block = blocks.last if self.block_cols else Const(1)
        # bytes, less one
        now = Mux(panels.last, last_size, size) if self.block_cols else size
        m.d.comb += self.ready.eq(~busy)
        with m.If(self.start):
            m.d.sync += [
                busy.eq(1),
                begins.eq(1),
                base.eq(self.base),
                size.eq(self.bytes - 1),
                product.eq(self.product),
            ]
            panels.start(m, self.m)
            if self.kept:
                m.d.sync += first.eq(1)
            if self.block_cols:
                blocks.start(m, self.n)
                m.d.sync += columns.eq(self.n)
                m.d.sync += last_size.eq(self.last_bytes - 1)
        with m.If(begins):
            run.start(m, base, now[low:])
            m.d.sync += begins.eq(0)
        with m.If(busy & ~begins & ~run.some):
            m.d.sync += begins.eq(1)
            if self.block_cols:
                blocks.step(m)
            with m.If(last_block):
                panels.step(m)
                if self.block_cols:
                    blocks.start(m, columns)
                    m.d.sync += base.eq(base + now[low:] + 1)
                ends = panels.last
                if self.kept:
                    ends = ends | self._leave_out_kept(m, first, base, size)
                with m.If(ends):
                    m.d.sync += [begins.eq(0), busy.eq(0)]
        return now[:low]

    def _leave_out_kept(self, m: Module, first: Signal, base: Signal, size: Signal) -> Value:
        """Behind the first panel's region, leave out what is kept; return whether nothing is left."""
        with m.If(first):
            m.d.sync += [first.eq(0), base.eq(base + self.kept), size.eq(size - self.kept * self.bus.word_bytes)]
        return first & (size[self.bus.low_bits :] < self.kept)

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
