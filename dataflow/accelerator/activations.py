"""Reads row-major activations in the order in which an engine takes them."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from dataflow.accelerator.channel import PRODUCT_BITS, elaborate_errors, low_bits, reader_ports
from dataflow.accelerator.run import Run
from dataflow.engine.job import SIZE_BITS
from dataflow.engine.walk import BlockWalk
from hw.core.delay import delayed
from hw.core.ram import RAM_LATENCY, Ram
from hw.core.select import pick
from hw.core.unit import Unit, place
from sw_ref.accelerator.bus import Bus

__all__ = ["ACT_TAG_BITS", "ActReader", "Chunk"]

ACT_TAG_BITS = 2 + PRODUCT_BITS
# Words of a memory of tiles that a block RAM holds, as wide as a word may be.
_STAGED = 512
# Beats that wait for the engine, so that one can be read in each cycle.
_QUEUE = 8


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What one row of A gives to a step, in memory.

    Parameters
    ----------
    bits : int
        Of it all: a multiple of the bus's word, or a divisor of it.
    words, lanes : int
        Rows of the array that it feeds, and codes of each.
    slot, code : int
        Bits that a code takes in memory, and that it has.
    """

    bits: int
    words: int
    lanes: int
    slot: int
    code: int

    def codes(self, chunk: Value) -> Value:
        """The codes of a chunk, one beside the other."""
        return Cat(chunk.word_select(at, self.slot)[: self.code] for at in range(self.words * self.lanes))

    @property
    def used_bits(self) -> int:
        """Bits of `codes`."""
        return self.words * self.lanes * self.code


