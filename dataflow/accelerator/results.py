"""Writes results row by row."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from dataflow.accelerator.run import Run
from dataflow.engine.job import SIZE_BITS
from dataflow.engine.walk import BlockWalk, low_ones
from hw.core.select import pick
from hw.core.unit import Unit
from sw_ref.accelerator.bus import Bus

__all__ = ["ResultWriter"]


class ResultWriter(Unit):
    """Writes results, panel by panel, block of columns by block, sum by sum, row by row.

    Ports
    -----
    start : In(1), ready : Out(1)
        A product starts; only if it is ``ready``.
    base, stride, plane : In
        Address of the first row, distance of two, and of two results of the same element, in words.
    m, n, results : In
        Rows and columns, and results of each element.
    beats : In(stream)
        Results of a row and block.
    stop : In(1)
        Take no more.
    done : Out(1), quiet : Out(1)
        All has been passed on, for a cycle; nothing is half passed on.
    burst_*, word_*, address, words, data, strobe, last
        Of a `hw.axi.write.WriteMaster`.

    Parameters
    ----------
    bus : Bus
    cols : int
    panel_rows : int
    result_bits, slot : int
        Width of a result, and in memory, to which it is sign-extended.
    max_results : int
    """

    def __init__(self, *, bus: Bus, cols: int, panel_rows: int, result_bits: int, slot: int, max_results: int) -> None:
        self.bus = bus
        self.cols = cols
        self.panel_rows = panel_rows
        self.result_bits = result_bits
        self.slot = slot
        self.max_results = max_results
        super().__init__(
            {
                "start": In(1),
                "ready": Out(1),
                "base": In(bus.word_address_bits),
                "stride": In(bus.word_address_bits),
                "plane": In(bus.word_address_bits),
                "m": In(SIZE_BITS),
                "n": In(SIZE_BITS),
                "results": In(range(max_results + 1)),
                "beats": In(stream.Signature(cols * result_bits)),
                "stop": In(1),
                "done": Out(1),
                "quiet": Out(1),
                "burst_valid": Out(1),
                "burst_ready": In(1),
                "address": Out(bus.word_address_bits),
                "words": Out(bus.length_bits),
                "word_valid": Out(1),
                "word_ready": In(1),
                "data": Out(bus.data_bits),
                "strobe": Out(bus.word_bytes),
                "last": Out(1),
            }
        )

    @property
    def name(self) -> str:
        return f"result_writer_{self.cols}x{self.slot}_to_{self.bus.data_bits}"

    @property
    def row_bits(self) -> int:
        """Bits of a row of a block."""
        return self.cols * self.slot

    @property
    def row_words(self) -> int:
        """Words of it, at least one."""
        return max(1, self.row_bits // self.bus.data_bits)

    @property
    def word_rows(self) -> int:
        """Blocks of a word, at least one."""
        return max(1, self.bus.data_bits // self.row_bits)

    def circuit(self, platform: object) -> Module:
        m = Module()
        busy, final, taken = Signal(name="busy"), Signal(name="final"), Signal(name="row_taken")
        # not yet known: the rows of the panel
        begins = Signal(name="begins")
        row, place, cols, ends = self._elaborate_walk(m, taken, begins)
        run = Run(address_bits=len(row), count_bits=(self.row_words - 1).bit_length(), burst=self.bus.burst, name="row")
        words = Signal(range(self.row_words + 1), name="words_left")
        asked = Signal(name="burst_asked")
        free = (words == 0) | ((words == 1) & self.word_ready)
        m.d.comb += [
            self.ready.eq(~busy),
            asked.eq(self.burst_valid & self.burst_ready),
            # the next row follows the last word of this one
            self.beats.ready.eq(busy & ~begins & ~final & ~self.stop & free & (~run.some | (asked & run.ends))),
            taken.eq(self.beats.valid & self.beats.ready),
            self.burst_valid.eq(run.some),
            self.address.eq(run.address),
            self.words.eq(run.length_less_one),
            self.quiet.eq(~run.some & (words == 0)),
            self.done.eq(final & self.quiet),
        ]
        with m.If(asked):
            run.step(m)
        with m.If(self.start):
            m.d.sync += busy.eq(1)
        with m.If(self.done):
            m.d.sync += [busy.eq(0), final.eq(0)]
        last_word = self._last_word(cols)
        with m.If(taken):
            run.start(m, row, last_word)
            m.d.sync += final.eq(ends)
        self._elaborate_words(m, taken, words, last_word + 1, row, place, cols)
        return m

    def _last_word(self, cols: Value) -> Value:
        """Words of so many columns, less one."""
        if self.row_words == 1:
            return Const(0)
        bits = cols * self.slot
        return (bits - 1)[(self.bus.data_bits - 1).bit_length() : len(bits)]

    def _elaborate_words(
        self, m: Module, taken: Value, words: Signal, used: Value, row: Value, place: Value, cols: Value
    ) -> None:
        """From a row to its words."""
        held = Signal(self.row_bits, name="held_row", reset_less=True)
        part, at = (
            Signal(range(self.row_words), name="word_of_row"),
            Signal(self.bus.length_bits, name="place_in_burst"),
        )
        m.d.comb += [
            self.word_valid.eq(words != 0),
            self.last.eq((words == 1) | (at == self.bus.burst - 1)),
        ]
        with m.If(self.word_valid & self.word_ready):
            m.d.sync += [words.eq(words - 1), at.eq(at + 1), part.eq(part + 1)]
        slots = [
            Cat(value, value[-1].replicate(self.slot - self.result_bits))
            for value in (self.beats.payload.word_select(col, self.result_bits) for col in range(self.cols))
        ]
        with m.If(taken):
            m.d.sync += [words.eq(used), at.eq(row[: len(at)]), part.eq(0), held.eq(Cat(slots))]
        # slots are powers of two
        row_bytes = (Cat(Const(0, (self.slot - 1).bit_length()), cols) + 7)[3:]
        if self.row_words == 1:
            m.d.comb += self.data.eq(held.replicate(self.word_rows))
            m.d.comb += self.strobe.eq(self._strobe_of_place(m, taken, row_bytes, place))
        else:
            m.d.comb += self.data.eq(pick(part, [held.word_select(at, len(self.data)) for at in range(self.row_words)]))
            m.d.comb += self.strobe.eq(self._strobe_of_end(m, taken, row_bytes, words == 1))

    def _strobe_of_place(self, m: Module, taken: Value, row_bytes: Value, place: Value) -> Value:
        """Bytes of a word that a row takes up which shares it with others."""
        strobe = Signal(self.bus.word_bytes, name="held_strobe", reset_less=True)
        mask = low_ones(row_bytes, self.row_bits // 8)
        with m.If(taken):
            m.d.sync += strobe.eq(pick(place, [mask << at * len(mask) for at in range(self.word_rows)]))
        return strobe

    def _strobe_of_end(self, m: Module, taken: Value, row_bytes: Value, ends: Value) -> Value:
        """Bytes of a row's word that count: all but in the last."""
        last_byte = Signal(self.bus.low_bits, name="last_byte", reset_less=True)
        with m.If(taken):
            m.d.sync += last_byte.eq(row_bytes - 1)
        others = (~ends | (last_byte >= byte) for byte in range(1, self.bus.word_bytes))
        return Cat(Const(1, 1), *others)

    def _elaborate_walk(self, m: Module, taken: Value, begins: Signal) -> tuple[Value, Value, Value, Value]:
        """Where the next row goes: its word and its place in it, its columns, and whether it is the last one.

        Rows, sums and blocks each have an address of their own, and so has the last row of the panel's first block,
        behind which the next panel begins. One adder takes the next step from one of them.
        """
        panels = BlockWalk(span=self.panel_rows, bits=SIZE_BITS, name="panel")
        blocks = BlockWalk(span=self.cols, bits=SIZE_BITS, name="block")
        row, sum_, block, last_row = bases = [
            Signal.like(self.base, name=f"{name}_base") for name in ("row", "sum", "block", "last_row")
        ]
        stride, plane = (Signal.like(self.base, name=f"{name}_stride") for name in ("row", "plane"))
        place, first = Signal(range(self.word_rows), name="place"), Signal(name="first_rows")
        # less two, so that the sign tells the last one
        rows_left = Signal(signed(self.panel_rows.bit_length() + 1), name="rows_left")
        ends_rows = rows_left[-1]
        ends_sums = self._elaborate_sums(m, taken & ends_rows)
        wraps, ends_plane = place == self.word_rows - 1, ends_rows & ends_sums
        ends_panel = ends_plane & blocks.last
        level = Cat(Mux(ends_plane, blocks.last, ends_rows), ends_plane)
        steps = [stride, plane, Mux(wraps, self.row_words, 0), stride]
        if self.max_results == 1:
            bases[1], steps[1] = row, stride
        following = (pick(level, bases) + pick(level, steps))[: len(row)]
        moves = (Const(1), ends_rows, ends_plane, ends_panel | (first & ~ends_rows))
        for base, condition in zip((row, sum_, block, last_row), moves, strict=True):
            with m.If(self.start | (taken & condition)):
                m.d.sync += base.eq(Mux(self.start, self.base, following))
        m.d.sync += begins.eq(self.start)
        with m.If(taken):
            m.d.sync += [rows_left.eq(rows_left - 1), begins.eq(ends_rows)]
            with m.If(ends_rows):
                m.d.sync += first.eq(ends_panel)
            with m.If(ends_plane):
                m.d.sync += place.eq(Mux(wraps | blocks.last, 0, place + 1))
                blocks.step(m)
            with m.If(ends_panel):
                panels.step(m)
                blocks.repeat(m)
        with m.If(begins):
            m.d.sync += rows_left.eq(panels.used - 2)
        with m.If(self.start):
            m.d.sync += [stride.eq(self.stride), plane.eq(self.plane), place.eq(0), first.eq(1)]
            panels.start(m, self.m)
            blocks.start_to_repeat(m, self.n)
        return row, place, blocks.used, ends_panel & panels.last

    def _elaborate_sums(self, m: Module, step: Value) -> Value:
        """Walk over the results of each element; return whether this is the last of them."""
        if self.max_results == 1:
            return Const(1)
        results, left = Signal.like(self.results, name="all_results"), Signal.like(self.results, name="sums_left")
        with m.If(step):
            m.d.sync += left.eq(Mux(left == 1, results, left - 1))
        with m.If(self.start):
            m.d.sync += [results.eq(self.results), left.eq(self.results)]
        return left == 1
