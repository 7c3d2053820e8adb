"""Fixed-point formats: integers with bits after the point."""

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import FixedPoint, Format, Int

__all__ = ["Fixed"]


@dataclass(frozen=True)
class Fixed(Format):
    """Two's complement integers times ``2**-fraction``.

    fixed8_6 is the element of MXINT8, from -2 to 127/64 (OCP MX 1.0).

    Parameters
    ----------
    bits : int
        Width, from 1 to 53.
    fraction : int
        Bits after the point, from 0 to 16.
    """

    bits: int
    fraction: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", Int(self.bits).bits)
        object.__setattr__(self, "fraction", operator.index(self.fraction))
        if not 0 <= self.fraction <= 16:
            raise ValueError(f"Fraction must be from 0 to 16, not {self.fraction}")

    @property
    def name(self) -> str:
        return f"fixed{self.bits}_{self.fraction}"

    @property
    def bounds(self) -> tuple[float, float]:
        lo, hi = Int(self.bits).bounds
        return lo / 2.0**self.fraction, hi / 2.0**self.fraction

    @property
    def fixed(self) -> FixedPoint:
        return FixedPoint(Int(self.bits).interval, lsb=-self.fraction)

    def encode(self, real: ArrayLike) -> np.ndarray:
        # clipped first, so that nothing grows to infinity
        real = np.clip(self.check_reals(real), *self.bounds)
        return Int(self.bits).encode(real * 2.0**self.fraction)

    def decode(self, codes: ArrayLike) -> np.ndarray:
        return self.to_fixed(codes) / 2.0**self.fraction

    def to_fixed(self, codes: ArrayLike) -> np.ndarray:
        return Int(self.bits).to_fixed(self.check_codes(codes))
