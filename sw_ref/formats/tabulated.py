"""Formats given by a table: an integer for each code."""

from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import FixedPoint, Format
from sw_ref.interval import Interval

__all__ = ["Tabulated"]


class Tabulated(Format):
    """A format whose code ``i`` stands for ``integers[i]``, in any order; a subclass says which."""

    @property
    @abstractmethod
    def integers(self) -> tuple[int, ...]:
        """What the codes stand for, ``2**bits`` integers."""

    @property
    def bounds(self) -> tuple[float, float]:
        return min(self.integers), max(self.integers)

    @property
    def fixed(self) -> FixedPoint:
        return FixedPoint(Interval(min(self.integers), max(self.integers)), lsb=0)

    def encode(self, real: ArrayLike) -> np.ndarray:
        """Codes of the nearest values; halfway between two, the lower one, as FLUTE's search of midpoints does.

        Of several codes of one value, the lowest.
        """
        values, codes = np.unique(self.integers, return_index=True)
        nearest = np.searchsorted((values[1:] + values[:-1]) / 2, self.check_reals(real))
        return codes[nearest].astype(np.uint32)

    def decode(self, codes: ArrayLike) -> np.ndarray:
        return self.to_fixed(codes).astype(np.float64)

    def to_fixed(self, codes: ArrayLike) -> np.ndarray:
        return np.array(self.integers, dtype=np.int64)[self.check_codes(codes)]
