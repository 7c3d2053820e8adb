"""Affine groups: codes with a scale and an offset that are floats, as GGUF's Q4_1 and Q5_1 have them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.groups import group_of, group_slices
from sw_ref.locate import first_where
from sw_ref.quantize.uniform import finite_matrix

__all__ = ["AffineQuantized", "AffineQuantizer"]

# Largest magnitudes that are left as they are, for scales in FP16.
_PLAIN = 2.0**-8, 2.0**15


@dataclass(frozen=True, eq=False, kw_only=True)
class AffineQuantized:
    """A weight in affine groups: ``real[k, n] = (scale[g, n] * code[k, n] + offset[g, n]) * overall``.

    Parameters
    ----------
    codes : uint32 array (K, N)
        Unsigned integers.
    scale, offset : float64 array (G, N)
        Numbers of FP16.
    group_size : int
        Neighbours along K that share both; 0 for all of K.
    overall : float
        A power of two.
    """

    codes: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    group_size: int
    overall: float = 1.0

    def reals(self) -> np.ndarray:
        """The real weight that the codes stand for, in float64."""
        groups = group_of(len(self.codes), self.group_size)
        return (self.codes * self.scale[groups] + self.offset[groups]) * self.overall


@dataclass(frozen=True, kw_only=True)
class AffineQuantizer:
    """How a real weight becomes affine groups, as llama.cpp quantizes to Q4_1 and Q5_1.

    ::

        scale  = (max - min) / (2**bits - 1)
        code   = floor((w - min) / scale + 1/2)
        offset = min

    in float32, where ``min`` and ``max`` are those of the group; then scale and offset are rounded to FP16. Where the
    largest weight is beyond what FP16 holds well, a power of two is taken out of all first.

    Parameters
    ----------
    bits : int
        Width of a code.
    group_size : int
        Neighbours along K; 0 for all of K. The last group may be shorter.
    """

    bits: int
    group_size: int = 32

    def quantize(self, weight: ArrayLike, *, what: str = "weight") -> AffineQuantized:
        """Codes of ``weight`` (K, N), taken as float32.

        Raises
        ------
        ValueError
            If ``weight`` is no matrix, is empty, or has an element that is no finite float32.
        """
        weight = finite_matrix(weight, what)
        overall = _overall(float(np.abs(weight).max()))
        weight = np.ldexp(weight, -int(np.log2(overall))).astype(np.float32)
        starts = [group.start for group in group_slices(len(weight), self.group_size)]
        groups = group_of(len(weight), self.group_size)
        low, high = (reduction.reduceat(weight, starts) for reduction in (np.minimum, np.maximum))
        levels = (1 << self.bits) - 1
        scale = (high - low) / np.float32(levels)
        inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)
        steps = np.trunc((weight - low[groups]) * inverse[groups] + np.float32(0.5))
        return AffineQuantized(
            codes=np.clip(steps, 0, levels).astype(np.uint32),
            scale=scale.astype(np.float16).astype(np.float64),
            offset=low.astype(np.float16).astype(np.float64),
            group_size=self.group_size,
            overall=overall,
        )

    def from_values(self, values: np.ndarray, *, what: str = "weight") -> AffineQuantized:
        """Codes that stand for just these integers (K, N), with a scale of 1.

        Raises
        ------
        ValueError
            If a group spans more than the codes do, or has a least value that FP16 does not hold.
        """
        starts = [group.start for group in group_slices(len(values), self.group_size)]
        groups = group_of(len(values), self.group_size)
        low = np.minimum.reduceat(values, starts)
        codes = values - low[groups]
        with np.errstate(over="ignore"):
            held = low.astype(np.float16).astype(np.float64) == low
        wrong = (codes >= 1 << self.bits) | ~held[groups]
        if wrong.any():
            raise ValueError(
                f"{first_where(wrong, values, what=what)}, which codes of {self.bits} bits above the least of its "
                "group, a number of FP16, do not give; given as floats, they are quantized"
            )
        return AffineQuantized(
            codes=codes.astype(np.uint32),
            scale=np.ones(low.shape),
            offset=low.astype(np.float64),
            group_size=self.group_size,
        )


def _overall(largest: float) -> float:
    """The power of two to take out, for magnitudes up to ``largest``."""
    if not largest or _PLAIN[0] <= largest < _PLAIN[1]:
        return 1.0
    return 2.0 ** int(np.frexp(largest)[1])
