"""Posits: floating point of tapered precision."""

import operator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import FixedPoint, Format
from sw_ref.formats.nearest import thresholds, to_nearest
from sw_ref.interval import Interval

__all__ = ["Posit"]


@dataclass(frozen=True)
class Posit(Format):
    """Posits: after the sign a regime of any length, then ``es`` bits of exponent e and what is left as a fraction f.

    A regime of m ones and a zero has ``r = m - 1``; of m zeros and a one ``r = -m``. The value is
    ``(1 + f) * 2**(r * 2**es + e)``, where bits that do not fit are 0; negative ones are the two's complement of their
    magnitude's code. Code 0 is 0, and the sign alone is NaR, decoded as NaN.

    Reals are rounded to nearest as bit patterns of any length, ties to the even code; where exponent bits do not fit,
    that is not the nearest value. What is not 0 does not become 0, nor pass the largest value; NaN and infinities
    become NaR. Standard for posit arithmetic (2022); SoftPosit.

    Parameters
    ----------
    bits : int
        Width, from 3 to 16.
    es : int
        Exponent bits, from 0 to 3.
    """

    bits: int
    es: int

    def __post_init__(self) -> None:
        for field, least, most in (("bits", 3, 16), ("es", 0, 3)):
            value = operator.index(getattr(self, field))
            object.__setattr__(self, field, value)
            if not least <= value <= most:
                raise ValueError(f"{field.capitalize()} must be from {least} to {most}, not {value}")

    @property
    def name(self) -> str:
        return f"posit{self.bits}_{self.es}"

    @property
    def nar(self) -> int:
        """Code of NaR, which is not a real."""
        return 1 << (self.bits - 1)

    @property
    def bounds(self) -> tuple[float, float]:
        largest = 2.0**self._reach
        return -largest, largest

    @property
    def full_scale(self) -> float:
        # the end of the two regimes next to 1, the shortest, which leave the most bits to the fraction
        return 2.0 ** (1 << self.es)

    @property
    def full_precision(self) -> float:
        return 2.0**-self._reach

    @property
    def fixed(self) -> FixedPoint | None:
        # the smallest value is 1 / the largest
        if 2 * self._reach > 62:
            return None
        return FixedPoint(Interval(-(1 << 2 * self._reach), 1 << 2 * self._reach), lsb=-self._reach)

    def encode(self, real: ArrayLike) -> np.ndarray:
        real = np.asarray(real, dtype=np.float64)
        magnitude = np.abs(real)
        codes = to_nearest(magnitude, *_rounding(self.bits, self.es))
        codes = np.where(real < 0, (2 * self.nar - codes.astype(np.int64)), codes)
        return np.where(np.isfinite(real), codes, self.nar).astype(np.uint32)

    def decode(self, codes: ArrayLike) -> np.ndarray:
        codes = self.check_codes(codes).astype(np.int64)
        negative = codes > self.nar
        values = _magnitudes(self.bits, self.es)[np.where(negative, 2 * self.nar - codes, codes)]
        return np.where(negative, -values, values)

    @property
    def _reach(self) -> int:
        return self.bits - 2 << self.es


@cache
def _magnitudes(bits: int, es: int) -> np.ndarray:
    """The values of the codes from 0 to NaR, of which the last is NaN."""
    values = [0.0]
    for code in range(1, 1 << (bits - 1)):
        body = f"{code:0{bits - 1}b}"
        run = len(body) - len(body.lstrip(body[0]))
        regime = run - 1 if body[0] == "1" else -run
        rest = body[run + 1 :]
        exponent = int(rest[:es].ljust(es, "0") or "0", 2)
        fraction = rest[es:]
        values.append((1 + int(fraction or "0", 2) / 2 ** len(fraction)) * 2.0 ** ((regime << es) + exponent))
    return np.array([*values, np.nan])


@cache
def _rounding(bits: int, es: int) -> tuple[np.ndarray, np.ndarray]:
    """The thresholds between the magnitudes, and their codes."""
    codes = np.arange(1 << (bits - 1))
    # halfway between two bit patterns is the one with a further bit; but everything above 0 is at least the least
    middles = _magnitudes(bits + 1, es)[1:-2:2]
    over = thresholds(middles, codes)
    over[0] = 0
    return over, codes
