"""The panel of activations that an engine keeps on chip, and its loader."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from dataflow.engine.walk import BlockWalk, DepthWalk, plan_layout
from hw.core.number import Number, wire
from hw.core.ram import DEEP_RAM_LATENCY, DeepRam
from hw.core.unit import Unit, place

__all__ = ["PANEL_LATENCY", "PanelBuffer"]

PANEL_LATENCY = DEEP_RAM_LATENCY
"""Cycles from when a word is taken to its data."""


class PanelBuffer(Unit):
    """Two banks of words: one panel of activations is read, over and over, while the next is loaded.

    A panel is some rows of A over all of K. Words are loaded in the order in which they arrive and read in the same
    one; each can be read as soon as it has been loaded. A word holds either all rows of the panel at one step of
    K, or some of them, or one; those of a step follow each other.

    Ports
    -----
    rows_of_a : In, plan : In(layout)
        Rows of A, and how K is walked, see `dataflow.engine.walk.elaborate_plan`; to be held while it is loading.
    start : In(1)
        Begin with a job; only while ``idle``.
    idle : Out(1)
    act : In(stream)
        Words.
    available : Out(1)
        The next word has been loaded, and those behind it, if it is the first one of a step's ``step_words``.
    take : In(1)
        It is taken; only if it is ``available``, or follows one of its step that was.
    rewind : In(1)
        If a word is taken, it is the panel's last one: go on with the first.
    release : In(1)
        And with that of the next panel, where ``rewind`` is high, too.
    data : Out
        The word that was taken `PANEL_LATENCY` cycles ago.

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
    size_bits, depth_bits : int
        Widths of the rows of A, and of K.
    """

    def __init__(
        self, *, width: int, rows: int, step_words: int, span: int, steps: int, size_bits: int, depth_bits: int
    ) -> None:
        self.width = width
        self.rows = rows
        self.step_words = step_words
        self.span = span
        self.words = steps * (step_words or rows)
        super().__init__(
            {
                "rows_of_a": In(size_bits),
                "plan": In(plan_layout(depth_bits, span)),
                "start": In(1),
                "idle": Out(1),
                "act": In(stream.Signature(width)),
                "available": Out(1),
                "take": In(1),
                "rewind": In(1),
                "release": In(1),
                "data": Out(width),
            }
        )

    @property
    def name(self) -> str:
        return f"panel_{self.words}x{self.width}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        memory = place(m, "memory", DeepRam(width=self.width, depth=2 * self.words))
        loaded = Signal(range(self.words + 1))
        # how many panels are complete
        complete = Signal(range(3))
        accepted, ends_panel, goes_on = self._elaborate_load(m, memory, loaded)
        to_come = Signal.like(complete, name="next_complete")
        rest = to_come - self.release
        m.d.comb += [
            memory.write_data.eq(self.act.payload),
            memory.write.eq(accepted),
            self.data.eq(memory.read_data),
            to_come.eq(complete + ends_panel),
        ]
        m.d.sync += [
            complete.eq(Mux(self.take, rest, to_come)),
            self.act.ready.eq(goes_on & Mux(self.take, rest != 2, to_come != 2)),
        ]
        self._elaborate_read(m, memory, loaded, accepted, to_come)
        return m

    def _elaborate_load(self, m: Module, memory: DeepRam, loaded: Signal) -> tuple[Value, Value, Value]:
        """Take words in; return whether one is, whether it is a panel's last, and whether more are to come."""
        panels = BlockWalk(span=self.rows, bits=len(self.rows_of_a), name="panel")
        steps = DepthWalk(span=self.span, plan=self.plan, name="load")
        row = Signal(range(self.rows))
        ends_row = Signal(name="last_of_step")
        loading, goes_on = Signal(), Signal(name="goes_on_loading")
        bank = Signal(name="write_bank")
        address = Signal.like(memory.write_address, name="load_address")
        accepted, ends_step, ends_panel = Signal(name="accepted"), Signal(name="ends_step"), Signal(name="ends_panel")
        m.d.comb += [
            self.idle.eq(~loading),
            goes_on.eq(Mux(ends_panel, ~panels.last, loading | self.start)),
            accepted.eq(self.act.valid & self.act.ready),
            ends_step.eq(accepted & ends_row),
            ends_panel.eq(ends_step & steps.last_of_pass),
            memory.write_address.eq(address),
        ]
        words = self.step_words or panels.used
        # whether one word makes a step: of this panel, of the next, of a job's first
        single = (words == 1, panels.one_next, (self.rows_of_a == 1) | (self.rows == 1))
        this, following, first = [Const(self.step_words == 1)] * 3 if self.step_words else single
        m.d.sync += loading.eq(goes_on)
        with m.If(accepted):
            m.d.sync += [loaded.eq(loaded + 1), address.eq(address + 1), row.eq(row + 1), ends_row.eq(row + 2 == words)]
        with m.If(ends_step):
            steps.step(m)
            m.d.sync += [row.eq(0), ends_row.eq(this)]
        with m.If(ends_panel):
            panels.step(m)
            m.d.sync += [loaded.eq(0), address.eq(self._base(~bank)), bank.eq(~bank), ends_row.eq(following)]
        with m.If(self.start):
            panels.start(m, self.rows_of_a)
            steps.start(m)
            m.d.sync += ends_row.eq(first)
        return accepted, ends_panel, goes_on

    def _elaborate_read(self, m: Module, memory: DeepRam, loaded: Signal, accepted: Value, complete: Value) -> None:
        """Walk over the panel, and tell a cycle ahead whether its next word will be there.

        Whether a word is taken is known last, and chooses between what comes of it and what comes else.
        """
        bank = Signal(name="read_bank")
        index, address = Signal(range(self.words), name="index"), Signal.like(memory.read_address, name="next_address")
        behind = max(self.step_words - 1, 0)
        m.d.comb += memory.read_address.eq(address)
        with m.If(self.take):
            m.d.sync += [
                index.eq(Mux(self.rewind, 0, index + 1)),
                address.eq(Mux(self.rewind, self._base(bank ^ self.release), address + 1)),
                bank.eq(bank ^ self.release),
            ]
        ahead = wire(m, "ahead", Number(loaded) - Number(index))
        more, some, almost = (_exceeds(ahead, least) for least in (behind + 1, behind, behind - 1))
        begins = Mux(accepted, loaded >= behind if behind else Const(1), loaded > behind)
        after = (complete > self.release) | Mux(self.release, begins, Mux(accepted, some, more))
        m.d.sync += self.available.eq(Mux(self.take, after, (complete != 0) | Mux(accepted, almost, some)))

    def _base(self, bank: Value) -> Value:
        """Address of a bank's first word."""
        return Mux(bank, self.words, 0)


def _exceeds(number: Number, least: int) -> Value:
    """``number > least``: a constant where no value makes it otherwise, as linters ask for."""
    if least >= number.interval.hi or least < number.interval.lo:
        return Const(least < number.interval.lo)
    return number.value > least
