"""Shift-add: weights are recoded to signed digits at the columns' edges, and cells add shifted activations."""

from dataclasses import dataclass
from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed

from hw.narrow import keep
from hw.number import Number, assign, wire
from hw.rows import multiply_digits
from pe.base import Core, Encoder, PEError
from pe.integer import IntegerPE, integer_lane
from sw_ref.accumulate import Accumulator
from sw_ref.formats import Int
from sw_ref.interval import Interval

__all__ = ["ShiftAdd"]

# Bits of a digit, and bits from one digit to the next.
_DIGIT_BITS = {"csd": 2, "booth4": 3}
_DIGIT_PLACES = {"csd": 1, "booth4": 2}


@dataclass(frozen=True, kw_only=True)
class ShiftAdd(IntegerPE):
    """``sum = addend + sum over lanes and digits i of digit_i(weight) * act * 2**(i * places)``.

    A cell holds one row of adders for each digit, and no more logic than fits into the row's look-up tables.

    Parameters
    ----------
    recoding : {"booth4", "csd"}
        Digits of a weight. ``booth4``: -2 to 2, one for two bits (Booth, radix 4). ``csd``: -1 to 1, one for each
        bit, no two neighbours other than 0 (canonical signed digit). Plain binary digits are what family mac adds.
    """

    recoding: str = "booth4"

    family: ClassVar[str] = "shift_add"
    summary: ClassVar[str] = "shift-add, signed digits of the weight recoded once a column"
    source: ClassVar[str] = "MixPE (arXiv 2411.16158); Booth 1951, MacSorley 1961; Reitwiesner 1960"

    def check(self) -> None:
        super().check()
        if not 2 <= self.weight.bits <= 8:
            raise PEError(f"Family shift_add takes weights of 2 to 8 bits, not {self.weight.name}")
        if self.recoding not in _DIGIT_BITS:
            raise PEError(f"Option recoding must be one of {', '.join(_DIGIT_BITS)}, not {self.recoding!r}")

    @property
    def name(self) -> str:
        return f"{super().name}_{self.recoding}"

    @property
    def digits(self) -> int:
        """Digits of a weight."""
        # an unsigned weight has a sign bit that is 0
        bits = self.weight.bits + (not self.weight.signed)
        return -(-bits // _DIGIT_PLACES[self.recoding])

    @property
    def column_bits(self) -> int:
        return self.lanes * self.digits * _DIGIT_BITS[self.recoding]

    def column_encoder(self) -> Encoder:
        return _Recoder(weight=self.weight, lanes=self.lanes, recoding=self.recoding, digits=self.digits)

    def core(self, accumulator: Accumulator) -> Core:
        return _ShiftAdd(pe=self, accumulator=accumulator)


class _Recoder(Encoder):
    """Codes of weights to signed digits, lowest first, as `hw.rows.DigitAdd` takes them."""

    def __init__(self, *, weight: Int, lanes: int, recoding: str, digits: int) -> None:
        self.weight = weight
        self.recoding = recoding
        self.digits = digits
        operand_bits = lanes * digits * _DIGIT_BITS[recoding]
        super().__init__(bits=weight.bits, lanes=lanes, operand_bits=operand_bits, masked=False)

    @property
    def name(self) -> str:
        return f"{self.recoding}_{self.lanes}x{self.weight.name}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        recode = {"booth4": _booth4, "csd": _csd}[self.recoding]
        digits = []
        for lane in range(self.lanes):
            code = self.codes.word_select(lane, self.bits)
            # both recodings look a bit beyond their last digit
            extended = Signal(signed(2 * self.digits + 1), name=f"weight_{lane}")
            m.d.comb += extended.eq(code.as_signed() if self.weight.signed else code)
            digits += recode(m, extended, self.digits)
        m.d.comb += self.operand.eq(Cat(digits))
        return m


def _booth4(m: Module, weight: Value, digits: int) -> list[Value]:
    """Digit i is ``weight[2i-1] + weight[2i] - 2 * weight[2i+1]``."""
    recoded = []
    for index in range(digits):
        below = weight[2 * index - 1] if index else Const(0, 1)
        low, high = weight[2 * index], weight[2 * index + 1]
        one = low ^ below
        recoded.append(Cat(one, high, (high ^ low) & ~one))
    return recoded


def _csd(m: Module, weight: Value, digits: int) -> list[Value]:
    """Digit i is ``weight[i] + carry[i] - 2 * carry[i+1]``.

    ``carry[i+1]`` is the majority of ``weight[i]``, ``weight[i+1]`` and ``carry[i]``.
    """
    carries = Signal(digits + 1, name="carries")
    recoded = []
    for index in range(digits):
        bit, following, carry = weight[index], weight[index + 1], carries[index]
        m.d.comb += carries[index + 1].eq((bit & following) | (carry & (bit | following)))
        one = bit ^ carry
        recoded.append(Cat(one, one & following))
    return recoded


class _ShiftAdd(Core):
    """A chain of rows for each lane; the carry of its lowest row goes into the next addition."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe = self.pe
        running, accumulator = Number(self.addend.as_signed()), self.accumulator
        digit_bits = _DIGIT_BITS[pe.recoding]
        for lane in range(pe.lanes):
            act = integer_lane(self.act, lane, pe.act)
            column = self.weight.word_select(lane, pe.digits * digit_bits)
            product, carry = multiply_digits(
                m,
                f"product_{lane}",
                act,
                [column.word_select(index, digit_bits) for index in range(pe.digits)],
                places=_DIGIT_PLACES[pe.recoding],
                product=pe.act.interval * pe.weight.interval,
            )
            running = _add_with_carry(m, f"sum_{lane}", running, product, carry)
        m.d.comb += assign(self.sum.as_signed(), keep(running, accumulator))
        return m


def _add_with_carry(m: Module, name: str, x: Number, y: Number, carry: Value) -> Number:
    """``x + y + carry`` on one carry chain: the carry stands below the lowest bit of both."""
    exact = x.interval + y.interval + Interval(0, 1)
    total = Cat(carry, x.value).as_signed() + Cat(carry, y.value).as_signed()
    return wire(m, name, Number(total[1:].as_signed(), exact))
