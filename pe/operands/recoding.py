"""Signed digits of weights: how each format is recoded once a column, and what a cell then adds."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Mux, Value

from hw.integer.digits import Digit
from sw_ref.formats.base import Format, Int
from sw_ref.formats.signs import SignedPowers, Ternary

__all__ = ["RECODINGS", "Digits", "booth4", "digits_of"]


@dataclass(frozen=True, kw_only=True)
class Digits(ABC):
    """A weight as ``sum over i of digit_i * 2**(i * places)``.

    Parameters
    ----------
    count : int
        Digits of a weight.
    places : int
        Bits from one digit to the next.
    digit : Digit
        What a digit can be, and how it is written.
    """

    count: int
    places: int
    digit: Digit

    @property
    def bits(self) -> int:
        """Width of all digits."""
        return self.count * self.digit.bits

    @abstractmethod
    def recode(self, code: Value) -> list[Value]:
        """The digits of a weight's code, lowest first, as `hw.integer.digits.Digit` writes them."""


@dataclass(frozen=True, kw_only=True)
class _Booth4(Digits):
    """Digit i is ``weight[2i-1] + weight[2i] - 2 * weight[2i+1]``: -2 to 2."""

    def recode(self, code: Value) -> list[Value]:
        return booth4(code, self.count, below=Const(0, 1))


@dataclass(frozen=True, kw_only=True)
class _Csd(Digits):
    """Digit i is ``weight[i] + carry[i] - 2 * carry[i+1]``: -1 to 1, no two neighbours other than 0.

    ``carry[i+1]`` is the majority of ``weight[i]``, ``weight[i+1]`` and ``carry[i]``.
    """

    def recode(self, code: Value) -> list[Value]:
        carry, recoded = Const(0, 1), []
        for index in range(self.count):
            bit, following = _bit(code, index), _bit(code, index + 1)
            one = bit ^ carry
            recoded.append(Cat(one, one & following))
            carry = (bit & following) | (carry & (bit | following))
        return recoded


@dataclass(frozen=True, kw_only=True)
class _Trit(Digits):
    """The one digit is ``code[0] - code[1]``."""

    def recode(self, code: Value) -> list[Value]:
        return [Cat(code[0] ^ code[1], code[1])]


@dataclass(frozen=True, kw_only=True)
class _Powers(Digits):
    """Digit i is 0 or the power of two of field i, with the sign of them all."""

    def recode(self, code: Value) -> list[Value]:
        sign, bits = code[-1], (len(code) - 1) // self.count
        half = (1 << bits - 1) - 1
        recoded = []
        for index in range(self.count):
            field = code.word_select(index, bits)
            # of the shift, 0 to 2 * half, the far one is half, and the near ones are the rest in binary
            far = field > half + 1
            near = (field - 1 - Mux(far, half, 0))[: bits - 1]
            recoded.append(Cat((field != 0) & ~far, sign, far, near))
        return recoded


def _booth4_digits(weight: Int) -> Digits:
    return _Booth4(count=-(-_signed_bits(weight) // 2), places=2, digit=Digit(far=1))


def _csd_digits(weight: Int) -> Digits:
    return _Csd(count=_signed_bits(weight), places=1, digit=Digit())


RECODINGS = {"booth4": _booth4_digits, "csd": _csd_digits}
"""Ways to recode integers, by name."""


def digits_of(weight: Format, recoding: str) -> Digits | None:
    """How weights of a format are recoded, integers as told; None if they cannot be."""
    match weight:
        case Int():
            return RECODINGS[recoding](weight)
        case Ternary():
            return _Trit(count=1, places=1, digit=Digit())
        case SignedPowers(fields=count, field_bits=bits):
            # a field e is a shift by count * (e - 1): one of two by half of the largest, and the rest before it
            near = tuple(count << stage for stage in range(bits - 1))
            return _Powers(count=count, places=1, digit=Digit(far=count * ((1 << bits - 1) - 1), near=near))
    return None


def booth4(code: Value, count: int, *, below: Value) -> list[Value]:
    """The lowest radix-4 digits of ``code + below``, each -2 to 2, as `hw.integer.digits.Digit` writes them."""
    recoded = []
    for index in range(count):
        low, high = _bit(code, 2 * index), _bit(code, 2 * index + 1)
        one = low ^ below
        recoded.append(Cat(one, high, (high ^ low) & ~one))
        below = high
    return recoded


def _signed_bits(weight: Int) -> int:
    # an unsigned weight has a sign bit that is 0
    return weight.bits + (not weight.signed)


def _bit(code: Value, index: int) -> Value:
    """Bit of an integer of any width."""
    beyond = code[-1] if code.shape().signed else Const(0, 1)
    return code[index] if index < len(code) else beyond
