"""Cells whose sums are floats: exact products of two operands in parts, added as a `FloatSum` says."""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

from amaranth.hdl import Module, Value

from hw.core.number import Number, wire
from hw.core.registers import delayed
from hw.core.stages import Step, run_steps, side_by_side
from hw.core.unit import Unit, place
from hw.float.aligned_add import AlignedAdd, largest_steps
from hw.float.fused_add import FusedAdd
from hw.float.partial_add import PartialAdd, PartialFinish
from pe.base import Core, PEError
from pe.float.product import product_parts
from pe.operands.parts import FloatOperand
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import AlignedSum, FloatSum, PartialSum, RoundedSum
from sw_ref.formats.minifloat import Float
from sw_ref.interval import Interval

if TYPE_CHECKING:
    from pe.float.family import FloatProduct

__all__ = ["finish_unit", "lowest_exponents", "round_core"]


def round_core(pe: "FloatProduct", sums: FloatSum) -> Core:
    """The core of ``pe``, a `pe.float.family.FloatProduct`, whose ``addend`` and ``sum`` are codes of ``sums``.

    Raises
    ------
    PEError
        If ``sums`` does not hold the products.
    """
    if isinstance(sums, PartialSum):
        form = _ProductForm.of(pe)
        if form.bits > sums.significand:
            raise PEError(
                f"Significand must be of {form.bits} bits at least, for exact products, not {sums.significand}"
            )
        if form.lowest < -sums.bias:
            raise PEError(f"Exponents of products must be at least -{sums.bias}, not {form.lowest}")
    return _FloatSumCore(pe=pe, accumulator=sums)


def finish_unit(sums: Accumulator | FloatSum, *, pipeline: int) -> Unit | None:
    """What turns ``sum`` into ``code``, of `FloatSum.shape`, once a column; None if it is that already.

    Its latency is ``pipeline``, the number of its register stages.
    """
    return PartialFinish(sums=sums, pipeline=pipeline) if isinstance(sums, PartialSum) else None


def lowest_exponents(pe: "FloatProduct") -> tuple[int, int]:
    """What `FloatSum.sums` is to be told of the formats: the exponents that numbers with leading zeros share."""
    return _lowest(pe.row), _lowest(pe.column)


@dataclass(frozen=True, kw_only=True)
class _ProductForm:
    """What products of significands and sums of exponents can be.

    Attributes
    ----------
    bits : int
        Width of a product whose top bit counts 2.
    largest : int
        The largest product.
    slack : int
        How far below the top bit of ``largest`` the leading bit of any other than 0 can be.
    exponent : int
        The largest sum of both exponents; the least is 0.
    lowest : int
        The exponent that this 0 stands for, that of the bit that counts 1.
    """

    bits: int
    largest: int
    slack: int
    exponent: int
    lowest: int

    @classmethod
    def of(cls, pe: "FloatProduct") -> "_ProductForm":
        row, column = pe.row.parts, pe.column.parts
        largest = row.significand * column.significand
        least = (row.significand_bits - 1 - _slack(pe.row)) + (column.significand_bits - 1 - _slack(pe.column))
        return cls(
            bits=row.significand_bits + column.significand_bits,
            largest=largest,
            slack=largest.bit_length() - 1 - least,
            exponent=row.exponent + column.exponent,
            lowest=sum(lowest_exponents(pe)),
        )


