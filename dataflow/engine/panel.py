"""The panel of activations that an engine keeps on chip, and its loader."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from dataflow.engine.walk import BlockWalk, DepthWalk
from hw.core.ram import Ram
from hw.core.unit import Unit, place

__all__ = ["PanelBuffer"]


class PanelBuffer(Unit):
    """Two banks of words: one panel of activations is read, over and over, while the next is loaded.

    A panel is some rows of A over all of K. Words are loaded in the order in which they arrive and read by their
    number; each can be read as soon as it has been loaded. A word holds either all rows of the panel at one step of
    K, or some of them, or one; those of a step follow each other.

    Ports
    -----
    job : In(layout)
        To be held while it is loading.
    start : In(1)
        Begin with a job; only while ``idle``.
    idle : Out(1)
    act : In(stream)
        Words.
    address : In
        Number of a word in the panel that is being read.
    available : Out(1)
        That word has been loaded, and those behind it, if it is the first one of a step's ``step_words``.
    data : Out
        The word, in the next cycle.
    release : In(1)
        The panel will not be read any more after this cycle.

    Parameters
    ----------
    width : int
        Bits of a word.
    rows : int
        Rows of a panel.
    step_words : int
        Words of a step, of which each holds as many rows; 0 if each holds one, and there are no more than rows.
    span : int
        Products along K of a step, see `dataflow.engine.walk.DepthWalk`.
    steps : int
        Steps that there is room for.
    layout : StructLayout
        Of the part of a job that matters here, see `dataflow.engine.job.panel_layout`.
    """

    def __init__(
        self, *, width: int, rows: int, step_words: int, span: int, steps: int, layout: data.StructLayout
    ) -> None:
        self.width = width
        self.rows = rows
        self.step_words = step_words
        self.span = span
        self.layout = layout
        self.words = steps * (step_words or rows)
        self.address_bits = max(1, (self.words - 1).bit_length())
        super().__init__(
            {
                "job": In(layout),
                "start": In(1),
                "idle": Out(1),
                "act": In(stream.Signature(width)),
                "address": In(self.address_bits),
                "available": Out(1),
                "data": Out(width),
                "release": In(1),
            }
        )

    @property
    def name(self) -> str:
        return f"panel_{self.words}x{self.width}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        memory = place(m, "memory", Ram(width=self.width, depth=2 << self.address_bits))
        panels = BlockWalk(span=self.rows, bits=len(self.job.m), name="panel")
        steps = DepthWalk(span=self.span, layout=self.layout, name="load")
        row = Signal(range(self.rows))
        loading = Signal()
        loaded = Signal(self.address_bits)
        complete = Signal(range(3))
        write_bank = Signal()
        read_bank = Signal()

        accepted = self.act.valid & self.act.ready
        word_ends_step = row + 1 == (self.step_words or panels.used)
        word_ends_panel = Signal()
        m.d.comb += [
            self.idle.eq(~loading),
            self.act.ready.eq(loading & (complete != 2)),
            word_ends_panel.eq(accepted & word_ends_step & steps.last_of_pass),
            memory.write_address.eq(Cat(loaded, write_bank)),
            memory.write_data.eq(self.act.payload),
            memory.write.eq(accepted),
            memory.read_address.eq(Cat(self.address, read_bank)),
            self.data.eq(memory.read_data),
            self.available.eq((complete != 0) | (self.address + max(self.step_words - 1, 0) < loaded)),
        ]
        with m.If(accepted):
            m.d.sync += [loaded.eq(loaded + 1), row.eq(row + 1)]
            with m.If(word_ends_step):
                steps.step(m, self.job)
                m.d.sync += row.eq(0)
        with m.If(word_ends_panel):
            panels.step(m)
            steps.start(m, self.job)
            m.d.sync += [loaded.eq(0), write_bank.eq(~write_bank), loading.eq(~panels.last)]
        with m.If(self.start):
            panels.start(m, self.job.m)
            steps.start(m, self.job)
            m.d.sync += loading.eq(1)
        with m.If(self.release):
            m.d.sync += read_bank.eq(~read_bank)
        m.d.sync += complete.eq(complete + word_ends_panel - self.release)
        return m
