"""Formats for products without a multiplier: signs, and signed powers of two."""

import operator
from abc import abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import FixedPoint, Format
from sw_ref.formats.tabulated import Tabulated
from sw_ref.interval import Interval

__all__ = ["Bipolar", "PowerOfTwo", "SignedPowers", "SumOfPowers", "Ternary"]


@dataclass(frozen=True)
class Bipolar(Format):
    """Odd integers, each bit of which is a sign: bit i means ``+2**i`` if set, else ``-2**i``.

    Code u stands for ``2 * u - (2**bits - 1)``, from ``-(2**bits - 1)`` to ``2**bits - 1`` in steps of 2; there is
    no 0. bipolar1 is -1 and +1. Bipolar-INT (arXiv 2409.17870); also how LUT Tensor Core re-reads unsigned weights.

    An even integer is halfway between two values; of these it is encoded as the one with the even code.

    Parameters
    ----------
    bits : int
        Width, from 1 to 8.
    """

    bits: int

    def __post_init__(self) -> None:
        _check_bits(self, range(1, 9), "from 1 to 8")

    @property
    def name(self) -> str:
        return f"bipolar{self.bits}"

    @property
    def bounds(self) -> tuple[float, float]:
        return -self._largest, self._largest

    @property
    def fixed(self) -> FixedPoint:
        return FixedPoint(Interval(-self._largest, self._largest), lsb=0)

    def encode(self, real: ArrayLike) -> np.ndarray:
        # clipped first, so that nothing large is added to
        real = np.clip(self.check_reals(real), *self.bounds)
        return np.rint((real + self._largest) / 2).astype(np.uint32)

    def decode(self, codes: ArrayLike) -> np.ndarray:
        return self.to_fixed(codes).astype(np.float64)

    def to_fixed(self, codes: ArrayLike) -> np.ndarray:
        return 2 * self.check_codes(codes).astype(np.int64) - self._largest

    @property
    def _largest(self) -> int:
        return (1 << self.bits) - 1


@dataclass(frozen=True)
class Ternary(Format):
    """-1, 0 and 1 in two bits: ``bit 0 - bit 1``.

    Code 0 is 0, 1 is +1, 2 is -1; code 3 is 0 too, and nothing is encoded as it. BitNet b1.58 (arXiv 2402.17764).
    """

    @property
    def name(self) -> str:
        return "ternary"

    @property
    def bits(self) -> int:
        return 2

    @property
    def bounds(self) -> tuple[float, float]:
        return -1, 1

    @property
    def fixed(self) -> FixedPoint:
        return FixedPoint(Interval(-1, 1), lsb=0)

    def encode(self, real: ArrayLike) -> np.ndarray:
        values = np.clip(np.rint(self.check_reals(real)), *self.bounds)
        return ((values > 0) + 2 * (values < 0)).astype(np.uint32)

    def decode(self, codes: ArrayLike) -> np.ndarray:
        return self.to_fixed(codes).astype(np.float64)

    def to_fixed(self, codes: ArrayLike) -> np.ndarray:
        codes = self.check_codes(codes).astype(np.int64)
        return (codes & 1) - (codes >> 1)


@dataclass(frozen=True)
class SignedPowers(Tabulated):
    """Sign and magnitude, the magnitude being a sum of powers of two: one for each of n fields of k bits.

    The sign is the top bit. Field i has bits ``i*k`` to ``i*k + k - 1``; as 0 it stands for 0, and as e for
    ``2**(i + n*(e - 1))``. So every value but 0 has one code; 0 is encoded as code 0, and never as -0, which is the
    sign alone.
    """

    bits: int

    @property
    @abstractmethod
    def fields(self) -> int:
        """n, how many powers of two are summed."""

    @property
    def field_bits(self) -> int:
        """k, the width of a field."""
        return (self.bits - 1) // self.fields

    @property
    def terms(self) -> tuple[tuple[int, ...], ...]:
        """``terms[i][e]`` is what field i stands for as e: 0, then powers of two, ascending."""
        powers = range((1 << self.field_bits) - 1)
        return tuple((0, *(1 << i + self.fields * e for e in powers)) for i in range(self.fields))

    @property
    def integers(self) -> tuple[int, ...]:
        # the last factor of a product runs fastest, as the lowest field does
        magnitudes = [sum(terms) for terms in product(*reversed(self.terms))]
        return tuple(sign * magnitude for sign in (1, -1) for magnitude in magnitudes)


@dataclass(frozen=True)
class PowerOfTwo(SignedPowers):
    """Zero or a signed power of two: ``+-2**(e - 1)`` with the exponent e below the sign, 0 if e is 0.

    pot4 is 0, +-1, +-2, ... +-64.

    Parameters
    ----------
    bits : int
        Width, from 3 to 5.
    """

    def __post_init__(self) -> None:
        _check_bits(self, range(3, 6), "from 3 to 5")

    @property
    def fields(self) -> int:
        return 1

    @property
    def name(self) -> str:
        return f"pot{self.bits}"


@dataclass(frozen=True)
class SumOfPowers(SignedPowers):
    """Additive powers of two: a sign and n fields of 2 bits, each 0 or one of three powers of two.

    apot5 is a sign, 0, 1, 4 or 16, and 0, 2, 8 or 32: up to 48. apot7 has three such terms, up to 448. APoT (Li et al.,
    ICLR 2020, arXiv 1909.13144) with k = 2, its smallest power of two being 1 here.

    Parameters
    ----------
    bits : {5, 7}
        Width.
    """

    def __post_init__(self) -> None:
        _check_bits(self, (5, 7), "5 or 7")

    @property
    def name(self) -> str:
        return f"apot{self.bits}"

    @property
    def fields(self) -> int:
        return (self.bits - 1) // 2


def _check_bits(fmt: Format, allowed: Collection[int], words: str) -> None:
    object.__setattr__(fmt, "bits", operator.index(fmt.bits))
    if fmt.bits not in allowed:
        raise ValueError(f"Bits of {type(fmt).__name__} must be {words}, not {fmt.bits}")
