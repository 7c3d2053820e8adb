"""RF8: eight bits that stand for a sum of two powers of two."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import FixedPoint, Format
from sw_ref.formats.nearest import thresholds, to_nearest
from sw_ref.interval import Interval

__all__ = ["RF8"]

GAPS = (1, 2, 3, 4)
EXPONENT_BITS = 5
BIAS = 15


@dataclass(frozen=True)
class RF8(Format):
    """Sign S, five bits of exponent E, two of gap G: ``(-1)**S * (2**a + 2**b)``, ``a = E - 15``, ``b = a - 1 - G``.

    So a product is two shifts and an addition. What is published of RF8 is that a value has the first two ones of the
    binary expansion, at most 4 places apart. How that fills eight bits is this project's choice: the bias is 15, as of
    E5M2; E = 0 is 0, whatever S and G; and since the gap is always from 1 to 4, no power of two is a value: 1 becomes
    1.0625. Reals are rounded to nearest, ties to the even code; 0 is code 0.
    """

    @property
    def name(self) -> str:
        return "rf8"

    @property
    def bits(self) -> int:
        return 8

    @property
    def bounds(self) -> tuple[float, float]:
        largest = float(_table()[0][-1])
        return -largest, largest

    @property
    def fixed(self) -> FixedPoint:
        # of the smallest power: E = 1, with the widest gap
        lsb = 1 - BIAS - max(GAPS)
        largest = int(self.bounds[1] / 2.0**lsb)
        return FixedPoint(Interval(-largest, largest), lsb)

    def encode(self, real: ArrayLike) -> np.ndarray:
        real = self.check_reals(real)
        values, codes = _table()
        codes = to_nearest(np.abs(real), thresholds((values[1:] + values[:-1]) / 2, codes), codes)
        return np.where((real < 0) & (codes > 0), codes | 1 << (self.bits - 1), codes).astype(np.uint32)

    def decode(self, codes: ArrayLike) -> np.ndarray:
        codes = self.check_codes(codes).astype(np.int64)
        first = codes // len(GAPS) % (1 << EXPONENT_BITS)
        second = first - np.array(GAPS)[codes % len(GAPS)]
        values = np.ldexp(1.0, first - BIAS) + np.ldexp(1.0, second - BIAS)
        return np.where(first == 0, 0, np.where(codes >> (self.bits - 1), -values, values))


@cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    """Ascending magnitudes, and their codes."""
    # but for the first, those of E = 0 are left out
    codes = np.array([0, *range(len(GAPS), len(GAPS) << EXPONENT_BITS)])
    values = RF8().decode(codes)
    order = np.argsort(values)
    return values[order], codes[order]
