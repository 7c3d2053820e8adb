"""Products of floats, posits and integers: significands multiplied, exponents added, sums exact in fixed point."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Value

from hw.align import shift_left
from hw.delay import delayed
from hw.narrow import keep
from hw.number import Number, assign, wire
from hw.rows import add_kept, multiply
from hw.select import SelectAdd, select
from hw.unit import place
from pe.base import PE, Core, Encoder, PEError
from pe.decode import spelled
from pe.float_operand import TABLE_BITS, FloatEncoder, FloatOperand
from pe.float_round import lowest_exponents, round_core
from sw_ref.accumulate import Accumulator
from sw_ref.fixed import Fixed
from sw_ref.float_sum import FloatSum
from sw_ref.formats import Int
from sw_ref.interval import Interval
from sw_ref.minifloat import Float
from sw_ref.posit import Posit

__all__ = ["FloatProduct"]


@dataclass(frozen=True, kw_only=True)
class FloatProduct(PE):
    """``sum = addend + sum over lanes of +-(significand * significand) << (exponent + exponent)``.

    A sum counts in units of both formats' last bits, and is exact. Edges take operands apart, see
    `pe.float_operand.FloatOperand`; a cell multiplies the significands by rows of adders, adds the exponents, and
    shifts the product by multiplexers of four. The last choice of two, the sign and the addition are one look-up table
    a bit, as a row of `hw.select.SelectAdd`.

    Parameters
    ----------
    pipeline : {0, 1, 2}
        Registers, and so the latency: one between product and shift; a second between shift and addition.
    """

    pipeline: int = 0

    family: ClassVar[str] = "float"
    summary: ClassVar[str] = "floats, posits and integers in any mix: significands multiplied, shifted, summed exactly"
    source: ClassVar[str] = "Kulisch, Computer Arithmetic and Validity (2008): exact sums of products in fixed point"

    def check(self) -> None:
        if all(isinstance(form, Int | Fixed) for form in (self.act, self.weight)):
            raise PEError(f"Family float takes a format that is no integer, not {self.act.name} x {self.weight.name}")
        for form in (self.act, self.weight):
            if form.bits > TABLE_BITS and not isinstance(form, Int | Fixed | Float | Posit):
                raise PEError(
                    f"Family float takes integers, floats and posits of more than {TABLE_BITS} bits, not {form.name}"
                )
        if not isinstance(self.pipeline, int) or isinstance(self.pipeline, bool) or self.pipeline not in (0, 1, 2):
            raise PEError(f"Option pipeline must be 0, 1 or 2, not {self.pipeline!r}")

    @cached_property
    def row(self) -> FloatOperand:
        """Layout of a row's operand."""
        return FloatOperand(form=self.act, lanes=self.lanes)

    @cached_property
    def column(self) -> FloatOperand:
        """Layout of a column's operand."""
        return FloatOperand(form=self.weight, lanes=self.lanes)

    @property
    def name(self) -> str:
        formats = f"{self.family}_{spelled(self.act)}_{spelled(self.weight)}"
        lanes = f"_x{self.lanes}" if self.lanes > 1 else ""
        return formats + lanes + (f"_p{self.pipeline}" if self.pipeline else "")

    @property
    def row_bits(self) -> int:
        return self.row.bits

    @property
    def column_bits(self) -> int:
        return self.column.bits

    @property
    def product(self) -> Interval:
        """What a product can be, in units of the last bit; that of a masked lane apart, which is 0."""
        return self.row.parts.interval * self.column.parts.interval

    @property
    def term(self) -> Interval:
        return self.product.sum_of(self.lanes)

    @property
    def latency(self) -> int:
        return self.pipeline

    def row_encoder(self, *, masked: bool) -> Encoder:
        return FloatEncoder(form=self.act, lanes=self.lanes, masked=masked)

    def column_encoder(self) -> Encoder:
        return FloatEncoder(form=self.weight, lanes=self.lanes, masked=False)

    @property
    def lowest(self) -> tuple[int, int]:
        return lowest_exponents(self)

    def core(self, accumulator: Accumulator | FloatSum) -> Core:
        if isinstance(accumulator, FloatSum):
            return round_core(self, accumulator)
        return _AlignAdd(pe=self, accumulator=accumulator)