class _FloatSumCore(Core["FloatProduct", FloatSum]):
    """Multiplies significands by rows of adders, adds exponents, and leaves the rest to the addition.

    Of the register stages that lie between ``addend`` and ``sum``, one less than `PE.interleave`, lanes that are added
    one after the other have equal shares.
    """

    @property
    def name(self) -> str:
        return f"{self.pe.name}_{self.accumulator.name}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe = self.pe
        parts, steps = zip(
            *(product_parts(m, lane, pe.row, pe.column, self.act, self.weight) for lane in range(pe.lanes)), strict=True
        )
        at, form = SimpleNamespace(parts=list(parts)), _ProductForm.of(pe)
        at_once = isinstance(self.accumulator, AlignedSum)
        first = [Step(0, _mark)] if at_once else []
        run_steps(m, at, [*first, *side_by_side(steps), *self._ready(form)], registers=pe.pipeline)
        m.d.comb += self.sum.eq((self._at_once if at_once else self._in_turn)(m, at, form))
        return m

    def _ready(self, form: _ProductForm) -> list[Step]:
        """Steps of what does not depend on the running sum."""
        if isinstance(self.accumulator, AlignedSum):
            return largest_steps(lanes=self.pe.lanes, exponent=form.exponent, offset=self._offset(form))
        return [Step(3, partial(_bias, exponents=self._exponents(form)))]

    def _offset(self, form: _ProductForm) -> int:
        """What makes of a sum of exponents that of a product, biased as the sum's is."""
        match self.accumulator:
            case RoundedSum(shape=shape):
                # from the bit that counts 1 to the top bit
                return form.lowest - (form.bits - 2) + form.largest.bit_length() - 1 + shape.bias
            case PartialSum() as sums:
                return form.lowest + sums.bias
            case AlignedSum() as sums:
                return form.lowest + sums.shape.bias
        raise _unknown(self.accumulator)

    def _exponents(self, form: _ProductForm) -> Interval:
        """Of products, biased as the sum's are."""
        return Interval(0, form.exponent) + Interval(self._offset(form), self._offset(form))

    def _adder(self, form: _ProductForm, *, pipeline: int) -> FusedAdd | PartialAdd:
        """What adds the product of one lane."""
        exponents = self._exponents(form)
        match self.accumulator:
            case RoundedSum(shape=shape):
                return FusedAdd(
                    shape=shape,
                    product_bits=form.largest.bit_length(),
                    slack=form.slack,
                    exponents=exponents,
                    pipeline=pipeline,
                )
            case PartialSum() as sums:
                return PartialAdd(sums=sums, product_bits=form.bits, exponents=exponents, pipeline=pipeline)
        raise _unknown(self.accumulator)

    def _in_turn(self, m: Module, at: SimpleNamespace, form: _ProductForm) -> Value:
        """Lane after lane."""
        running: Value = self.addend
        stages, lanes = self.pe.interleave - 1, len(at.parts)
        before = [stages * lane // lanes for lane in range(lanes + 1)]
        for lane, product in enumerate(at.parts):
            unit = place(m, f"add_{lane}", self._adder(form, pipeline=before[lane + 1] - before[lane]))
            operands = {"product": product.significand, "exponent": product.biased, "negative": product.negative}
            for port, value in operands.items():
                m.d.comb += getattr(unit, port).eq(delayed(m, value, before[lane], name=f"{port}_{lane}_wait"))
            m.d.comb += unit.addend.eq(running)
            running = unit.sum
        return running

    def _at_once(self, m: Module, at: SimpleNamespace, form: _ProductForm) -> Value:
        """All lanes in one addition."""
        assert isinstance(self.accumulator, AlignedSum)
        unit = AlignedAdd(
            sums=self.accumulator,
            lanes=len(at.parts),
            product_bits=form.bits,
            exponent=form.exponent,
            offset=self._offset(form),
            pipeline=self.pe.interleave - 1,
        )
        place(m, "add", unit)
        for lane, product in enumerate(at.parts):
            m.d.comb += [
                unit.product.word_select(lane, unit.product_bits).eq(product.significand),
                unit.exponent.word_select(lane, unit.exponent_bits).eq(product.exponent),
                unit.negative[lane].eq(product.negative),
            ]
        m.d.comb += [unit.largest.eq(at.largest), unit.biased.eq(at.biased)]
        m.d.comb += unit.addend.eq(self.addend)
        return unit.sum


def _unknown(sums: FloatSum) -> TypeError:
    return TypeError(f"Sums must be rounded, aligned or partial, not {type(sums).__name__}")


def _mark(_m: Module, at: SimpleNamespace) -> None:
    """Which products are not 0, which operands say long before the products do."""
    for part in at.parts:
        part.there = part.multiplicand.value.any() & part.multiplier.value.any()


def _bias(m: Module, at: SimpleNamespace, *, exponents: Interval) -> None:
    """The exponents of products, biased as those of sums are."""
    for lane, part in enumerate(at.parts):
        unbiased = Number(part.exponent, Interval(0, exponents.hi - exponents.lo))
        part.biased = wire(m, f"biased_{lane}", unbiased + Number.constant(exponents.lo)).value


def _lowest(operand: FloatOperand) -> int:
    """The exponent of the top bit of a significand, where the operand's exponent is 0."""
    return operand.parts.lsb + operand.parts.significand_bits - 1


def _slack(operand: FloatOperand) -> int:
    """How far the leading bit of a significand other than 0 can be below the top bit."""
    normal = isinstance(operand.form, Float) and operand.form.lowest != "subnormal"
    return 0 if normal else operand.parts.significand_bits - 1
