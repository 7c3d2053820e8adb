"""Shift-add: weights are recoded to signed digits at the columns' edges, and cells add shifted activations."""

from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, ClassVar

from amaranth.hdl import Cat, Module

from hw.core.narrow import keep
from hw.core.number import Number, assign
from hw.core.rows import add_kept
from hw.core.stages import Step, run_steps
from hw.integer.digits import digit_steps
from pe.base import Core, Encoder, PEError
from pe.integer import IntegerPE, integer_lane
from pe.operands.recoding import RECODINGS, Digits, digits_of
from pe.pipelined import Pipelined
from sw_ref.arith.accumulate import Accumulator
from sw_ref.fields import OneOf
from sw_ref.formats.base import Format, Int
from sw_ref.interval import Interval

__all__ = ["ShiftAdd"]


@dataclass(frozen=True, kw_only=True)
class ShiftAdd(IntegerPE, Pipelined):
    """``sum = addend + sum over lanes and digits i of digit_i(weight) * act * 2**(i * places)``.

    A cell holds one row of adders for each digit, and no more logic than fits into the row's look-up tables. Ternary
    weights are one digit of -1 to 1, powers of two one that shifts further, sums of powers one for each of them.

    Parameters
    ----------
    recoding : {"booth4", "csd"}
        Digits of an integer weight. ``booth4``: -2 to 2, one for two bits (Booth, radix 4). ``csd``: -1 to 1, one for
        each bit, no two neighbours other than 0 (canonical signed digit). Plain binary digits are what family mac adds.
    pipeline : int
        See `pe.pipelined.Pipelined`; the steps are rows.
    """

    recoding: Annotated[str, OneOf(tuple(RECODINGS))] = "booth4"

    family: ClassVar[str] = "shift_add"
    summary: ClassVar[str] = "shift-add, signed digits of the weight recoded once a column"
    source: ClassVar[str] = "MixPE (arXiv 2411.16158); Booth 1951, MacSorley 1961; Reitwiesner 1960"

    if TYPE_CHECKING:
        # which is checked here, and not as options are
        act: Int

    def check(self) -> None:
        if not isinstance(self.act, Int):
            raise PEError(f"Family shift_add takes integer activations, not {self.act.name}")
        if isinstance(self.weight, Int):
            if self.weight.bits < 2:
                raise PEError(f"Family shift_add takes weights of 2 bits or more, not {self.weight.name}")
        elif digits_of(self.weight, self.recoding) is None:
            raise PEError(f"Family shift_add takes integers, ternary, pot or apot as weights, not {self.weight.name}")
        elif self.recoding != ShiftAdd.recoding:
            raise PEError(f"Option recoding is for integer weights, not for {self.weight.name}")

    @property
    def name(self) -> str:
        recoding = f"_{self.recoding}" if isinstance(self.weight, Int) else ""
        return super().name + recoding + self.staged

    @cached_property
    def digits(self) -> Digits:
        """What a weight is recoded to."""
        return _digits(self.weight, self.recoding)

    @property
    def column_bits(self) -> int:
        return self.lanes * self.digits.bits

    def column_encoder(self) -> Encoder:
        return _Recoder(weight=self.weight, lanes=self.lanes, recoding=self.recoding)

    def core(self, accumulator: Accumulator) -> Core:
        return _ShiftAdd(pe=self, accumulator=accumulator)


def _digits(weight: Format, recoding: str) -> Digits:
    digits = digits_of(weight, recoding)
    assert digits is not None, "the family takes no other weights"
    return digits


class _Recoder(Encoder):
    """Codes of weights to signed digits, lowest first."""

    def __init__(self, *, weight: Format, lanes: int, recoding: str) -> None:
        self.weight = weight
        self.recoding = recoding
        self.digits = _digits(weight, recoding)
        super().__init__(bits=weight.bits, lanes=lanes, operand_bits=lanes * self.digits.bits, masked=False)

    @property
    def name(self) -> str:
        kind = self.recoding if isinstance(self.weight, Int) else "digits"
        return f"{kind}_{self.lanes}x{self.weight.name}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        digits = []
        for lane in range(self.lanes):
            code = self.codes.word_select(lane, self.bits)
            digits += self.digits.recode(code.as_signed() if self._signed else code)
        m.d.comb += self.operand.eq(Cat(digits))
        return m

    @property
    def _signed(self) -> bool:
        return isinstance(self.weight, Int) and self.weight.signed


class _ShiftAdd(Core[ShiftAdd, Accumulator]):
    """One chain of rows through all lanes; the carry of its lowest row goes into the last addition."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe, accumulator = self.pe, self.accumulator
        addend = Number(self.addend.as_signed())
        at = self._operands()
        if pe.lanes * pe.digits.count == 1:
            # a single row adds to the sum itself
            run_steps(m, at, [], registers=pe.pipeline)
            at.sum = addend
            exact = accumulator.overflow == "saturate"
            total = addend.interval + pe.term if exact else accumulator.interval
            run_steps(m, at, self._steps(0, total), registers=0)
            kept = keep(at.sum, accumulator)
        else:
            # the lowest row lacks its carry
            product = pe.act.interval * pe.weight.fixed_form.interval
            totals = [product.sum_of(lane + 1) for lane in range(pe.lanes)]
            steps = [step for lane, total in enumerate(totals) for step in self._steps(lane, total | total - 1)]
            run_steps(m, at, steps, registers=pe.pipeline)
            kept = add_kept(m, "total", addend, at.sum, at.carry, accumulator)
        m.d.comb += assign(self.sum.as_signed(), kept)
        return m

    def _operands(self) -> SimpleNamespace:
        """What `hw.integer.digits.digit_steps` takes, for each lane."""
        at = SimpleNamespace()
        for lane in range(self.pe.lanes):
            setattr(at, f"product_{lane}_a", integer_lane(self.act, lane, self.pe.act))
            setattr(at, f"product_{lane}_digits", self.weight.word_select(lane, self.pe.digits.bits))
        return at

    def _steps(self, lane: int, total: Interval) -> list[Step]:
        """What adds the product of a lane; the sum is then within ``total``."""
        digits = self.pe.digits
        return digit_steps(f"product_{lane}", count=digits.count, form=digits.digit, places=digits.places, total=total)