@dataclass(frozen=True, kw_only=True)
class _Term:
    """A lane's product, one choice before its place: ``+-(word << places if far else word)``."""

    word: Value
    far: Value
    negative: Value


class _AlignAdd(Core):
    """A chain of rows, one for each lane, and the addition to the running sum."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        addend = Number(self.addend.as_signed())
        terms = [self._term(m, lane) for lane in range(self.pe.lanes)]
        if len(terms) == 1:
            exact = self.accumulator.overflow == "saturate"
            total = addend.interval + self._added if exact else self.accumulator.interval
            kept = keep(self._row(m, 0, addend, terms[0], total), self.accumulator)
        else:
            first = select(
                m, "first", self._table(terms[0]), terms[0].far, None, terms[0].negative, word_bits=self._bits, lut=6
            )
            # a complement is 1 less than the negative, which the last addition makes up for
            running = wire(m, "row_0", Number(first, self._added | (self._added - 1)))
            for lane, term in enumerate(terms[1:], start=1):
                running = self._row(m, lane, running, term, running.interval + self._added)
            kept = add_kept(m, "total", addend, running, terms[0].negative, self.accumulator)
        m.d.comb += assign(self.sum.as_signed(), kept)
        return m

    @property
    def _added(self) -> Interval:
        """What a lane adds."""
        return self.pe.product | 0

    @property
    def _bits(self) -> int:
        """Width of a shifted product with a bit for its sign."""
        return 1 + self._largest.bit_length() + self._most

    @property
    def _largest(self) -> int:
        """The largest product of significands."""
        return self.pe.row.parts.significand * self.pe.column.parts.significand

    @property
    def _most(self) -> int:
        """The longest shift."""
        return self.pe.row.parts.exponent + self.pe.column.parts.exponent

    @property
    def _places(self) -> int:
        """How far the last choice shifts."""
        return 1 << self._most.bit_length() - 1 if self._most else 0

    def _term(self, m: Module, lane: int) -> _Term:
        pe = self.pe
        act, weight = pe.row.lane(self.act, lane), pe.column.lane(self.weight, lane)
        wide, narrow = sorted((act.significand, weight.significand), key=lambda number: -len(number.value))
        product = wire(m, f"product_{lane}", multiply(m, f"product_{lane}", wide, narrow))
        exponent = wire(m, f"exponent_{lane}", act.exponent + weight.exponent)
        word, by, negative = (
            delayed(m, value, min(pe.pipeline, 1), name=f"{name}_{lane}")
            for value, name in (
                (product.value, "product"),
                (exponent.value, "exponent"),
                (act.negative ^ weight.negative, "negative"),
            )
        )
        word = shift_left(m, f"shift_{lane}", word, by[:-1])
        word, far, negative = (
            delayed(m, value, max(pe.pipeline - 1, 0), name=f"{name}_{lane}")
            for value, name in ((word, "word"), (by[-1], "far"), (negative, "sign"))
        )
        return _Term(word=word, far=far, negative=negative)

    def _table(self, term: _Term) -> Value:
        """The two words that are chosen from."""
        near, far = Cat(term.word, Const(0, self._bits)), Cat(Const(0, self._places), term.word, Const(0, self._bits))
        return Cat(near[: self._bits], far[: self._bits])

    def _row(self, m: Module, lane: int, x: Number, term: _Term, total: Interval) -> Number:
        """``x`` and a lane's product."""
        row = SelectAdd(
            x_bits=len(x.value), words=2, word_bits=self._bits, or_zero=False, lut=6, sum_bits=total.signed_bits
        )
        place(m, f"row_{lane}", row)
        m.d.comb += [
            row.x.eq(x.value),
            row.table.eq(self._table(term)),
            row.key.eq(term.far),
            row.negate.eq(term.negative),
        ]
        return Number(row.sum, total)
