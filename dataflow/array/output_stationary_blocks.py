"""Output-stationary cells that keep the sums of several rows and columns each."""

from dataclasses import dataclass, replace

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from dataflow.array.mesh import Tile
from dataflow.array.output_stationary_cells import OutputStationaryCells
from dataflow.array.shape import Shape
from hw.core.registers import delayed
from hw.core.rows import any_of
from hw.core.unit import Unit, place
from pe.base import PE
from pe.block import Block
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum

__all__ = ["OutputStationaryBlock", "OutputStationaryBlocks", "in_blocks"]


def in_blocks(shape: Shape, pe: PE) -> Shape:
    """The shape of an array, its rows and columns counted in blocks of ``pe``.

    Raises
    ------
    ValueError
        If a tile is not made of whole blocks.
    """
    block = pe.block
    if not block:
        return shape
    for side, count in (("rows", block.rows), ("cols", block.cols)):
        if getattr(shape, f"tile_{side}") % count:
            raise ValueError(
                f"Array tile_{side} must be a multiple of {count} for {pe.name}, which keeps "
                f"{block.rows} x {block.cols} sums in one place, not {getattr(shape, f'tile_{side}')}"
            )
    return replace(
        shape,
        rows=shape.rows // block.rows,
        cols=shape.cols // block.cols,
        tile_rows=shape.tile_rows // block.rows,
        tile_cols=shape.tile_cols // block.cols,
    )


class OutputStationaryBlock(Unit):
    """One block: adds the products of a step to its sums, and hands over a word for each after the last.

    Words go through a register that its reset input keeps at 0 unless it is their turn.

    Ports
    -----
    act, weight : In
        Operands of this cycle.
    control : In(2 and one a row with ``hold``, else 3)
        From the low bit: last, the operands are the last of their sums; quiet, they are not; valid, they count (which
        last implies). With ``hold``: last, valid, and for each row whether it is not its turn in the next cycle.
    below : Out(sums * word bits)
        The words; those of a row in the cycle of its turn, otherwise 0.

    Parameters
    ----------
    pe, accumulator
        What is added, and what is kept of it.
    hold : bool
        Keep the words until it is their turn; otherwise it is when they are there.
    """

    def __init__(self, *, pe: PE, accumulator: Accumulator | FloatSum, hold: bool) -> None:
        self.pe = pe
        self.block = block = block_of(pe)
        self.accumulator = accumulator
        self.hold = hold
        super().__init__(
            {
                "act": In(pe.row_bits),
                "weight": In(pe.column_bits),
                "control": In(2 + (block.rows if hold else 1)),
                "below": Out(block.sums * block.word_bits(accumulator)),
            }
        )

    @property
    def name(self) -> str:
        return f"{self.pe.name_with(self.accumulator)}_os_block{'_hold' if self.hold else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        block, latency = self.block, self.pe.latency
        core = place(m, "core", block.core(self.accumulator))
        last = delayed(m, self.control[0], latency, name="last", init=1)
        valid = delayed(m, self.control[1 if self.hold else 2], latency, name="valid", init=0)
        # after a reset, last makes the next operands the first of their sums
        again = Signal(reset_less=True)
        with m.If(valid):
            m.d.sync += again.eq(1)
        with m.If(last):
            m.d.sync += again.eq(0)
        words = core.words
        if self.hold:
            quiets = self.control[2:]
            words = Signal.like(core.words, name="held", reset_less=True)
            with m.If(delayed(m, last, 1, name="ended", init=0)):
                m.d.sync += words.eq(core.words)
        else:
            quiets = delayed(m, self.control[1], latency + 1, name="quiet", init=1)
        m.d.comb += [core.act.eq(self.act), core.weight.eq(self.weight), core.valid.eq(valid), core.again.eq(again)]
        rows = []
        for row in range(block.rows):
            below = Signal(len(words) // block.rows, name=f"below_{row}", reset_less=True)
            m.d.sync += below.eq(words.word_select(row, len(below)))
            with m.If(quiets[row]):
                m.d.sync += below.eq(0)
            rows.append(below)
        m.d.comb += self.below.eq(Cat(rows))
        return m


@dataclass(frozen=True, kw_only=True)
class OutputStationaryBlocks(OutputStationaryCells):
    """Tiles of blocks, whose `shape` is counted in blocks; ``below`` carries the words of one row at a time.

    Words become sums where they leave the array, once for each column of blocks.
    """

    @property
    def block(self) -> Block:
        """What stands in place of a cell."""
        return block_of(self.pe)

    @property
    def rows(self) -> int:
        return self.shape.tile_rows * self.block.rows

    @property
    def latency(self) -> int:
        return self.pe.latency + (3 if self.hold else 2)

    @property
    def turn_latency(self) -> int:
        return self.latency - 1

    @property
    def leave_latency(self) -> int:
        return 1 + self.block.finish(self.accumulator).latency

    @property
    def below_bits(self) -> int:
        return self.block.sums * self.block.word_bits(self.accumulator)

    def cell(self, row: int) -> Unit:
        return OutputStationaryBlock(pe=self.pe, accumulator=self.accumulator, hold=self.hold)

    def cell_control(self, control: Value, row: int) -> Value:
        return Cat(control[:2], control[2:].word_select(row, self.block.rows)) if self.hold else control

    def join_cells(self, m: Module, tile: Tile, column: int, cells: list[Unit]) -> Value:
        return any_of(m, f"gather_{column}", [cell.below for cell in cells])

    def leave(self, m: Module, belows: list[Value]) -> Value:
        block, sums = self.block, []
        for column in range(self.shape.cols):
            name = f"gather_{column}"
            # of each band and row of its blocks, of which one at most is not 0
            words = [
                below.word_select(column, self.below_bits).word_select(row, self.below_bits // block.rows)
                for below in belows
                for row in range(block.rows)
            ]
            unpack = place(m, f"finish_{column}", block.finish(self.accumulator))
            m.d.comb += unpack.words.eq(delayed(m, any_of(m, name, words), 1, name=f"{name}_words"))
            if block.rows > 1:
                # a row that has one below it in its block leaves in the cycle before that
                over = [word[-len(unpack.above) :] for index, word in enumerate(words) if (index + 1) % block.rows]
                m.d.comb += unpack.above.eq(delayed(m, any_of(m, f"{name}_above", over), 2, name=f"{name}_above"))
            sums.append(unpack.sums)
        return Cat(sums)


def block_of(pe: PE) -> Block:
    """The block of a processing element that has one."""
    assert pe.block is not None, "elements without a block have cells"
    return pe.block
