"""Products of floats, posits and integers: significands multiplied, exponents added, sums exact in fixed point."""

from dataclasses import dataclass
from functools import cached_property, partial
from types import SimpleNamespace
from typing import Annotated, ClassVar

from amaranth.hdl import Cat, Const, Module, Value

from hw.core.naming import format_name
from hw.core.narrow import keep
from hw.core.number import Number, assign, wire
from hw.core.select import SelectAdd, select
from hw.core.stages import Step, run_steps, side_by_side
from hw.core.unit import place
from hw.integer.align import left_steps
from hw.integer.halves import add_long
from pe.base import Core, Encoder, PEError
from pe.float.product import product_parts
from pe.float.rounded import lowest_exponents, round_core
from pe.operands.parts import TABLE_BITS, FloatEncoder, FloatOperand
from pe.pipelined import Pipelined
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum
from sw_ref.fields import Range
from sw_ref.formats.base import Int
from sw_ref.formats.fixed import Fixed
from sw_ref.formats.minifloat import Float
from sw_ref.formats.posit import Posit
from sw_ref.interval import Interval

__all__ = ["FloatProduct"]

# Bits of a sum from which on nothing else fits into the cycle of its addition.
_LONG = 64


@dataclass(frozen=True, kw_only=True)
class FloatProduct(Pipelined):
    """``sum = addend + sum over lanes of +-(significand * significand) << (exponent + exponent)``.

    A sum counts in units of both formats' last bits, and is exact. Edges take operands apart, see
    `pe.operands.parts.FloatOperand`; a cell multiplies the significands by rows of adders, adds the exponents, and
    shifts the product by multiplexers of four. The last choice of two, the sign and the addition are one look-up table
    a bit, as a row of `hw.core.select.SelectAdd`.

    Parameters
    ----------
    pipeline : int
        See `pe.pipelined.Pipelined`. Sums that are floats have stages in front of what depends on the running sum.
    interleave : int
        Sums that are floats and that a cell keeps, from 1 to 32: there are so many register stages between a sum and
        the next, and each belongs to another one.
    """

    interleave: Annotated[int, Range(1, 32)] = 1

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
        formats = f"{self.family}_{format_name(self.act)}_{format_name(self.weight)}"
        lanes = f"_x{self.lanes}" if self.lanes > 1 else ""
        turns = f"_i{self.interleave}" if self.interleave > 1 else ""
        return formats + lanes + self.staged + turns

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
    def halves(self) -> bool:
        return self.pipeline > 0

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
        if self.interleave > 1:
            raise PEError(f"Option interleave must be 1 for sums that are exact, not {self.interleave}")
        return _AlignAdd(pe=self, accumulator=accumulator)


class _AlignAdd(Core[FloatProduct, Accumulator]):
    """A chain of rows, one for each lane, and the addition to the running sum.

    A lane's term is one choice before its place: ``+-(word << places if far else word)``.
    """

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe = self.pe
        parts, products = zip(
            *(product_parts(m, lane, pe.row, pe.column, self.act, self.weight) for lane in range(pe.lanes)), strict=True
        )
        at = SimpleNamespace(parts=list(parts))
        lanes = [[*product, *self._shifts(lane)] for lane, product in enumerate(products)]
        steps = side_by_side(lanes)
        # a long carry chain leaves no time for a choice in front of it, but a register does
        apart = pe.lanes > 1 or (pe.pipeline > 0 and self.accumulator.bits > _LONG)
        if apart:
            rows = (Step(2, partial(self._next, lane=lane)) for lane in range(1, pe.lanes))
            steps += [Step(1, self._first), *rows]
        run_steps(m, at, steps, registers=pe.pipeline)
        addend = Number(self.addend.as_signed())
        if apart:
            kept = add_long(m, "total", addend, at.running, at.carry, self.accumulator)
        else:
            exact = self.accumulator.overflow == "saturate"
            total = addend.interval + self._added if exact else self.accumulator.interval
            kept = keep(self._row(m, 0, addend, at.parts[0], total), self.accumulator)
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

    def _shifts(self, lane: int) -> list[Step]:
        """Steps that make of a lane's product its term."""

        def begin(_m: Module, at: SimpleNamespace) -> None:
            at.word, at.by, at.far = at.significand, at.exponent[:-1], at.exponent[-1]
            del at.significand, at.exponent

        return [Step(0, begin), *left_steps(f"shift_{lane}", self._places.bit_length() - 1)]

    def _table(self, term: SimpleNamespace) -> Value:
        """The two words that are chosen from."""
        near, far = Cat(term.word, Const(0, self._bits)), Cat(Const(0, self._places), term.word, Const(0, self._bits))
        return Cat(near[: self._bits], far[: self._bits])

    def _first(self, m: Module, at: SimpleNamespace) -> None:
        first = at.parts.pop(0)
        word = select(m, "first", self._table(first), first.far, None, first.negative, word_bits=self._bits, lut=6)
        # a complement is 1 less than the negative, which the last addition makes up for
        at.running = wire(m, "row_0", Number(word, self._added | (self._added - 1)))
        at.carry = first.negative

    def _next(self, m: Module, at: SimpleNamespace, *, lane: int) -> None:
        at.running = self._row(m, lane, at.running, at.parts.pop(0), at.running.interval + self._added)

    def _row(self, m: Module, lane: int, x: Number, term: SimpleNamespace, total: Interval) -> Number:
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
