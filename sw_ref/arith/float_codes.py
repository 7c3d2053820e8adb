"""Arithmetic on codes of floats, with subnormals flushed: rounding, integers, products and sums.

A result is the exact one rounded to nearest, ties to even, as if the exponent had no bounds. Then what is too large
becomes infinity, and what is below the smallest normal becomes 0: subnormals are flushed, of operands and of results,
and keep their sign. There is one NaN, the format's own. Zeros have the signs that IEEE 754 gives them.

Results are of a format for which `is_result_format` holds. Arrays of codes are uint32, of any shape that broadcasts.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.minifloat import BIAS, FP32, FRACTION, Float
from sw_ref.wide import integer_array

__all__ = [
    "add",
    "from_integer",
    "has_fields_of",
    "infinity_and_nan",
    "is_result_format",
    "multiply",
    "round_to",
    "smallest_normal",
    "value_of",
]

# Of float64, in which numbers are given.
_MAGNITUDE = (1 << 63) - 1
_INFINITY = 0x7FF << FRACTION
_NAN = _INFINITY | 1 << (FRACTION - 1)
# Half a last place less than float32's smallest normal number: with an exponent without bounds it rounds up to that.
_LEAST_ROUNDED_UP = 2.0**-126 - 2.0**-151


def is_result_format(form: object) -> bool:
    """Whether arithmetic can give codes of this format: a float with a sign, infinities and NaN."""
    return isinstance(form, Float) and form.signed and form.specials == "ieee"


def infinity_and_nan(form: Float) -> tuple[int, int]:
    """Codes of positive infinity and of the NaN that results; ValueError unless `is_result_format`."""
    if not is_result_format(form) or form.infinity is None or form.nan is None:
        raise ValueError(f"Format must be a float with a sign, infinities and NaN, such as fp32, not {form.name}")
    return form.infinity, form.nan


def smallest_normal(form: Float) -> float:
    """What is less is 0."""
    return 2.0 ** ((form.lowest != "normal") - form.bias)


def has_fields_of(form: Float, other: Float) -> bool:
    """Whether the fields of ``form`` are as wide as those of ``other``, or wider."""
    return other.exponent <= form.exponent and other.fraction <= form.fraction


def round_to(form: Float, real: ArrayLike) -> np.ndarray:
    """Codes of float64 numbers, rounded and flushed as results are."""
    infinity, nan = infinity_and_nan(form)
    if form == FP32:
        return _round_to_float32(np.asarray(real, dtype=np.float64), nan)
    bits = np.atleast_1d(np.asarray(real, dtype=np.float64)).view(np.uint64)
    magnitude = bits & _MAGNITUDE
    # Half a last place is added, less one bit where the last bit kept is 0: a tie goes to even, and what carries
    # out of the fraction belongs in the exponent.
    lost = FRACTION - form.fraction
    code = magnitude + (magnitude >> lost & 1) + ((1 << (lost - 1)) - 1) >> lost
    zero = (BIAS - form.bias) << form.fraction
    smallest = zero + (1 << form.fraction)
    code = np.where(code < smallest, zero, np.minimum(code, zero + infinity)) - zero
    code |= bits >> 63 << (form.bits - 1)
    if (unordered := magnitude > _INFINITY).any():
        code[unordered] = nan
    return code.astype(np.uint32).reshape(np.shape(real))


def value_of(form: Float, codes: ArrayLike) -> np.ndarray:
    """The numbers that ``codes`` stand for, flushed: exact, as float64.

    Raises
    ------
    TypeError, ValueError
        If ``codes`` are not integers, or not all from 0 to ``2**bits - 1``.
    """
    if form == FP32:
        return _value_of_float32(form.check_codes(codes))
    if not is_result_format(form):
        values = form.decode(codes)
        return np.where(np.abs(values) < smallest_normal(form), np.copysign(0.0, values), values)
    # the same by the bits of a float64, which takes less time
    infinity, _nan = infinity_and_nan(form)
    shape, codes = np.shape(codes), np.atleast_1d(form.check_codes(codes).astype(np.int64))
    magnitude = codes & ((1 << (form.bits - 1)) - 1)
    bits = (magnitude << FRACTION - form.fraction) + ((BIAS - form.bias) << FRACTION)
    bits[magnitude < 1 << form.fraction] = 0
    if (special := magnitude >= infinity).any():
        bits[special] = np.where(magnitude[special] == infinity, _INFINITY, _NAN)
    bits |= codes >> (form.bits - 1) << 63
    return bits.view(np.float64).reshape(shape)


def from_integer(form: Float, integers: ArrayLike) -> np.ndarray:
    """Codes of integers, int64 or objects."""
    integers = integer_array(integers)
    if integers.dtype == object:
        return round_to(form, np.frompyfunc(_rounded_to_odd, 1, 1)(integers))
    exact = (integers >= -(1 << 53)) & (integers <= 1 << 53)
    if exact.all():
        return round_to(form, integers.astype(np.float64))
    # Beyond 53 bits float64 rounds too. A last bit that tells whether any lower one was set makes the second
    # rounding come out as if it were the only one (Boldo and Melquiond, "When double rounding is odd", 2005).
    lost = 11
    odd = integers >> lost << lost | (integers & ((1 << lost) - 1) != 0).astype(np.int64) << lost
    return round_to(form, np.where(exact, integers, odd).astype(np.float64))


def multiply(form: Float, x: ArrayLike, y: ArrayLike, y_form: Float | None = None) -> np.ndarray:
    """Codes of ``x * y``, where ``y`` are codes of ``y_form``, or of ``form`` as well."""
    return _apply(form, np.multiply, value_of(form, x), value_of(y_form or form, y))


def add(form: Float, x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Codes of ``x + y``."""
    return _apply(form, np.add, value_of(form, x), value_of(form, y))


def _apply(form: Float, function: Callable[..., np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Rounded first to float64, with at least 2p + 2 bits for p of ours, a sum or product still rounds to what it
    # would at once (Figueroa, "When is double rounding innocuous?", 1995).
    with np.errstate(invalid="ignore"):
        return round_to(form, function(x, y))


def _round_to_float32(real: np.ndarray, nan: int) -> np.ndarray:
    """As `round_to`, by the processor's own conversion."""
    with np.errstate(over="ignore"):
        values = np.atleast_1d(real.astype(np.float32))
    # float32 also rounds what is subnormal; a product with 0 keeps the sign
    values *= np.abs(real) >= _LEAST_ROUNDED_UP
    codes = values.view(np.uint32)
    if (unordered := np.isnan(values)).any():
        codes[unordered] = nan
    return codes.reshape(real.shape)


def _value_of_float32(codes: np.ndarray) -> np.ndarray:
    """As `value_of`, by the processor's own conversion."""
    bits = np.atleast_1d(codes.astype(np.uint32))
    # of a signalling NaN it raises a flag
    with np.errstate(invalid="ignore"):
        values = bits.view(np.float32).astype(np.float64)
        values *= ~(np.abs(values) < smallest_normal(FP32))
    return values.reshape(codes.shape)


def _rounded_to_odd(integer: int) -> float:
    """``integer`` as 53 bits, the last of which tells too whether any lower one was set."""
    lost = max(0, integer.bit_length() - 53)
    kept = integer >> lost
    return math.ldexp(kept | (kept << lost != integer), lost)
