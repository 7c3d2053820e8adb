"""Progressive quantization: 4-bit groups of 8-bit weights, whose scales and zero points are integers too."""

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import Int
from sw_ref.groups import group_of, group_slices
from sw_ref.locate import first_where
from sw_ref.quantize.uniform import Quantized, finite_matrix

__all__ = ["Progressive", "ProgressiveQuantizer"]

_CODE = Int(4, signed=False)

# What the two levels give at most, round(2 * 127 / 15).
_LARGEST_SCALE = 17


@dataclass(frozen=True, eq=False, kw_only=True)
class Progressive:
    """A weight in two levels: ``real = channel_scale * w8`` with the int8 ``w8 = scale * (code - zero_point)``.

    Parameters
    ----------
    groups : Quantized
        Codes (K, N) of uint4; ``scale`` (G, N) is an integer from 1 to 17, in float32, and ``zero_point`` (G, N) one
        from 0 to 15.
    channel_scale : float32 array (1, N)
    """

    groups: Quantized
    channel_scale: np.ndarray

    def integers(self) -> np.ndarray:
        """w8, what the first level left, as the second holds it: int64 (K, N)."""
        return self.groups.reals().astype(np.int64)

    def dequantize(self) -> np.ndarray:
        """The real tensor that the codes stand for: float32, each element rounded once."""
        return (self.integers() * self.channel_scale.astype(np.float64)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class ProgressiveQuantizer:
    """QoQ, two levels of integers (QServe, arXiv 2405.04532).

    Level 1, for each column: ``channel_scale = max|w| / limit``, ``w8 = round(w / channel_scale)``. Level 2, for each
    group, its range widened to hold 0: ``scale = max(1, round((max - min) / 15))``,
    ``zero_point = clip(round(-min / scale))``, ``code = clip(round(w8 / scale) + zero_point)``. Rounding is half to
    even, clipping to 0 ... 15, and level 1 is float32 arithmetic. A column of zeros has a scale of 0.

    Why w8 stops short of 127: rounding to a group's grid may go beyond the group's range, and ``(code - zero_point) *
    scale``, which the hardware forms, must still be an int8. With limit 119 it is from -121 to 121; 120 is too much,
    since then it can be 128.

    Parameters
    ----------
    group_size : int
        Neighbours along K in a group; 0 for all of K. The last group may be shorter.
    limit : int
        Largest magnitude of level 1, from 1 to 127.
    """

    group_size: int = 128
    limit: int = 119

    def __post_init__(self) -> None:
        if not 1 <= operator.index(self.limit) <= 127:
            raise ValueError(f"Limit must be from 1 to 127, not {self.limit}")

    def quantize(self, weight: ArrayLike, *, what: str = "weight") -> Progressive:
        """Both levels of ``weight`` (K, N), which is taken as float32.

        Raises
        ------
        ValueError
            If ``weight`` is no matrix, is empty, or has an element that is no finite float32.
        """
        weight = finite_matrix(weight, what)
        channel_scale = np.abs(weight).max(axis=0, keepdims=True) / np.float32(self.limit)
        level1 = np.divide(weight, channel_scale, out=np.zeros_like(weight), where=channel_scale > 0)
        level1 = np.clip(np.rint(level1), -self.limit, self.limit).astype(np.float64)
        low, high = self._ranges(level1)
        return self._coded(level1, np.maximum(np.rint((high - low) / _CODE.interval.hi), 1), channel_scale)

    def from_values(self, values: np.ndarray, *, what: str = "weight") -> Progressive:
        """Codes that stand for just these integers (K, N), with channel scales of 1.

        The scale of a group is 1, or else the greatest common divisor of its integers.

        Raises
        ------
        ValueError
            If a group has integers that no scale gives; names the first of them.
        """
        starts = [group.start for group in group_slices(len(values), self.group_size)]
        low, high = self._ranges(values)
        divisor = np.maximum(np.gcd.reduceat(np.abs(values), starts), 1)
        scale = np.where(high - low > _CODE.interval.hi, divisor, 1)
        one = np.ones((1, values.shape[1]), np.float32)
        coded = self._coded(values.astype(np.float64), np.minimum(scale, _LARGEST_SCALE), one)
        wrong = (coded.integers() != values) | (np.abs(values) > 127)
        if wrong.any():
            raise ValueError(
                f"{first_where(wrong, values, what=what)}, which the 16 codes and the integer scale of its group do "
                "not give; given as floats, they are quantized"
            )
        return coded

    def _ranges(self, level1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The least and the largest of each group (G, N), 0 among them."""
        starts = [group.start for group in group_slices(len(level1), self.group_size)]
        return np.minimum(np.minimum.reduceat(level1, starts), 0), np.maximum(np.maximum.reduceat(level1, starts), 0)

    def _coded(self, level1: np.ndarray, scale: np.ndarray, channel_scale: np.ndarray) -> Progressive:
        """Level 2 of integers, with these scales (G, N)."""
        low, _high = self._ranges(level1)
        zero_point = np.clip(np.rint(-low / scale), *_CODE.bounds)
        group = group_of(len(level1), self.group_size)
        return Progressive(
            groups=Quantized(
                codes=_CODE.encode(np.rint(level1 / scale[group]) + zero_point[group]),
                scale=scale.astype(np.float32),
                zero_point=zero_point.astype(np.int64),
                format=_CODE,
                k_axis=0,
                group_size=self.group_size,
            ),
            channel_scale=channel_scale,
        )
