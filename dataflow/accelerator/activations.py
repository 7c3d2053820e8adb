"""Reads row-major activations in the order in which an engine takes them."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from dataflow.accelerator.channel import PRODUCT_BITS, elaborate_errors, reader_ports
from dataflow.accelerator.run import Run
from dataflow.engine.job import SIZE_BITS
from dataflow.engine.walk import BlockWalk
from hw.core.ram import RAM_LATENCY, Ram
from hw.core.registers import delayed
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
        super().__init__(
            {
                "base": In(bus.word_address_bits),
                "stride": In(bus.word_address_bits),
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
    def gathers(self) -> bool:
        """Whether rows stand in one memory, and a word of each is gathered for the steps that it has."""
        return self.turns == 1 and self.step_words == 1 and self.banks > 2

    @property
    def tile_places(self) -> int:
        """Places of a row's tile in each memory: words, or steps if they are longer; a power of two."""
        rows = self.banks if self.gathers else self.turns
        most = min(self.bus.burst, max(1, _STAGED // (2 * rows)))
        places = max(1, most // self.step_words)
        return 1 << (places.bit_length() - 1)

    @property
    def tile_steps(self) -> int:
        """Steps of a whole tile."""
        return self.tile_places * self.word_steps

    @property
    def tile_depth(self) -> int:
        """Words of each memory: two tiles."""
        return max(2, 2 * (self.banks if self.gathers else self.turns) * self.tile_places)

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
            count_bits=(self.tile_places * self.step_words - 1).bit_length(),
            burst=self.bus.burst,
            name="row",
        )
        panels = BlockWalk(span=self.panel_rows, bits=SIZE_BITS, name="panel")
        # the tile's first row and this one, where the next panel begins, and the distance of two rows
        first, row, after, stride = (Signal.like(self.base, name=name) for name in ("first", "row", "after", "stride"))
        steps, left = Signal.like(self.steps, name="all_steps"), Signal.like(self.steps, name="steps_left")
        rows_left = Signal(range(self.panel_rows + 1), name="rows_left")
        tile, last_tile = data.View(self._tile, tiles.w_data), left <= self.tile_steps
        now = Mux(last_tile, left, self.tile_steps)[: self.tile_steps.bit_length()]
        ends, begins, goes = (Signal(name=name) for name in ("tile_ends", "tile_begins", "run_begins"))
        next_row, first_tile, begun = (row + stride)[: len(row)], Signal(name="first_tile"), begins & (free != 0)
        last_row = rows_left == 1
        m.d.comb += [
            self.ready.eq(~busy),
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
        with m.If(self.start):
            m.d.sync += [busy.eq(1), begins.eq(1), first_tile.eq(1), product.eq(self.product)]
            m.d.sync += [first.eq(self.base), stride.eq(self.stride), steps.eq(self.steps), left.eq(self.steps)]
            panels.start(m, self.m)
        with m.If(begun):
            m.d.sync += [begins.eq(0), goes.eq(1), row.eq(first), rows_left.eq(panels.used)]
        with m.If(goes):
            run.start(m, row, self._last_word(now))
            m.d.sync += goes.eq(0)
        with m.If(self.granted):
            run.step(m)
        with m.If(busy & ~begins & ~goes & ~run.some & ~ends):
            m.d.sync += [row.eq(next_row), rows_left.eq(rows_left - 1), goes.eq(~last_row), ends.eq(last_row)]
            with m.If(last_row & first_tile):
                m.d.sync += after.eq(next_row)
        with m.If(ends):
            m.d.sync += [ends.eq(0), begins.eq(1), first_tile.eq(last_tile)]
            m.d.sync += [first.eq(first + self.tile_places * self.step_words), left.eq(left - self.tile_steps)]
            with m.If(last_tile):
                m.d.sync += [first.eq(after), left.eq(steps)]
                panels.step(m)
                with m.If(panels.last):
                    m.d.sync += [busy.eq(0), begins.eq(0)]
        return begun

    def _last_word(self, steps: Value) -> Value:
        """Words of so many steps, less one."""
        if self.step_words > 1:
            return steps * self.step_words - 1
        return (steps - 1)[(self.word_steps - 1).bit_length() : len(steps)]

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
        whole, tile = Signal(range(3), name="whole_tiles"), data.View(self._tile, tiles.r_data)
        bits = len(self.beats.payload)
        m.submodules.queue = queue = SyncFIFOBuffered(width=bits + PRODUCT_BITS, depth=_QUEUE)
        product, current, taken = queue.r_data[bits:], Signal(name="beat_is_current"), Signal(name="beat_taken")
        m.d.sync += whole.eq(whole + complete - done)
        m.d.comb += [
            tiles.r_en.eq(done),
            current.eq(product == self.current),
            self.beats.payload.eq(queue.r_data[:bits]),
            self.beats.valid.eq(queue.r_rdy & current),
            queue.r_en.eq(self.beats.ready & current),
            taken.eq(queue.r_rdy & queue.r_en),
        ]
        elaborate = self._elaborate_gathered if self.gathers else self._elaborate_at_once
        on_the_way = elaborate(m, _Feed(tile=tile, some=whole != 0, done=done, write=write, queue=queue, taken=taken))
        # what is on its way to the queue belongs to nobody knows whom, until it is there
        queued = Mux(queue.r_rdy, product == self.retiring, on_the_way)
        return queued | (tiles.r_rdy & (tile.product == self.retiring))

    def _elaborate_at_once(self, m: Module, feed: "_Feed") -> Value:
        """A memory for each bank: a beat in each cycle. Return whether one is on its way to the queue."""
        read, step = _Place(self, name="read"), Signal(range(self.tile_steps), name="step")
        room, issue = Signal(range(_QUEUE + 1), name="room", init=_QUEUE), Signal(name="issue")
        word_bits = (self.word_steps - 1).bit_length()
        m.d.comb += [
            issue.eq(feed.some & (room != 0)),
            feed.done.eq(issue & (read.turn == feed.tile.beats) & (step == feed.tile.steps)),
            read.at.eq(step[word_bits:]),
        ]
        m.d.sync += room.eq(room - issue + feed.taken)
        with m.If(issue):
            m.d.sync += read.turn.eq(read.turn + 1)
            with m.If(read.turn == feed.tile.beats):
                m.d.sync += [read.turn.eq(0), step.eq(step + 1)]
            with m.If(feed.done):
                m.d.sync += [step.eq(0), read.half.eq(~read.half)]
        which = delayed(m, step[:word_bits], RAM_LATENCY, name="step_of_word")
        codes = []
        for bank in range(self.banks):
            words = [
                self._place_memory(
                    m, f"{bank}_{part}", feed.write, read, (feed.write.bank == bank) & (feed.write.part == part)
                )
                for part in range(self.step_words)
            ]
            codes.append(self._codes(Cat(words), which))
        m.d.comb += [
            feed.queue.w_en.eq(delayed(m, issue, RAM_LATENCY, name="issued", init=0)),
            feed.queue.w_data.eq(Cat(codes, delayed(m, feed.tile.product, RAM_LATENCY, name="product_of_beat"))),
        ]
        return room != _QUEUE

    def _elaborate_gathered(self, m: Module, feed: "_Feed") -> Value:
        """One memory for all banks: their words are gathered, then held for the steps that they have."""
        read, step = _Place(self, name="read"), Signal(range(self.word_steps), name="step")
        # what is gathered, and what is held: there is something; its last step; its product
        reading, gathered, held = (Signal(name=name) for name in ("reading", "gathered", "held"))
        last_step, product = Signal.like(step, name="last_step"), Signal(PRODUCT_BITS, name="product_of_words")
        moves, gives, ends = Signal(name="words_move"), Signal(name="beat_given"), Signal(name="ends_tile")
        last_bank, word_bits = read.bank == self.banks - 1, (self.word_steps - 1).bit_length()
        m.d.comb += [
            ends.eq(read.at == feed.tile.steps[word_bits:]),
            reading.eq(feed.some & ~gathered),
            feed.done.eq(moves & ends),
            moves.eq(gathered & ~delayed(m, reading, RAM_LATENCY, name="comes", init=0) & ~held),
            gives.eq(held & feed.queue.w_rdy),
        ]
        with m.If(reading):
            m.d.sync += [read.bank.eq(Mux(last_bank, 0, read.bank + 1)), gathered.eq(last_bank)]
        with m.If(gives):
            m.d.sync += step.eq(step + 1)
            with m.If(step == last_step):
                m.d.sync += [step.eq(0), held.eq(0)]
        with m.If(moves):
            m.d.sync += [held.eq(1), gathered.eq(0), read.at.eq(read.at + 1), product.eq(feed.tile.product)]
            m.d.sync += last_step.eq(Mux(ends, feed.tile.steps[:word_bits], self.word_steps - 1))
            with m.If(ends):
                m.d.sync += [read.at.eq(0), read.half.eq(~read.half)]
        word = self._place_memory(m, "words", feed.write, read, Const(1))
        bank = delayed(m, read.bank, RAM_LATENCY, name="bank_of_word")
        codes = []
        for at in range(self.banks):
            coming, words = (
                Signal(self.bus.data_bits, name=f"{name}_{at}", reset_less=True) for name in ("row", "held")
            )
            with m.If(bank == at):
                m.d.sync += coming.eq(word)
            with m.If(moves):
                m.d.sync += words.eq(coming)
            codes.append(self._codes(words, step))
        m.d.comb += [feed.queue.w_en.eq(gives), feed.queue.w_data.eq(Cat(codes, product))]
        return held

    def _place_memory(self, m: Module, name: str, write: "_Place", read: "_Place", here: Value) -> Value:
        """A memory of two tiles; return what it gives, `RAM_LATENCY` cycles after its address."""
        memory = place(m, f"tile_{name}", Ram(width=self.bus.data_bits, depth=self.tile_depth))
        m.d.comb += [
            memory.write_address.eq(write.address),
            memory.write_data.eq(self.data),
            memory.write.eq(self.valid & here),
            memory.read_address.eq(read.address),
        ]
        return memory.read_data

    def _codes(self, words: Value, which: Value) -> Value:
        """Codes of one of the steps that a word has."""
        return self.chunk.codes(pick(which, [words.word_select(at, self.chunk.bits) for at in range(self.word_steps)]))


@dataclass(frozen=True, kw_only=True)
class _Feed:
    """Between tiles that have come and the queue of beats.

    ``tile`` is the first of them, if there is ``some``; ``done`` is driven when its last beat is on its way to the
    ``queue``, from which a beat is ``taken``. Words of tiles are written to the place ``write``.
    """

    tile: data.View
    some: Value
    done: Signal
    write: "_Place"
    queue: SyncFIFOBuffered
    taken: Value


class _Place:
    """A place in the memories of tiles: of two halves, the row, and in it the word or step."""

    def __init__(self, reader: ActReader, *, name: str) -> None:
        self.half = Signal(name=f"{name}_half")
        self.bank = Signal(range(reader.banks), name=f"{name}_bank")
        self.turn = Signal(range(reader.turns), name=f"{name}_turn")
        self.at = Signal(range(reader.tile_places), name=f"{name}_at")
        self.part = Signal(range(reader.step_words), name=f"{name}_part")
        # rows of a memory, and which of them this is
        self._rows, self._row = (reader.banks, self.bank) if reader.gathers else (reader.turns, self.turn)

    @property
    def address(self) -> Value:
        """In the memory of its bank and part, or of all banks."""
        return Cat(self.at, self._row + Mux(self.half, self._rows, 0))
