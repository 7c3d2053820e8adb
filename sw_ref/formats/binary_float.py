"""Binary floating point with subnormals flushed: conversion, product and sum of bit patterns."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.locate import first_where
from sw_ref.wide import integer_array

__all__ = ["BF16", "FP16", "FP32", "FloatShape"]

# Of float64, in which numbers are given: IEEE 754 binary64.
_FRACTION = 52
_BIAS = 1023
_MAGNITUDE = (1 << 63) - 1
_INFINITY = 0x7FF << _FRACTION
_NAN = _INFINITY | 1 << (_FRACTION - 1)


@dataclass(frozen=True)
class FloatShape:
    """The fields of a binary floating-point code, and arithmetic on such codes.

    A code is, from the top, a sign bit, ``exponent`` bits biased by ``2**(exponent - 1) - 1``, and ``fraction`` bits.
    As in IEEE 754-2019, an exponent of all ones is infinity or NaN. Unlike it, an exponent of 0 is 0 whatever the
    fraction: subnormals are flushed, of operands and of results, and keep their sign.

    A result is the exact one rounded to nearest, ties to even, as if the exponent had no bounds. Then what is too large
    becomes infinity, and what is below the smallest normal becomes 0. There is one NaN: sign 0, and of the fraction the
    top bit. Zeros have the signs that IEEE 754 gives them.

    Arrays of codes are uint32, of any shape that broadcasts.

    Parameters
    ----------
    exponent : int
        Bits, from 2 to 8.
    fraction : int
        Bits, from 0 to 23; with 0, which is for factors alone, there is no NaN.
    """

    exponent: int
    fraction: int

    def __post_init__(self) -> None:
        for field, least, most in (("exponent", 2, 8), ("fraction", 0, 23)):
            bits = operator.index(getattr(self, field))
            object.__setattr__(self, field, bits)
            if not least <= bits <= most:
                raise ValueError(f"{field.capitalize()} must be from {least} to {most} bits, not {bits}")

    @property
    def bits(self) -> int:
        """Width of a code."""
        return 1 + self.exponent + self.fraction

    @property
    def bias(self) -> int:
        """The exponent field of 1.0."""
        return (1 << (self.exponent - 1)) - 1

    @property
    def top_exponent(self) -> int:
        """The exponent field of infinity and NaN: all ones."""
        return (1 << self.exponent) - 1

    @property
    def infinity(self) -> int:
        """Code of positive infinity."""
        return self.top_exponent << self.fraction

    @property
    def nan(self) -> int:
        """Code of the NaN that results; with a fraction of 0 bits, infinity."""
        return self.infinity | (1 << self.fraction) >> 1

    def encode(self, real: ArrayLike) -> np.ndarray:
        """Codes of float64 numbers, rounded and flushed as results are."""
        bits = np.atleast_1d(np.asarray(real, dtype=np.float64)).view(np.uint64)
        magnitude = bits & _MAGNITUDE
        # Half a last place is added, less one bit where the last bit kept is 0: a tie goes to even, and what carries
        # out of the fraction belongs in the exponent.
        lost = _FRACTION - self.fraction
        # (without a fraction that bit is the leading 1)
        last = magnitude >> lost & 1 if self.fraction else 1
        code = magnitude + last + ((1 << (lost - 1)) - 1) >> lost
        zero = (_BIAS - self.bias) << self.fraction
        smallest = zero + (1 << self.fraction)
        code = np.where(code < smallest, zero, np.minimum(code, zero + self.infinity)) - zero
        code |= bits >> 63 << (self.bits - 1)
        if (unordered := magnitude > _INFINITY).any():
            code[unordered] = self.nan
        return code.astype(np.uint32).reshape(np.shape(real))

    def decode(self, codes: ArrayLike) -> np.ndarray:
        """The numbers that ``codes`` stand for, flushed: exact, as float64.

        Raises
        ------
        TypeError, ValueError
            If ``codes`` are not integers, or not all from 0 to ``2**bits - 1``.
        """
        shape, codes = np.shape(codes), np.atleast_1d(self._check_codes(codes))
        magnitude = codes & ((1 << (self.bits - 1)) - 1)
        lost = _FRACTION - self.fraction
        bits = (magnitude << lost) + ((_BIAS - self.bias) << _FRACTION)
        bits[magnitude < 1 << self.fraction] = 0
        if (special := magnitude >= self.infinity).any():
            bits[special] = np.where(magnitude[special] == self.infinity, _INFINITY, _NAN)
        bits |= codes >> (self.bits - 1) << 63
        return bits.view(np.float64).reshape(shape)

    def from_integer(self, integers: ArrayLike) -> np.ndarray:
        """Codes of integers, int64 or objects."""
        integers = integer_array(integers)
        if integers.dtype == object:
            return self.encode(np.frompyfunc(_rounded_to_odd, 1, 1)(integers))
        exact = (integers >= -(1 << 53)) & (integers <= 1 << 53)
        if exact.all():
            return self.encode(integers.astype(np.float64))
        # Beyond 53 bits float64 rounds too. A last bit that tells whether any lower one was set makes the second
        # rounding come out as if it were the only one (Boldo and Melquiond, "When double rounding is odd", 2005).
        lost = 11
        odd = integers >> lost << lost | (integers & ((1 << lost) - 1) != 0).astype(np.int64) << lost
        return self.encode(np.where(exact, integers, odd).astype(np.float64))

    def holds(self, other: FloatShape) -> bool:
        """Whether all numbers of ``other`` are numbers of this shape too."""
        return other.exponent <= self.exponent and other.fraction <= self.fraction

    def multiply(self, x: ArrayLike, y: ArrayLike, y_shape: FloatShape | None = None) -> np.ndarray:
        """Codes of ``x * y``, where ``y`` are codes of ``y_shape``, or of this shape."""
        return self._apply(np.multiply, self.decode(x), (y_shape or self).decode(y))

    def add(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Codes of ``x + y``."""
        return self._apply(np.add, self.decode(x), self.decode(y))

    def _apply(self, function: Callable[..., np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
        # Rounded first to float64, with at least 2p + 2 bits for p of ours, a sum or product still rounds to what it
        # would at once (Figueroa, "When is double rounding innocuous?", 1995).
        with np.errstate(invalid="ignore"):
            return self.encode(function(x, y))

    def _check_codes(self, codes: ArrayLike) -> np.ndarray:
        codes = np.asarray(codes)
        if codes.dtype.kind not in "iu":
            raise TypeError(f"Codes must be an array of integers, not of {codes.dtype}")
        last = (1 << self.bits) - 1
        if codes.size and (codes.min() < 0 or codes.max() > last):
            first = first_where((codes < 0) | (codes > last), codes, what="code")
            raise ValueError(f"{first}, outside the codes of {self.bits} bits (0 to {last})")
        return codes.astype(np.int64)


def _rounded_to_odd(integer: int) -> float:
    """``integer`` as 53 bits, the last of which tells too whether any lower one was set."""
    lost = max(0, integer.bit_length() - 53)
    kept = integer >> lost
    return math.ldexp(kept | (kept << lost != integer), lost)


FP32 = FloatShape(8, 23)
"""IEEE 754 binary32."""

FP16 = FloatShape(5, 10)
"""IEEE 754 binary16."""

BF16 = FloatShape(8, 7)
"""bfloat16: binary32 without its low 16 bits."""
