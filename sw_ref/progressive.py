"""Progressive quantization: 4-bit groups of 8-bit weights, whose scales and zero points are integers too."""

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats import Int
from sw_ref.groups import group_of, group_slices
from sw_ref.quantize import Quantized, finite_matrix

__all__ = ["Progressive", "ProgressiveQuantizer"]


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
    even, clipping to 0 ... 15, and level 1 is float32 arithmetic. A scale that is 0 in float32 becomes 1.

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
        channel_scale[channel_scale == 0] = 1
        level1 = np.clip(np.rint(weight / channel_scale), -self.limit, self.limit).astype(np.float64)

        code = Int(4, signed=False)
        starts = [group.start for group in group_slices(len(weight), self.group_size)]
        low = np.minimum(np.minimum.reduceat(level1, starts), 0)
        high = np.maximum(np.maximum.reduceat(level1, starts), 0)
        scale = np.maximum(np.rint((high - low) / code.interval.hi), 1)
        zero_point = np.clip(np.rint(-low / scale), *code.bounds)
        group = group_of(len(weight), self.group_size)
        return Progressive(
            groups=Quantized(
                codes=code.encode(np.rint(level1 / scale[group]) + zero_point[group]),
                scale=scale.astype(np.float32),
                zero_point=zero_point.astype(np.int64),
                format=code,
                k_axis=0,
                group_size=self.group_size,
            ),
            channel_scale=channel_scale,
        )
