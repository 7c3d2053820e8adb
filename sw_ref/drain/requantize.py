"""Dyadic requantization: integers times a ratio, which is an integer over a power of two."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.interval import Interval
from sw_ref.locate import first_where

__all__ = ["INTEGERS", "MOST_SHIFT", "MULTIPLIERS", "Rounding", "dyadic", "requantize"]

Rounding = Literal["half_even", "floor", "gemmlowp"]

INTEGERS = Interval.of_bits(32, signed=True)
"""What can be requantized: with `MULTIPLIERS`, every product is an int64."""

MULTIPLIERS = Interval.of_bits(31, signed=False)
"""Multipliers of a requantization."""

MOST_SHIFT = 63
"""Shifts of a drain edge: with any from here on, every product rounds to 0."""


def dyadic(ratio: ArrayLike, *, bits: int = 31) -> tuple[np.ndarray, np.ndarray]:
    """The multiplier and the shift of each ratio: ``ratio`` is about ``multiplier / 2**shift``.

    ::

        f, e = frexp(ratio)                         # from 0.5 to 1
        multiplier = round_half_up(f * 2**bits)
        shift = bits - e

    With at least 24 bits this is exact for any float32. With fewer, a multiplier that rounds up to ``2**bits`` is
    halved, and its shift is 1 less, which is the same ratio.

    Parameters
    ----------
    ratio : float32 array
        Of any shape. HAWQ-V3 (arXiv 2011.10680) has ``float32(s_x * s_w) / float32(s_y)``, with 31 bits.
    bits : int
        Width of a multiplier, from 1 to 31.

    Returns
    -------
    multiplier, shift : int64 arrays

    Raises
    ------
    ValueError
        If ``bits`` is out of range, or a ratio is not positive and finite, or ``2**bits`` or more, so that its shift
        would be negative.
    """
    if not 1 <= bits <= 31:
        raise ValueError(f"Bits must be from 1 to 31, not {bits}")
    ratio = np.asarray(ratio, dtype=np.float32)
    # the negated form also catches NaN
    wrong = ~((ratio > 0) & (ratio < np.inf))
    if wrong.any():
        raise ValueError(f"{first_where(wrong, ratio, what='ratio')}, which is not positive and finite")
    fraction, exponent = np.frexp(ratio.astype(np.float64))
    multiplier = np.floor(np.ldexp(fraction, bits) + 0.5).astype(np.int64)
    full = multiplier >> bits
    multiplier, shift = multiplier >> full, bits - exponent.astype(np.int64) - full
    if (shift < 0).any():
        raise ValueError(f"{first_where(shift < 0, ratio, what='ratio')}, too large for a multiplier of {bits} bits")
    return multiplier, shift


def requantize(
    integer: ArrayLike,
    multiplier: ArrayLike,
    shift: ArrayLike,
    *,
    bits: int,
    signed: bool,
    rounding: Rounding = "half_even",
    addend: ArrayLike = 0,
    zero: ArrayLike = 0,
) -> np.ndarray:
    """``clip(zero + round((integer * multiplier + addend) / 2**shift))``, exact but for the rounding.

    ``half_even`` rounds once, ties to even: HAWQ-V3 (arXiv 2011.10680) and ONNX. ``floor`` drops the low bits: RBE
    (Marsellus, arXiv 2305.08415). ``gemmlowp`` rounds twice, as TensorFlow Lite's integer kernels do: the product to
    units of 2**31, ties up, and then by what is left of the shift, ties away from 0.

    Parameters
    ----------
    integer : integer array
        Of 32 bits, such as the sums of a product.
    multiplier, shift : integer arrays
        As `dyadic` gives them; they broadcast.
    bits : int
    signed : bool
        What results are clipped to.
    rounding : {"half_even", "floor", "gemmlowp"}
    addend, zero : integer arrays
        Added before the shift, and after it; of 32 bits.

    Returns
    -------
    int64 array

    Raises
    ------
    ValueError
        If an integer is outside `INTEGERS`, a multiplier outside `MULTIPLIERS`, or a shift is negative, or with
        ``gemmlowp`` less than 31.
    """
    integer, multiplier, shift, addend = (np.asarray(x, dtype=np.int64) for x in (integer, multiplier, shift, addend))
    _check_within(integer, INTEGERS, "integer")
    _check_within(addend, INTEGERS, "addend")
    _check_within(multiplier, MULTIPLIERS, "multiplier")
    least = 31 if rounding == "gemmlowp" else 0
    if (shift < least).any():
        raise ValueError(f"{first_where(shift < least, shift, what='shift')}, which is less than {least}")
    product = integer * multiplier + addend
    # a product is less than half of 2**63 in size, so that further shifts also give 0
    quotient = _ROUNDINGS[rounding](product, np.minimum(shift, MOST_SHIFT))
    bounds = Interval.of_bits(bits, signed)
    return np.clip(quotient + zero, bounds.lo, bounds.hi)


def _floor(product: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return product >> shift


def _half_even(product: np.ndarray, shift: np.ndarray) -> np.ndarray:
    quotient = product >> shift
    # what is left of the product, with the point above bit 62
    rest = (product - (quotient << shift)) << (63 - shift)
    half = np.int64(1 << 62)
    return quotient + ((rest > half) | ((rest == half) & (quotient & 1 == 1)))


def _gemmlowp(product: np.ndarray, shift: np.ndarray) -> np.ndarray:
    high = (product + (1 << 30)) >> 31
    right = shift - 31
    rest = high & ((1 << right) - 1)
    threshold = ((1 << right) - 1 >> 1) + (high < 0)
    return (high >> right) + (rest > threshold)


_ROUNDINGS = {"half_even": _half_even, "floor": _floor, "gemmlowp": _gemmlowp}


def _check_within(values: np.ndarray, interval: Interval, what: str) -> None:
    outside = (values < interval.lo) | (values > interval.hi)
    if outside.any():
        raise ValueError(f"{first_where(outside, values, what=what)}, outside {interval}")
