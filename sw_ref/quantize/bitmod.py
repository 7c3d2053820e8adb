"""BitMoD's quantizer: for each group of weights the special value with the least squared error."""

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.bitmod import SELECTS, BitMoD, SelectedBitMoD
from sw_ref.groups import group_of, group_slices
from sw_ref.locate import first_where
from sw_ref.quantize.uniform import finite_matrix

__all__ = ["BitMoDQuantized", "BitMoDQuantizer"]

SCALE_LIMIT = 127


@dataclass(frozen=True, eq=False, kw_only=True)
class BitMoDQuantized:
    """A weight of BitMoD: ``real[k, n] = integer[k, n] * scale[g, n] * channel_scale[n]``.

    Parameters
    ----------
    codes : uint32 array (K, N)
        Of ``BitMoD(bits, select)``, with the select of their group.
    select : int64 array (G, N)
        From 0 to 3.
    scale : int64 array (G, N)
        From 1 to 127.
    channel_scale : float32 array (1, N)
    bits : {3, 4}
    group_size : int
        Codes along K that share a select and a scale; 0 if all of them do.
    """

    codes: np.ndarray
    select: np.ndarray
    scale: np.ndarray
    channel_scale: np.ndarray
    bits: int
    group_size: int

    def selected(self) -> np.ndarray:
        """Codes of ``SelectedBitMoD(bits)``, uint32 (K, N)."""
        return self.codes | self.along_k(self.select).astype(np.uint32) << self.bits

    def integers(self) -> np.ndarray:
        """What the codes stand for, int64 (K, N)."""
        return SelectedBitMoD(self.bits).to_fixed(self.selected())

    def reals(self) -> np.ndarray:
        """The real weight that the codes stand for, in float64."""
        return self.integers() * self.along_k(self.scale) * self.channel_scale.astype(np.float64)

    def dequantize(self) -> np.ndarray:
        """The real weight that the codes stand for: float32, each element rounded once."""
        return self.reals().astype(np.float32)

    def along_k(self, parameter: np.ndarray) -> np.ndarray:
        """What is shaped as the scales as it broadcasts over the codes: each group's repeated for its elements."""
        return parameter[group_of(len(self.codes), self.group_size)]


@dataclass(frozen=True, kw_only=True)
class BitMoDQuantizer:
    """How a real weight becomes BitMoD codes.

    For each group and select, the scale is ``max|w| / max|integer|`` and an integer the one nearest to ``w / scale``;
    the select of least squared error is taken, the lowest of several. The scales of a channel then become integers,
    ``clip(round(scale / channel_scale), 1, 127)`` with ``channel_scale = (largest scale) / 127``, and the codes are
    those of the integers nearest to ``w / (scale * channel_scale)``. Scales are float32, the rest float64. A column of
    zeros has a channel scale of 0.

    BitMoD (arXiv 2411.11745, sections III and IV). That codes are chosen again after their scales is this project's.

    Parameters
    ----------
    bits : {3, 4}
    group_size : int
        Neighbours along K; 0 for all of K. The last group may be shorter.
    """

    bits: int
    group_size: int = 128

    def __post_init__(self) -> None:
        BitMoD(self.bits, 0)
        if operator.index(self.group_size) < 0:
            raise ValueError(f"Group size must be at least 0, not {self.group_size}")

    def quantize(self, weight: ArrayLike, *, what: str = "weight") -> BitMoDQuantized:
        """Codes of ``weight`` (K, N), taken as float32.

        Raises
        ------
        ValueError
            If ``weight`` is no matrix, is empty, or has an element that is no finite float32.
        """
        weight = finite_matrix(weight, what)
        starts = [group.start for group in group_slices(len(weight), self.group_size)]
        groups = group_of(len(weight), self.group_size)
        amax = np.maximum.reduceat(np.abs(weight), starts)
        least, select, scale = np.full(amax.shape, np.inf), np.zeros(amax.shape, dtype=np.int64), amax
        for each in SELECTS:
            fmt = BitMoD(self.bits, each)
            tried = amax / np.float32(max(map(abs, fmt.bounds)))
            values = fmt.to_fixed(fmt.encode(_divided(weight, tried[groups])))
            error = np.add.reduceat((weight - values * tried[groups].astype(np.float64)) ** 2, starts)
            better = error < least
            least = np.where(better, error, least)
            select, scale = np.where(better, each, select), np.where(better, tried, scale)
        channel_scale = scale.max(axis=0, keepdims=True) / np.float32(SCALE_LIMIT)
        scale = np.clip(np.rint(_divided(scale, channel_scale)), 1, SCALE_LIMIT).astype(np.int64)
        return self._coded(weight, select, scale, channel_scale)

    def from_values(self, values: np.ndarray, *, what: str = "weight") -> BitMoDQuantized:
        """Codes that stand for just these integers (K, N), with channel scales of 1.

        For each group the lowest select that holds them, with the largest of its scales.

        Raises
        ------
        ValueError
            If a group has integers that no select and scale give; names the first of them.
        """
        starts = [group.start for group in group_slices(len(values), self.group_size)]
        amax = np.maximum.reduceat(np.abs(values), starts)
        one = np.ones((1, values.shape[1]), np.float32)
        select, scale = np.zeros(amax.shape, np.int64), np.ones(amax.shape, np.int64)
        found = np.zeros(amax.shape, bool)
        for each in SELECTS:
            for largest in sorted({abs(i) for i in BitMoD(self.bits, each).integers} - {0}):
                tried = np.clip(amax // largest, 1, SCALE_LIMIT)
                coded = self._coded(values, np.full(amax.shape, each), tried, one)
                better = ~found & np.logical_and.reduceat(coded.integers() * coded.along_k(tried) == values, starts)
                found |= better
                select, scale = np.where(better, each, select), np.where(better, tried, scale)
        coded = self._coded(values, select, scale, one)
        if not found.all():
            wrong = coded.along_k(~found) & (coded.reals() != values)
            raise ValueError(
                f"{first_where(wrong, values, what=what)}, which BitMoD's values of {self.bits} bits and the integer "
                "scale of its group do not give; given as floats, they are quantized"
            )
        return coded

    def _coded(
        self, weight: np.ndarray, select: np.ndarray, scale: np.ndarray, channel_scale: np.ndarray
    ) -> BitMoDQuantized:
        """Codes nearest to ``weight`` over the scales."""
        groups = group_of(len(weight), self.group_size)
        scaled = _divided(weight, (scale * channel_scale.astype(np.float64))[groups])
        codes = [BitMoD(self.bits, each).encode(scaled) for each in SELECTS]
        return BitMoDQuantized(
            codes=np.choose(select[groups], codes),
            select=select,
            scale=scale,
            channel_scale=channel_scale,
            bits=self.bits,
            group_size=self.group_size,
        )


def _divided(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """``weight / scale`` in float64, 0 where the scale is."""
    return np.divide(weight, scale, out=np.zeros(weight.shape), where=scale > 0, dtype=np.float64)
