"""Accumulators of finite width, and the width that an exact sum takes."""

import operator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.interval import Interval
from sw_ref.locate import first_where
from sw_ref.wide import integer_array, integer_type, range_of, wrapped

__all__ = ["MAX_BITS", "OVERFLOWS", "Accumulator", "Overflow", "bits_for", "capacity"]

Overflow = Literal["refuse", "wrap", "saturate"]
OVERFLOWS: tuple[Overflow, ...] = ("refuse", "wrap", "saturate")

MAX_BITS = 256
"""The widest accumulator; exact sums of posit16 take 113 bits and those of K."""


@dataclass(frozen=True)
class Accumulator:
    """A two's complement register of ``bits`` bits, and what it does with a sum that it cannot hold.

    Parameters
    ----------
    bits : int
        Width, from 1 to 256.
    overflow : {"refuse", "wrap", "saturate"}
        ``refuse``: the sum is an error, so what is kept is always exact. ``wrap``: its low ``bits`` bits are
        kept. ``saturate``: the nearest bound is kept.
    """

    bits: int
    overflow: Overflow = "refuse"

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", operator.index(self.bits))
        if not 1 <= self.bits <= MAX_BITS:
            raise ValueError(f"Accumulator bits must be from 1 to {MAX_BITS}, not {self.bits}")
        if self.overflow not in OVERFLOWS:
            raise ValueError(f"Overflow must be one of {', '.join(OVERFLOWS)}, not {self.overflow!r}")

    @property
    def name(self) -> str:
        """``acc24``, ``acc16_sat``: what it is, as part of module names."""
        return f"acc{self.bits}" + {"refuse": "", "wrap": "_wrap", "saturate": "_sat"}[self.overflow]

    @property
    def result_bits(self) -> int:
        """Width of what leaves a column: the sum itself."""
        return self.bits

    @property
    def interval(self) -> Interval:
        """Everything that the register holds."""
        return Interval.of_bits(self.bits, signed=True)

    def apply(self, sums: ArrayLike) -> np.ndarray:
        """What the register keeps of ``sums`` (integers of any shape), of `sw_ref.wide.integer_type`.

        Raises
        ------
        ValueError
            If ``overflow`` is ``refuse`` and a sum does not fit; names the first such sum and its position.
        """
        if self.overflow == "wrap":
            return wrapped(sums, self.bits)
        sums, kind = integer_array(sums), integer_type(self.bits)
        if range_of(sums) in self.interval:
            return sums.astype(kind)
        kept = np.clip(sums, self.interval.lo, self.interval.hi)
        if self.overflow == "refuse":
            first = first_where(kept != sums, sums, what="sum")
            raise ValueError(f"{first}, outside the {self.bits}-bit accumulator ({self.interval})")
        return np.asarray(kept, dtype=kind)


def bits_for(term: Interval, terms: int) -> int:
    """Width of the accumulator that sums ``terms`` members of ``term`` exactly, starting from 0.

    The smallest two's complement width that holds ``terms * term``, and so every partial sum on the way.
    """
    return term.sum_of(terms).signed_bits


def capacity(bits: int, term: Interval) -> int | None:
    """How many members of ``term`` an accumulator of ``bits`` bits is sure to sum exactly, starting from 0.

    The largest ``terms`` for which ``bits_for(term, terms) <= bits``; None if there is no largest, since
    ``term`` is only 0.
    """
    register = Interval.of_bits(bits, signed=True)
    limits = []
    if term.hi > 0:
        limits.append(register.hi // term.hi)
    if term.lo < 0:
        limits.append(register.lo // term.lo)
    return min(limits, default=None)
