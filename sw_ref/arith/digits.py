"""Codes taken apart: into digits that are operands of their own, and into bit planes."""

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import Format, Int
from sw_ref.formats.signs import Bipolar

__all__ = ["Digit", "plane_weights", "planes", "split"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Digit:
    """One digit of every code of an operand: it adds ``weight * (value of the digit - zero_point)`` to a value.

    Parameters
    ----------
    codes : uint32 array, of the operand's shape
    format : Format
        What the digit's codes mean: unsigned, or bipolar if the operand is.
    weight : int
        A power of two.
    zero_point : int
    """

    codes: np.ndarray
    format: Format
    weight: int
    zero_point: int


def split(codes: ArrayLike, fmt: Format, *, digit_bits: int) -> tuple[Digit, ...]:
    """Digits of ``digit_bits`` bits whose sum is the value of each code, the lowest digit first.

    An int8 w becomes ``w = 16 * (high - 8) + low`` with uint4 digits of ``w + 128``: with two's complement, the
    highest digit has half its range as zero point, and all other zero points are 0. So two products of 4-bit
    operands make one of 8 bits, as mixed precision has them.

    Parameters
    ----------
    codes : integer array, any shape
    fmt : Int or Bipolar
    digit_bits : int
        A divisor of the format's bits.

    Raises
    ------
    TypeError, ValueError
        If the format is of another kind, ``digit_bits`` no divisor, or a code outside the format.
    """
    weights = plane_weights(fmt)
    if not 1 <= operator.index(digit_bits) <= fmt.bits or fmt.bits % digit_bits:
        raise ValueError(f"Digit bits must be a divisor of {fmt.bits}, not {digit_bits}")
    codes = fmt.check_codes(codes)
    if weights[-1] < 0:
        # from two's complement to offset binary
        codes = codes ^ np.uint32(-weights[-1])
    digit = Bipolar(digit_bits) if isinstance(fmt, Bipolar) else Int(digit_bits, signed=False)
    last = fmt.bits - digit_bits
    return tuple(
        Digit(
            codes=codes >> shift & ((1 << digit_bits) - 1),
            format=digit,
            weight=1 << shift,
            zero_point=1 << (digit_bits - 1) if shift == last and weights[-1] < 0 else 0,
        )
        for shift in range(0, fmt.bits, digit_bits)
    )


def planes(codes: ArrayLike, bits: int) -> np.ndarray:
    """Bit planes of ``codes``, the lowest first: uint32 (bits, ...) of 0 and 1."""
    return np.stack([np.asarray(codes, dtype=np.uint32) >> i & 1 for i in range(bits)])


def plane_weights(fmt: Format) -> tuple[int, ...]:
    """What the bits of a format weigh, the lowest first.

    A value is the sum of ``weight * bit``, where the bits of a bipolar format count as -1 and +1: ``2**i``, but
    ``-2**i`` for the top bit of two's complement (ABQ-LLM, arXiv 2408.08554; bipolar-INT, arXiv 2409.17870).

    Raises
    ------
    ValueError
        If the format is neither an integer nor a bipolar one.
    """
    if not isinstance(fmt, Int | Bipolar):
        raise ValueError(f"Format must be an integer or bipolar one, whose bits have weights, not {fmt.name}")
    top = 1 << (fmt.bits - 1)
    signed = isinstance(fmt, Int) and fmt.signed
    return (*(1 << i for i in range(fmt.bits - 1)), -top if signed else top)
