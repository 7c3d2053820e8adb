"""Integer intervals, from which every width is derived."""

from __future__ import annotations

import operator
from dataclasses import dataclass

__all__ = ["Interval"]


@dataclass(frozen=True)
class Interval:
    """The integers from ``lo`` to ``hi``, both included.

    Arithmetic is exact interval arithmetic: ``x + y``, ``x - y`` and ``x * y`` is the smallest interval that
    holds the result for every pair of members of independent operands. An ``int`` operand stands for the
    interval of that one number. ``x | y`` is the smallest interval that holds both, and ``n in x`` and
    ``x in y`` ask for membership.

    Raises
    ------
    TypeError
        If a bound is not an integer.
    ValueError
        If ``lo`` is above ``hi``.
    """

    lo: int
    hi: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "lo", operator.index(self.lo))
        object.__setattr__(self, "hi", operator.index(self.hi))
        if self.lo > self.hi:
            raise ValueError(f"Interval must have lo at most hi, not {self.lo} to {self.hi}")

    @classmethod
    def of_bits(cls, bits: int, signed: bool) -> Interval:
        """Everything that ``bits`` bits hold: two's complement if ``signed``, else unsigned."""
        bits = operator.index(bits)
        if bits < 1:
            raise ValueError(f"Bits must be at least 1, not {bits}")
        if signed:
            return cls(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        return cls(0, (1 << bits) - 1)

    @property
    def signed(self) -> bool:
        """Whether a member is negative, so that two's complement is needed."""
        return self.lo < 0

    @property
    def bits(self) -> int:
        """Smallest width, at least 1 bit: two's complement if :attr:`signed`, else unsigned."""
        return self.signed_bits if self.signed else max(1, self.hi.bit_length())

    @property
    def signed_bits(self) -> int:
        """Smallest two's complement width, also where no member is negative."""
        # without its sign, a negative n takes the bits of ~n
        return 1 + max((n if n >= 0 else ~n).bit_length() for n in (self.lo, self.hi))

    def sum_of(self, terms: int) -> Interval:
        """The sums of exactly ``terms`` independent members."""
        terms = operator.index(terms)
        if terms < 0:
            raise ValueError(f"Terms must be at least 0, not {terms}")
        return Interval(terms * self.lo, terms * self.hi)

    def __add__(self, other: Interval | int) -> Interval:
        other = _as_interval(other)
        return Interval(self.lo + other.lo, self.hi + other.hi)

    __radd__ = __add__

    def __neg__(self) -> Interval:
        return Interval(-self.hi, -self.lo)

    def __sub__(self, other: Interval | int) -> Interval:
        return self + -_as_interval(other)

    def __rsub__(self, other: Interval | int) -> Interval:
        return _as_interval(other) + -self

    def __mul__(self, other: Interval | int) -> Interval:
        other = _as_interval(other)
        corners = [x * y for x in (self.lo, self.hi) for y in (other.lo, other.hi)]
        return Interval(min(corners), max(corners))

    __rmul__ = __mul__

    def __or__(self, other: Interval | int) -> Interval:
        other = _as_interval(other)
        return Interval(min(self.lo, other.lo), max(self.hi, other.hi))

    __ror__ = __or__

    def __contains__(self, other: Interval | int) -> bool:
        other = _as_interval(other)
        return self.lo <= other.lo and other.hi <= self.hi

    def __str__(self) -> str:
        return f"{self.lo} to {self.hi}"


def _as_interval(value: Interval | int) -> Interval:
    return value if isinstance(value, Interval) else Interval(value, value)
