"""Codebooks: formats whose codes stand for values of any choice."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats import FixedPoint, Format
from sw_ref.interval import Interval
from sw_ref.locate import first_where

__all__ = ["NF4", "NF4_REALS", "Codebook"]

NF4_REALS = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""NormalFloat 4: quantiles of the normal distribution (Dettmers et al., QLoRA, arXiv 2305.14314, appendix E)."""


@dataclass(frozen=True)
class Codebook(Format):
    """Integers of any choice: code ``i`` stands for ``values[i]``.

    Parameters
    ----------
    values : tuple of int
        2, 4, ... 256 integers of 16 bits, ascending.
    label : str
        Name of a codebook that has one.
    """

    values: tuple[int, ...]
    label: str = ""

    def __post_init__(self) -> None:
        count = len(self.values)
        if not 2 <= count <= 256 or count & (count - 1):
            raise ValueError(f"Codebook must have 2, 4, 8, 16, 32, 64, 128 or 256 values, not {count}")
        if not all(-(1 << 15) <= value < 1 << 15 for value in self.values):
            raise ValueError(
                f"Codebook values must be from -32768 to 32767, not {min(self.values)} to {max(self.values)}"
            )
        if any(low >= high for low, high in zip(self.values, self.values[1:], strict=False)):
            raise ValueError(f"Codebook values must ascend, not be {', '.join(map(str, self.values))}")

    @property
    def bits(self) -> int:
        return len(self.values).bit_length() - 1

    @property
    def name(self) -> str:
        return self.label or f"codebook[{','.join(map(str, self.values))}]"

    @property
    def bounds(self) -> tuple[float, float]:
        return self.values[0], self.values[-1]

    @property
    def fixed(self) -> FixedPoint:
        return FixedPoint(Interval(self.values[0], self.values[-1]), lsb=0)

    def encode(self, real: ArrayLike) -> np.ndarray:
        """Codes of the nearest values; halfway between two, the lower one, as FLUTE's search of midpoints does."""
        real = np.asarray(real, dtype=np.float64)
        if np.isnan(real).any():
            raise ValueError(f"{first_where(np.isnan(real), real, what='value')}, which {self.name} lacks")
        values = np.array(self.values, dtype=np.float64)
        return np.searchsorted((values[1:] + values[:-1]) / 2, real).astype(np.uint32)

    def decode(self, codes: ArrayLike) -> np.ndarray:
        return self.to_fixed(codes).astype(np.float64)

    def to_fixed(self, codes: ArrayLike) -> np.ndarray:
        return np.array(self.values, dtype=np.int64)[self.check_codes(codes)]


NF4 = Codebook(tuple(round(127 * real) for real in NF4_REALS), label="nf4")
"""NF4 in 8 bits: the largest magnitude of a group becomes 127."""
