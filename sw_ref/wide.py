"""Arrays of integers of any width: int64 where that holds them, else objects, which are Python's integers."""

import operator
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.interval import Interval

__all__ = ["exactly", "from_limbs", "integer_array", "integer_type", "limbs", "range_of", "wrapped"]

_LIMB = (1 << 64) - 1


def integer_type(bits: int) -> type:
    """What arrays of integers of ``bits`` bits (two's complement) are of: int64 up to 63 bits, else object.

    So two of them can be added as what they are.
    """
    return np.int64 if bits <= 63 else object


def integer_array(x: ArrayLike) -> np.ndarray:
    """``x`` as int64, or as objects if it comes as objects or uint64 and `integer_type` says so of its numbers.

    Raises
    ------
    TypeError
        If it does not hold integers.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "biuO":
        raise TypeError(f"Integers must come in an array of them, not of {x.dtype}")
    if x.dtype == object:
        # NumPy's own integers, which may be among them, would overflow
        x = np.asarray(np.frompyfunc(operator.index, 1, 1)(x), object)
    fits = x.dtype.kind in "bi" or x.dtype.itemsize < 8
    return x.astype(np.int64 if fits else integer_type(range_of(x).signed_bits), copy=False)


def range_of(x: np.ndarray) -> Interval:
    """Smallest interval that holds every element of an integer array; 0 if there are none."""
    return Interval(int(x.min()), int(x.max())) if x.size else Interval(0, 0)


def exactly(formula: Callable, *operands: np.ndarray) -> np.ndarray:
    """``formula(*operands)`` of integer arrays, exact: int64 if that is sure to hold operands and result, else objects.

    Parameters
    ----------
    formula : callable
        Of ``+``, ``-`` and ``*`` alone, since it is first computed of the operands' intervals.
    operands : integer arrays
        They broadcast.
    """
    ranges = [range_of(x) for x in operands]
    # in between, int64 may go round: modulo 2**64 the result is right, and it fits
    kind = integer_type(max(interval.signed_bits for interval in (*ranges, formula(*ranges))))
    return formula(*(x.astype(kind, copy=False) for x in operands))


def wrapped(x: ArrayLike, bits: int) -> np.ndarray:
    """The low ``bits`` bits of integers, read as two's complement: of `integer_type` of ``bits``."""
    x, kind, half = integer_array(x), integer_type(bits), 1 << bits - 1
    if kind is object:
        x = x.astype(object)
    return np.asarray((x & 2 * half - 1 ^ half) - half, dtype=kind)


def limbs(x: ArrayLike, bits: int) -> np.ndarray:
    """Integers of any shape in as many 64-bit words as ``bits`` bits of two's complement take.

    Returns
    -------
    uint64 array (..., words)
        The low word first.
    """
    x, places = integer_array(x), range(0, bits, 64)
    if x.dtype == object:
        words = [(x >> place & _LIMB).astype(np.uint64) for place in places]
    else:
        words = [(x >> min(place, 63)).astype(np.uint64) for place in places]
    return np.stack(words, axis=-1)


def from_limbs(words: np.ndarray) -> np.ndarray:
    """The integers that `limbs` gives as ``words``, as objects; the top bit of the last word is the sign."""
    *lower, top = np.moveaxis(words, -1, 0)
    x = top.astype(np.int64).astype(object)
    for word in reversed(lower):
        x = x << 64 | word.astype(object)
    return x
