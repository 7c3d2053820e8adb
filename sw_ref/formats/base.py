"""Number formats: what the codes of an operand mean."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.interval import Interval
from sw_ref.locate import first_where

__all__ = ["INT_BITS", "FixedPoint", "Format", "Int"]

INT_BITS = 53
"""The most bits of an `Int`, so that a float64 holds every value."""


@dataclass(frozen=True)
class FixedPoint:
    """The exact fixed-point form of a format: every finite value is ``integer * 2**lsb``.

    Parameters
    ----------
    interval : Interval
        The integers that occur.
    lsb : int
        Exponent of the weight of the last bit: 0 for integers, -1 where the step is one half.
    """

    interval: Interval
    lsb: int


class Format(ABC):
    """A number format: a set of values, and the bit patterns that stand for them.

    A **code** is a bit pattern read as a non-negative integer below ``2**bits``; arrays of codes are uint32, or uint64
    where codes have more than 32 bits.
    Subclasses are frozen dataclasses, so that equal formats compare equal and a format can be a key.

    Attributes
    ----------
    bits : int
        Width of a code, from 1 to 53: a field or a property of the subclass.
    """

    # an int; subclasses have it as a field or as a property, neither of which may stand for the other
    bits: Any

    @property
    @abstractmethod
    def name(self) -> str:
        """The name that :func:`sw_ref.formats.catalog.parse_format` reads back, such as ``int8``."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest finite value."""

    @property
    @abstractmethod
    def fixed(self) -> FixedPoint | None:
        """The exact fixed-point form; None if it would be wider than an int64."""

    @property
    def fixed_form(self) -> FixedPoint:
        """:attr:`fixed` of a format that has one; ValueError if it has none."""
        if (fixed := self.fixed) is None:
            raise ValueError(f"Format must have a fixed-point form, which {self.name} lacks")
        return fixed

    @property
    def full_scale(self) -> float:
        """What the largest magnitude of a tensor is scaled to: the largest that the format has of either sign.

        A format that is coarse near its bounds says less.
        """
        lo, hi = self.bounds
        return min(hi, -lo)

    @property
    def full_precision(self) -> float:
        """What the largest magnitude of a tensor must reach so that it is not lost for being small.

        The least positive value; of floats, so much more that what is smaller by their precision is still normal.
        """
        return 2.0**self.fixed.lsb if self.fixed else 0.0

    @property
    def holds_zero(self) -> bool:
        """Whether a code stands for 0."""
        return bool(self.decode(self.encode(0.0)) == 0)

    @property
    def saturates(self) -> bool:
        """Whether what is beyond the bounds becomes the bound, and not infinity or NaN."""
        return bool(self.finite(self.encode(4 * self.bounds[1])))

    @abstractmethod
    def encode(self, real: ArrayLike) -> np.ndarray:
        """Codes of the values nearest to ``real``, any shape: half to even, saturating at :attr:`bounds`.

        Raises
        ------
        ValueError
            If ``real`` holds a NaN and the format has none.
        """

    @abstractmethod
    def decode(self, codes: ArrayLike) -> np.ndarray:
        """The exact values of ``codes``, as float64 of the same shape.

        Raises
        ------
        TypeError, ValueError
            If ``codes`` are not integers, or not all from 0 to ``2**bits - 1``.
        """

    def finite(self, codes: ArrayLike) -> np.ndarray:
        """Whether each of ``codes`` stands for a finite value, as bool of the same shape; raises as :meth:`decode`."""
        return np.isfinite(self.decode(codes))

    def to_fixed(self, codes: ArrayLike) -> np.ndarray:
        """The integers ``decode(codes) * 2**-fixed.lsb``, as int64 of the same shape.

        Raises
        ------
        ValueError
            If the format has no fixed-point form, or a code stands for no finite value.
        """
        lsb = self.fixed_form.lsb
        values = self.decode(codes)
        if not np.isfinite(values).all():
            first = first_where(~np.isfinite(values), values, what="decoded value")
            raise ValueError(f"{first}, which has no fixed-point form")
        return np.ldexp(values, -lsb).astype(np.int64)

    def from_values(self, values: ArrayLike, *, what: str = "value") -> np.ndarray:
        """Codes of ``values``, each of which the format must hold exactly.

        Parameters
        ----------
        values : array of numbers, any shape
        what : str
            The operand's name in an error: ``act[3, 17] is 200, outside int8 (-128 to 127)``.

        Raises
        ------
        TypeError
            If ``values`` are not numbers.
        ValueError
            If the format lacks a value; names the first one, its position and the bounds.
        """
        values = np.asarray(values)
        if values.dtype.kind not in "iuf":
            raise TypeError(f"{what} must be an array of numbers, not of {values.dtype}")
        lo, hi = self.bounds
        bounds = f"{self.name} ({lo:.17g} to {hi:.17g})"
        # the negated form also catches NaN
        outside = ~((values >= lo) & (values <= hi))
        if outside.any():
            raise ValueError(f"{first_where(outside, values, what=what)}, outside {bounds}")
        codes = self.encode(values)
        rounded = self.decode(codes) != values
        if rounded.any():
            raise ValueError(f"{first_where(rounded, values, what=what)}, between two values of {bounds}")
        return codes

    def holds(self, values: ArrayLike) -> np.ndarray:
        """Which of ``values``, numbers of any shape, the format has: bool of the same shape."""
        values, (lo, hi) = np.asarray(values), self.bounds
        inside = (values >= lo) & (values <= hi)
        return inside & (self.decode(self.encode(np.where(inside, values, lo))) == values)

    def check_reals(self, real: ArrayLike) -> np.ndarray:
        """``real`` as float64; ValueError if it holds a NaN."""
        real = np.asarray(real, dtype=np.float64)
        if np.isnan(real).any():
            raise ValueError(f"{first_where(np.isnan(real), real, what='value')}, which {self.name} lacks")
        return real

    def check_codes(self, codes: ArrayLike, *, what: str = "code") -> np.ndarray:
        """``codes`` as an array of codes; TypeError or ValueError if one is not a bit pattern of this format."""
        codes = np.asarray(codes)
        if codes.dtype.kind not in "iu":
            raise TypeError(f"{what} must be an array of integers, not of {codes.dtype}")
        last = (1 << self.bits) - 1
        if codes.size and (codes.min() < 0 or codes.max() > last):
            first = first_where((codes < 0) | (codes > last), codes, what=what)
            raise ValueError(f"{first}, outside the codes of {self.name} (0 to {last})")
        return codes.astype(_dtype(self.bits))


