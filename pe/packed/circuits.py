"""The circuits of packed products: encoder, core, and what makes sums of their words; see `pe.packed.packing`."""

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed

from hw.core.narrow import wrap
from hw.core.number import Number, assign, wire
from hw.core.rows import ignored
from hw.core.unit import place
from hw.integer.multiply_accumulate import MultiplyAccumulate
from pe.base import Encoder
from pe.block import BlockCore, BlockFinish
from pe.integer import integer_lane
from pe.packed.packing import Packing, fields_of
from sw_ref.formats.base import Int
from sw_ref.interval import Interval

__all__ = ["PackedCodes", "PackedCore", "PackedFinish"]


class PackedCodes(Encoder):
    """Packs the codes of several rows, or columns: their fields side by side, see `pe.packed.packing.fields_of`.

    Parameters
    ----------
    form : Int
        Of the codes.
    count : int
        How many there are.
    """

    def __init__(self, *, form: Int, count: int) -> None:
        self.form = form
        bits = sum(field.bits for field in fields_of(form.interval, count))
        super().__init__(bits=form.bits, lanes=count, operand_bits=bits, masked=False)

    @property
    def name(self) -> str:
        return f"codes_{self.lanes}x{self.form.name}_packed"

    def circuit(self, platform: object) -> Module:
        m = Module()
        fields = []
        for lane in range(self.lanes):
            field = integer_lane(self.codes, lane, self.form)
            if fields and fields[-1].interval.signed:
                field -= Number(fields[-1].value[-1])
            fields.append(wire(m, f"field_{lane}", field))
        m.d.comb += self.operand.eq(Cat(field.value for field in fields))
        return m


class PackedCore(BlockCore[Packing]):
    """One `hw.integer.multiply_accumulate.MultiplyAccumulate`, and a counter for each lane but the highest."""

    @property
    def name(self) -> str:
        block = self.block
        return f"{block.name}_{block.multiplier}_r{block.registers}_{self.accumulator.name}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        block = self.block
        widths = block.word_widths(self.accumulator)
        spacing = block.spacing
        dsp = place(m, "dsp", MultiplyAccumulate(**block.ports(self.accumulator), registers=block.registers))
        of_row, of_column = block.operands
        row = _placed(self.act, fields_of(block.act.interval, block.rows), block.cols * spacing, of_row)
        column = _placed(self.weight, fields_of(block.weight.interval, block.cols), spacing, of_column)
        wide, narrow = (row, column) if of_row.signed_bits >= of_column.signed_bits else (column, row)
        starts = Signal()
        m.d.comb += [
            assign(dsp.a, wide),
            assign(dsp.b, narrow),
            dsp.enable.eq(self.valid),
            dsp.again.eq(self.again),
            starts.eq(self.valid & ~self.again),
        ]
        words = []
        for lane, width in enumerate(widths):
            top = lane == block.sums - 1
            seen = dsp.p[lane * spacing :] if top else dsp.p[lane * spacing : (lane + 1) * spacing]
            missing = width - len(seen)
            whole = seen[:width] if missing <= 0 else Cat(seen, _wraps(m, lane, seen[-2:], missing, starts))
            word = Signal(signed(block.word_bits(self.accumulator)), name=f"word_{lane}")
            m.d.comb += assign(word, Number(whole.as_signed()))
            ignored(m, f"lane_{lane}", seen[width:])
            words.append(word)
        m.d.comb += self.words.eq(Cat(words))
        return m


class PackedFinish(BlockFinish[Packing]):
    """``S[l] = T[l] - floor(T[l - 1] / 2**spacing)``, for the columns of a row."""

    @property
    def name(self) -> str:
        block, word = self.block, self.block.word_bits(self.accumulator)
        return f"unpack_{block.cols}x{word}_by_{block.spacing}_{self.accumulator.name}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        bits = self.accumulator.bits
        words = [
            Value.cast(self.words.word_select(index, len(self.words) // self.block.cols))
            for index in range(self.block.cols)
        ]
        carries = [self.above, *(word[-len(self.above) :] for word in words[:-1])]
        sums = []
        for column, (word, carry) in enumerate(zip(words, carries, strict=True)):
            total = Signal(signed(bits), name=f"sum_{column}", reset_less=True)
            m.d.sync += assign(total, wrap(Number(word.as_signed()) - Number(carry.as_signed()), bits))
            sums.append(total)
        ignored(m, "last", words[-1][bits:])
        m.d.comb += self.sums.eq(Cat(sums))
        return m


def _placed(operand: Value, fields: list[Interval], spacing: int, interval: Interval) -> Number:
    """The fields of ``operand`` at their places, the first in the low bits."""
    parts = []
    for index, field in enumerate(fields):
        part, operand = operand[: field.bits], operand[field.bits :]
        if index < len(fields) - 1:
            beyond = part[-1] if field.signed else Const(0, 1)
            part = Cat(part, beyond.replicate(spacing - field.bits))
        parts.append(part)
    placed = Cat(parts)
    return Number(placed.as_signed() if fields[-1].signed else placed, interval)


def _wraps(m: Module, lane: int, highest: Value, bits: int, starts: Value) -> Value:
    """How often a lane has wrapped around since the sum began, up less down, with what it does now.

    ``highest`` are the two highest bits of the lane.
    """
    before = Signal(2, name=f"before_{lane}", reset_less=True)
    count = Signal(bits, name=f"wraps_{lane}", reset_less=True)
    up, down = Signal(name=f"up_{lane}"), Signal(name=f"down_{lane}")
    now = Signal(bits, name=f"wraps_now_{lane}")
    m.d.comb += [
        up.eq((before == 0b11) & (highest == 0b00)),
        down.eq((before == 0b00) & (highest == 0b11)),
        now.eq((count + Cat(up | down, down).as_signed())[:bits]),
    ]
    m.d.sync += [before.eq(highest), count.eq(now)]
    with m.If(starts):
        m.d.sync += [before.eq(0), count.eq(0)]
    return now