class ActReader(Unit):
    """Reads activations tile by tile: all rows of a panel over some steps of K, of which two are on chip.

    Rows are read in bursts of several words; a step of all rows leaves at once, or row after row.

    Ports
    -----
    base, stride : In
        Address of the first row and distance of two, in words.
    m, steps : In
        Rows of A, and steps along K.
    beats : Out(stream)
        Codes of ``banks`` rows of A.
    and those of `dataflow.accelerator.channel.reader_ports`.

    Parameters
    ----------
    bus : Bus
    chunk : Chunk
    banks, turns : int
        Rows of A of a beat, and beats of a step: row ``turns * bank + i`` of a panel comes with beat ``i``.
    by_row : bool
        A panel's rows are the beats of a step, and so a panel of fewer rows has fewer.
    max_steps : int
    """

    def __init__(self, *, bus: Bus, chunk: Chunk, banks: int, turns: int, by_row: bool, max_steps: int) -> None:
        self.bus = bus
        self.chunk = chunk
        self.banks = banks
        self.turns = turns
        self.by_row = by_row
        self.max_steps = max_steps
        word_address = bus.address_bits - low_bits(bus)
        super().__init__(
            {
                "base": In(word_address),
                "stride": In(word_address),
                "m": In(SIZE_BITS),
                "steps": In(range(max_steps + 1)),
                "beats": Out(stream.Signature(banks * chunk.used_bits)),
                **reader_ports(bus, ACT_TAG_BITS),
            }
        )

    @property
    def name(self) -> str:
        return f"act_reader_{self.bus.data_bits}_to_{self.banks}x{self.chunk.used_bits}"

    @property
    def panel_rows(self) -> int:
        """Rows of a panel."""
        return self.banks * self.turns

    @property
    def word_steps(self) -> int:
        """Steps of a word, at least one."""
        return max(1, self.bus.data_bits // self.chunk.bits)

    @property
    def step_words(self) -> int:
        """Words of a step, at least one."""
        return max(1, self.chunk.bits // self.bus.data_bits)

    @property
    def tile_places(self) -> int:
        """Places of a row's tile in each memory: words, or steps if they are longer; a power of two."""
        most = min(self.bus.burst, max(1, _STAGED // (2 * self.turns)))
        places = max(1, most // self.step_words)
        return 1 << (places.bit_length() - 1)

    @property
    def tile_steps(self) -> int:
        """Steps of a whole tile."""
        return self.tile_places * self.word_steps

    @property
    def tile_depth(self) -> int:
        """Words of each memory: two tiles."""
        return max(2, 2 * self.turns * self.tile_places)

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.submodules.tiles = tiles = SyncFIFO(width=self._tile.size, depth=2)
        free = Signal(range(3), name="free_tiles", init=2)
        done = Signal(name="tile_done")
        busy, product = Signal(name="busy"), Signal(PRODUCT_BITS, name="product_of_run")
        begun = self._elaborate_requests(m, tiles, free, busy, product)
        m.d.sync += free.eq(free - begun + done)
        write = _Place(self, name="write")
        complete = self._elaborate_words(m, write)
        holds = self._elaborate_beats(m, tiles, complete, done, write)
        m.d.comb += self.past.eq(~holds & ~(busy & (product == self.retiring)))
        return m

    @property
    def _tile(self) -> data.StructLayout:
        """What is known of a tile on chip or on its way: its steps and the beats of each, less one, and its product."""
        steps, beats = (self.tile_steps - 1).bit_length(), (self.turns - 1).bit_length()
        return data.StructLayout({"steps": steps, "beats": beats, "product": PRODUCT_BITS})

    def _elaborate_requests(self, m: Module, tiles: SyncFIFO, free: Signal, busy: Signal, product: Signal) -> Value:
        """Ask for runs, tile by tile and row by row; return whether a tile is begun."""
        run = Run(
            address_bits=len(self.address),
            count_bits=(self.tile_places * self.step_words).bit_length(),
            burst=self.bus.burst,
            name="row",
        )
        panels = BlockWalk(span=self.panel_rows, bits=SIZE_BITS, name="panel")
        first, row = Signal.like(self.base, name="panel_base"), Signal.like(self.base, name="row_base")
        offset, stride = Signal.like(self.base, name="tile_offset"), Signal.like(self.base, name="row_stride")
        steps, left = Signal.like(self.steps, name="all_steps"), Signal.like(self.steps, name="steps_left")
        rows_left = Signal(range(self.panel_rows + 1), name="rows_left")
        begins, tile = Signal(name="begins"), data.View(self._tile, tiles.w_data)
        first_row, last_tile = Signal(name="first_row"), left <= self.tile_steps
        now = Mux(last_tile, left, self.tile_steps)[: self.tile_steps.bit_length()]
        begun, goes = Signal(name="tile_begun"), Signal(name="run_begins")
        next_row, last_row = (row + stride)[: len(row)], rows_left == 1
        m.d.comb += [
            self.ready.eq(~busy),
            goes.eq(begins & (~first_row | (free != 0))),
            begun.eq(goes & first_row),
            tiles.w_en.eq(begun),
            tile.steps.eq(now - 1),
            # a panel of fewer rows has fewer beats where rows come one by one
            tile.beats.eq(panels.used - 1 if self.by_row else self.turns - 1),
            tile.product.eq(product),
            self.request.eq(run.some),
            self.address.eq(run.address),
            self.words.eq(run.length_less_one),
            self.tag.eq(Cat(run.ends, run.ends & last_row, product)),
        ]
        with m.If(self.granted):
            run.step(m)
        with m.If(self.start):
            m.d.sync += [busy.eq(1), begins.eq(1), first_row.eq(1), product.eq(self.product), offset.eq(0)]
            m.d.sync += [first.eq(self.base), row.eq(self.base), stride.eq(self.stride)]
            m.d.sync += [steps.eq(self.steps), left.eq(self.steps)]
            panels.start(m, self.m)
        with m.If(goes):
            run.start(m, (row + offset)[: len(row)], self._words(now))
            m.d.sync += [begins.eq(0), first_row.eq(0)]
            with m.If(first_row):
                m.d.sync += rows_left.eq(panels.used)
        with m.If(busy & ~begins & ~run.some):
            m.d.sync += [begins.eq(1), row.eq(next_row), rows_left.eq(rows_left - 1)]
            with m.If(last_row):
                m.d.sync += [first_row.eq(1), row.eq(first), offset.eq(offset + self.tile_places * self.step_words)]
                m.d.sync += left.eq(left - self.tile_steps)
                with m.If(last_tile):
                    m.d.sync += [first.eq(next_row), row.eq(next_row), offset.eq(0), left.eq(steps)]
                    panels.step(m)
                    with m.If(panels.last):
                        m.d.sync += [busy.eq(0), begins.eq(0)]
        return begun

    def _words(self, steps: Value) -> Value:
        """Words of so many steps."""
        if self.step_words > 1:
            return steps * self.step_words
        return (steps + (self.word_steps - 1)) >> (self.word_steps - 1).bit_length()

    def _elaborate_words(self, m: Module, write: "_Place") -> Value:
        """Where the next word of a tile goes; return whether a tile has come whole."""
        ends_run, ends_tile = self.last & self.data_tag[0], self.last & self.data_tag[1]
        elaborate_errors(m, self.failed, valid=self.valid, error=self.error, product=self.data_tag[2:])
        with m.If(self.valid):
            m.d.sync += write.part.eq(write.part + 1)
            with m.If(write.part == self.step_words - 1):
                m.d.sync += [write.part.eq(0), write.at.eq(write.at + 1)]
            with m.If(ends_run):
                m.d.sync += [write.part.eq(0), write.at.eq(0), write.turn.eq(write.turn + 1)]
                with m.If(write.turn == self.turns - 1):
                    m.d.sync += [write.turn.eq(0), write.bank.eq(write.bank + 1)]
            with m.If(ends_tile):
                m.d.sync += [write.turn.eq(0), write.bank.eq(0), write.half.eq(~write.half)]
        return self.valid & ends_tile

    def _elaborate_beats(self, m: Module, tiles: SyncFIFO, complete: Value, done: Signal, write: "_Place") -> Value:
        """Walk over tiles that have come, and give their steps; return whether the retiring product has some left."""
        whole, step = Signal(range(3), name="whole_tiles"), Signal(range(self.tile_steps), name="step")
        read, tile = _Place(self, name="read"), data.View(self._tile, tiles.r_data)
        room, issue, taken = Signal(range(_QUEUE + 1), init=_QUEUE), Signal(name="issue"), Signal(name="beat_taken")
        word_bits = (self.word_steps - 1).bit_length()
        m.d.comb += [
            issue.eq((whole != 0) & (room != 0)),
            done.eq(issue & (read.turn == tile.beats) & (step == tile.steps)),
            tiles.r_en.eq(done),
            read.at.eq(step >> word_bits),
        ]
        m.d.sync += [whole.eq(whole + complete - done), room.eq(room - issue + taken)]
        with m.If(issue):
            m.d.sync += read.turn.eq(read.turn + 1)
            with m.If(read.turn == tile.beats):
                m.d.sync += [read.turn.eq(0), step.eq(step + 1)]
            with m.If(done):
                m.d.sync += [step.eq(0), read.half.eq(~read.half)]
        bits = len(self.beats.payload)
        m.submodules.queue = queue = SyncFIFOBuffered(width=bits + PRODUCT_BITS, depth=_QUEUE)
        codes = self._read(m, write, read, delayed(m, step[:word_bits], RAM_LATENCY, name="step_of_word"))
        product, current = queue.r_data[bits:], Signal(name="beat_is_current")
        m.d.comb += [
            queue.w_en.eq(delayed(m, issue, RAM_LATENCY, name="issued", init=0)),
            queue.w_data.eq(Cat(codes, delayed(m, tile.product, RAM_LATENCY, name="product_of_beat"))),
            current.eq(product == self.current),
            self.beats.payload.eq(queue.r_data[:bits]),
            self.beats.valid.eq(queue.r_rdy & current),
            queue.r_en.eq(self.beats.ready & current),
            taken.eq(queue.r_rdy & queue.r_en),
        ]
        # what is on its way to the queue belongs to nobody knows whom, until it is there
        queued = Mux(queue.r_rdy, product == self.retiring, room != _QUEUE)
        return queued | (tiles.r_rdy & (tile.product == self.retiring))

    def _read(self, m: Module, write: "_Place", read: "_Place", which: Value) -> Value:
        """What a step gives: of all banks, the chunk ``which`` of the word at the place."""
        codes = []
        for bank in range(self.banks):
            words = []
            for part in range(self.step_words):
                memory = place(m, f"tile_{bank}_{part}", Ram(width=self.bus.data_bits, depth=self.tile_depth))
                m.d.comb += [
                    memory.write_address.eq(write.address),
                    memory.write_data.eq(self.data),
                    memory.write.eq(self.valid & (write.bank == bank) & (write.part == part)),
                    memory.read_address.eq(read.address),
                ]
                words.append(delayed(m, memory.read_data, RAM_LATENCY - 1, name=f"word_{bank}_{part}"))
            chunks = [Cat(words).word_select(index, self.chunk.bits) for index in range(self.word_steps)]
            codes.append(self.chunk.codes(pick(which, chunks)))
        return Cat(codes)


class _Place:
    """A place in the memories of tiles: of two halves, the row, and in it the word or step."""

    def __init__(self, reader: ActReader, *, name: str) -> None:
        self.half = Signal(name=f"{name}_half")
        self.bank = Signal(range(reader.banks), name=f"{name}_bank")
        self.turn = Signal(range(reader.turns), name=f"{name}_turn")
        self.at = Signal(range(reader.tile_places), name=f"{name}_at")
        self.part = Signal(range(reader.step_words), name=f"{name}_part")
        self._turns = reader.turns

    @property
    def address(self) -> Value:
        """In the memory of its bank and part."""
        return Cat(self.at, self.turn + Mux(self.half, self._turns, 0))