@dataclass(frozen=True)
class Int(Format):
    """Integers: two's complement if ``signed``, else unsigned.

    The code is the value modulo ``2**bits``. One signed bit holds -1 and 0.

    Parameters
    ----------
    bits : int
        Width, from 1 to 53.
    signed : bool
    """

    bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", operator.index(self.bits))
        if not 1 <= self.bits <= INT_BITS:
            raise ValueError(f"Bits must be from 1 to {INT_BITS}, not {self.bits}")
        if not isinstance(self.signed, bool):
            raise TypeError(f"Signed must be a bool, not {self.signed!r}")

    @property
    def name(self) -> str:
        return f"{'int' if self.signed else 'uint'}{self.bits}"

    @property
    def interval(self) -> Interval:
        """All values."""
        return Interval.of_bits(self.bits, self.signed)

    @property
    def bounds(self) -> tuple[float, float]:
        return self.interval.lo, self.interval.hi

    @property
    def fixed(self) -> FixedPoint:
        return FixedPoint(self.interval, lsb=0)

    def encode(self, real: ArrayLike) -> np.ndarray:
        values = np.clip(np.rint(self.check_reals(real)), *self.bounds).astype(np.int64)
        return (values & ((1 << self.bits) - 1)).astype(_dtype(self.bits))

    def decode(self, codes: ArrayLike) -> np.ndarray:
        return self.to_fixed(codes).astype(np.float64)

    def to_fixed(self, codes: ArrayLike) -> np.ndarray:
        values = self.check_codes(codes).astype(np.int64)
        if self.signed:
            unused = 64 - self.bits
            values = (values << unused) >> unused
        return values


def _dtype(bits: int) -> type[np.unsignedinteger]:
    """What codes of so many bits are kept in."""
    return np.uint32 if bits <= 32 else np.uint64
