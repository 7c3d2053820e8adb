"""Keeps the first weights of a layer on chip while panels of rows pass."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from dataflow.engine.job import SIZE_BITS
from dataflow.engine.walk import BlockWalk
from hw.core.ram import DEEP_RAM_LATENCY, DeepRam
from hw.core.registers import delayed
from hw.core.unit import Unit, place

__all__ = ["WeightCache"]

# Beats that wait for the engine, so that one can be read in each cycle.
_QUEUE = 8


class WeightCache(Unit):
    """Passes on what it is given for the first panel of rows, and for the others gives its first beats again.

    What lies behind them comes from memory for each panel.

    Ports
    -----
    start : In(1)
        The engine takes up a product; nothing of the one before is left. Nothing is taken before the first one.
    m, count : In
        Rows of A, and beats of weights of a panel, while ``start``.
    given, beats : stream
        From memory, and to the engine.

    Parameters
    ----------
    beat : int
        Bits of a beat.
    depth : int
        Beats that are kept, 2 at least.
    panel_rows : int
    """

    def __init__(self, *, beat: int, depth: int, panel_rows: int) -> None:
        self.beat = beat
        self.depth = depth
        self.panel_rows = panel_rows
        super().__init__(
            {
                "start": In(1),
                "m": In(SIZE_BITS),
                "count": In(32),
                "given": In(stream.Signature(beat)),
                "beats": Out(stream.Signature(beat)),
            }
        )

    @property
    def name(self) -> str:
        return f"weight_cache_{self.depth}x{self.beat}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        ram = place(m, "kept", DeepRam(width=self.beat, depth=self.depth))
        at = Signal(range(self.depth + 1), name="place")
        left, last_beat = Signal(32, name="beats_left"), Signal(32, name="last_beat")
        first, moved, ends = Signal(name="first_panel"), Signal(name="beat_moves"), Signal(name="panel_ends")
        kept, started = at != self.depth, Signal(name="started")
        again = kept & ~first
        queue = self._elaborate_replay(m, ram, begins=ends & first, last_beat=last_beat)
        m.d.comb += [
            self.beats.payload.eq(Mux(again, queue.r_data, self.given.payload)),
            self.beats.valid.eq(Mux(again, queue.r_rdy, self.given.valid) & started),
            self.given.ready.eq(self.beats.ready & ~again & started),
            queue.r_en.eq(self.beats.ready & again),
            moved.eq(self.beats.valid & self.beats.ready),
            ends.eq(moved & (left == 0)),
            ram.write.eq(moved & first & kept),
            ram.write_address.eq(at),
            ram.write_data.eq(self.given.payload),
        ]
        with m.If(moved):
            m.d.sync += [left.eq(left - 1), at.eq(at + kept)]
        with m.If(ends):
            m.d.sync += [left.eq(last_beat), at.eq(0), first.eq(0)]
        with m.If(self.start):
            m.d.sync += started.eq(1)
            m.d.sync += [left.eq(self.count - 1), last_beat.eq(self.count - 1), at.eq(0), first.eq(1)]
        return m

    def _elaborate_replay(self, m: Module, ram: Unit, *, begins: Value, last_beat: Value) -> SyncFIFOBuffered:
        """A queue with what is kept, once for each panel but the first: it is read as there is room."""
        m.submodules.queue = queue = SyncFIFOBuffered(width=self.beat, depth=_QUEUE)
        panels = BlockWalk(span=self.panel_rows, bits=SIZE_BITS, name="panel")
        goes_on, room = Signal(name="replay_goes_on"), Signal(range(_QUEUE + 1), name="room", init=_QUEUE)
        at, read = Signal(range(self.depth), name="replayed"), Signal(name="kept_read")
        popped = queue.r_rdy & queue.r_en
        m.d.comb += [
            read.eq(goes_on & (room != 0)),
            ram.read_address.eq(at),
            queue.w_data.eq(ram.read_data),
            queue.w_en.eq(delayed(m, read, DEEP_RAM_LATENCY, name="kept_there", init=0)),
        ]
        m.d.sync += room.eq(room - read + popped)
        wraps = (at == self.depth - 1) | (at == last_beat)
        with m.If(read):
            m.d.sync += at.eq(Mux(wraps, 0, at + 1))
        with m.If(begins | (read & wraps)):
            m.d.sync += goes_on.eq(~panels.last)
            panels.step(m)
        with m.If(self.start):
            m.d.sync += [at.eq(0), goes_on.eq(0)]
            panels.start(m, self.m)
        return queue
