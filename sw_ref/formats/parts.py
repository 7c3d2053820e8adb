"""Finite values as sign, integer significand and exponent: what floats, posits and integers have in common."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import Format, Int
from sw_ref.formats.fixed import Fixed
from sw_ref.formats.minifloat import Float
from sw_ref.interval import Interval

__all__ = ["Parts", "parts_of", "split"]

# Formats of more bits than this are described by their fields, and are not looked through code by code.
_MOST_BITS = 16


@dataclass(frozen=True)
class Parts:
    """Every finite value of a format as ``(-1)**negative * significand * 2**(exponent + lsb)``.

    A value that takes no more than `significand_bits` in units of ``2**lsb`` has the exponent 0; any other has the
    significand with all of these bits. So subnormals share the lowest exponent with the least normal values, and small
    posits, whose fractions are short, are written in the same way.

    Parameters
    ----------
    significand : int
        The largest that occurs; the least is 0.
    exponent : int
        The largest that occurs; the least is 0.
    lsb : int
        Weight of a significand's last bit at the exponent 0.
    interval : Interval
        All values, in units of ``2**lsb``.
    """

    significand: int
    exponent: int
    lsb: int
    interval: Interval

    @property
    def significand_bits(self) -> int:
        """Width of a significand."""
        return self.significand.bit_length()

    @property
    def exponent_bits(self) -> int:
        """Width of an exponent; 0 if all are alike."""
        return self.exponent.bit_length()

    @property
    def signed(self) -> bool:
        """Whether a value is negative."""
        return self.interval.signed


@cache
def parts_of(form: Format) -> Parts:
    """What the parts of the values of ``form`` can be.

    Integers have the exponent 0, floats the significands of their fraction with a bit for the integer part; others have
    the fewest bits that hold all of their significands.
    """
    if isinstance(form, Int | Fixed):
        fixed = form.fixed
        return Parts(max(fixed.interval.hi, -fixed.interval.lo), 0, fixed.lsb, fixed.interval)
    if isinstance(form, Float):
        return _of_float(form)
    return _of_values(form)


def split(form: Format, codes: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``negative`` (bool), ``significand`` and ``exponent`` (int64) of each of ``codes``, of the same shape.

    Codes that stand for no finite number become the significand 0, as 0 itself; its exponent is 0, and it is not
    negative.
    """
    parts = parts_of(form)
    values = form.decode(codes)
    values = np.ldexp(np.where(np.isfinite(values), values, 0), -parts.lsb)
    exponent = np.maximum(np.frexp(values)[1] - parts.significand_bits, 0).astype(np.int64)
    return values < 0, np.ldexp(np.abs(values), -exponent).astype(np.int64), exponent


def _of_float(form: Float) -> Parts:
    has_low = form.lowest != "normal"
    field, fraction = divmod(form.largest, 1 << form.fraction)
    significand, exponent = (1 << form.fraction) + fraction, field - has_low
    largest = significand << exponent
    least = -largest if form.signed else 0 if has_low else 1 << form.fraction
    # below the largest exponent, all significands occur
    return Parts((2 << form.fraction) - 1 if exponent else significand, exponent, form.lsb, Interval(least, largest))


def _of_values(form: Format) -> Parts:
    if form.bits > _MOST_BITS:
        raise ValueError(f"Format must have at most {_MOST_BITS} bits a code, not the {form.bits} of {form.name}")
    values = form.decode(np.arange(1 << form.bits))
    values = values[np.isfinite(values)]
    # as ratios of integers, whose denominators are powers of two
    ratios = [value.as_integer_ratio() for value in values.tolist()]
    lsb = form.fixed.lsb if form.fixed else -(max(bottom for _top, bottom in ratios).bit_length() - 1)
    integers = [top << -lsb - (bottom.bit_length() - 1) for top, bottom in ratios]
    bits = max((integer // (integer & -integer)).bit_length() for integer in integers if integer)
    exponents = [max(integer.bit_length() - bits, 0) for integer in integers]
    significands = [abs(integer) >> exponent for integer, exponent in zip(integers, exponents, strict=True)]
    return Parts(max(significands), max(exponents), lsb, Interval(min(integers), max(integers)))
