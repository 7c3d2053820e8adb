"""Quantizers: real tensors to codes, scales and zero points, and back."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats import Format, Int
from sw_ref.groups import group_of, group_slices
from sw_ref.locate import first_where

__all__ = ["GRANULARITIES", "SCHEMES", "Granularity", "Quantized", "Quantizer", "Scheme", "sqnr_db"]

Scheme = Literal["symmetric", "asymmetric"]
Granularity = Literal["tensor", "channel", "group"]
SCHEMES: tuple[Scheme, ...] = ("symmetric", "asymmetric")
GRANULARITIES: tuple[Granularity, ...] = ("tensor", "channel", "group")


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantized:
    """A quantized operand: ``real = scale * (value of the code - zero_point)``.

    Parameters
    ----------
    codes : uint32 array, (K, N) for a weight or (M, K) for an activation
    scale : float32 array
        ``k_axis=0``: (1, 1), (1, N) or (G, N); ``k_axis=1``: (1, 1), (M, 1) or (M, G).
    zero_point : int64 array, shaped as ``scale``
        Values, not codes; all 0 if the scheme is symmetric.
    format : Format
        What the codes mean.
    k_axis : {0, 1}
        The axis along which products are summed.
    group_size : int
        Codes along K that share a scale; 0 if all of them do.
    """

    codes: np.ndarray
    scale: np.ndarray
    zero_point: np.ndarray
    format: Format
    k_axis: int
    group_size: int = 0

    def dequantize(self) -> np.ndarray:
        """The real tensor that the codes stand for: float32, each element rounded once."""
        values = self.format.decode(self.codes) - self._along_k(self.zero_point)
        return (values * self._along_k(self.scale)).astype(np.float32)

    def _along_k(self, parameter: np.ndarray) -> np.ndarray:
        return _along_k(parameter, self.codes.shape, self.k_axis, self.group_size)


@dataclass(frozen=True)
class Quantizer:
    """How a real tensor becomes codes.

    ``symmetric``: ``scale = max|x| / q`` with ``q = min(hi, -lo)`` of the format's bounds, which is
    ``2**(bits-1) - 1`` for an integer format; ``value = round(x / scale)``; the zero point is 0. No value
    passes -q, so ``-2**(bits-1)`` stays unused and int2 is ternary. Needs values of both signs: neither an
    unsigned format nor int1 will do.

    ``asymmetric``: with the range of x widened to hold 0, ``scale = (max - min) / (2**bits - 1)``,
    ``zero_point = clip(round(lo - min / scale))``, ``value = clip(round(x / scale) + zero_point)``. Needs an
    integer format, signed or not. 0 is always exact; one bit holds 0 and one other value.

    Arithmetic is float32 throughout and rounds half to even, as the ONNX operators DynamicQuantizeLinear and
    QuantizeLinear do, so results are reproducible bit for bit. A scale that is 0 in float32, as that of zeros
    is, becomes 1.

    Parameters
    ----------
    format : Format
    scheme : {"symmetric", "asymmetric"}
    granularity : {"tensor", "channel", "group"}
        What shares a scale: everything; one index of the axis other than K (a weight's output column, an
        activation's token); ``group_size`` neighbours along K in one such channel.
    group_size : int
        At least 1 if ``granularity`` is ``group``, else 0. The last group may be shorter.
    """

    format: Format
    scheme: Scheme = "symmetric"
    granularity: Granularity = "tensor"
    group_size: int = 0

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ValueError(f"Scheme must be one of {', '.join(SCHEMES)}, not {self.scheme!r}")
        if self.granularity not in GRANULARITIES:
            raise ValueError(f"Granularity must be one of {', '.join(GRANULARITIES)}, not {self.granularity!r}")
        if self.granularity == "group" and self.group_size < 1:
            raise ValueError(f"Group size must be at least 1, not {self.group_size}")
        if self.granularity != "group" and self.group_size != 0:
            raise ValueError(f"Group size must be 0 per {self.granularity}, not {self.group_size}")
        if self.scheme == "symmetric" and self._symmetric_bound <= 0:
            raise ValueError(f"Symmetric format must hold values of both signs, which {self.format.name} does not")
        if self.scheme == "asymmetric" and not isinstance(self.format, Int):
            raise ValueError(f"Asymmetric format must be an integer format, not {self.format.name}")

    def quantize(self, x: ArrayLike, *, k_axis: int, what: str = "x") -> Quantized:
        """Quantize ``x``, which is taken as float32.

        Parameters
        ----------
        x : real array, (K, N) with ``k_axis=0`` or (M, K) with ``k_axis=1``
        k_axis : {0, 1}
        what : str
            The tensor's name in an error.

        Raises
        ------
        ValueError
            If ``x`` is not a matrix, is empty, or has an element or a range that is no finite float32.
        """
        x = _finite_matrix(x, what)
        if k_axis not in (0, 1):
            raise ValueError(f"K axis must be 0 or 1, not {k_axis!r}")
        low, high = self._ranges(x, k_axis)
        if self.scheme == "symmetric":
            scale = _nonzero(np.maximum(-low, high) / np.float32(self._symmetric_bound))
            zero_point = np.zeros(scale.shape, dtype=np.int64)
            bound = self._symmetric_bound
            values = np.clip(x / _along_k(scale, x.shape, k_axis, self.group_size), -bound, bound)
        else:
            scale, zero_point = self._affine(low, high, what)
            values = np.rint(x / _along_k(scale, x.shape, k_axis, self.group_size)).astype(np.float64)
            values += _along_k(zero_point, x.shape, k_axis, self.group_size)
        return Quantized(
            codes=self.format.encode(values),
            scale=scale,
            zero_point=zero_point,
            format=self.format,
            k_axis=k_axis,
            group_size=self.group_size,
        )

    @property
    def _symmetric_bound(self) -> float:
        lo, hi = self.format.bounds
        return min(hi, -lo)

    def _ranges(self, x: np.ndarray, k_axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Minimum and maximum of what shares a scale, shaped as the scales."""
        if self.granularity == "tensor":
            return x.min(keepdims=True), x.max(keepdims=True)
        starts = [group.start for group in group_slices(x.shape[k_axis], self.group_size)]
        return np.minimum.reduceat(x, starts, axis=k_axis), np.maximum.reduceat(x, starts, axis=k_axis)

    def _affine(self, low: np.ndarray, high: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
        """Scale and zero point of the asymmetric scheme."""
        lo, hi = self.format.bounds
        low, high = np.minimum(low, np.float32(0)), np.maximum(high, np.float32(0))
        with np.errstate(over="ignore"):
            extent = high - low
        if not np.isfinite(extent).all():
            raise ValueError(f"{what} must have a range that a float32 holds, not {low.min()!s} to {high.max()!s}")
        scale = _nonzero(extent / np.float32(hi - lo))
        zero_point = np.clip(np.rint(np.float32(lo) - low / scale), lo, hi).astype(np.int64)
        return scale, zero_point


def sqnr_db(reference: ArrayLike, approximate: ArrayLike) -> float:
    """Signal to quantization noise ratio, ``10 log10(sum(r**2) / sum((r - a)**2))`` dB.

    Infinite if the two are equal; minus infinite if the reference alone is all 0.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    reference = np.asarray(reference, dtype=np.float64)
    approximate = np.asarray(approximate, dtype=np.float64)
    if reference.shape != approximate.shape:
        raise ValueError(f"Approximate must have the reference's shape {reference.shape}, not {approximate.shape}")
    signal, noise = np.sum(reference**2), np.sum((reference - approximate) ** 2)
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


def _along_k(parameter: np.ndarray, shape: tuple[int, ...], k_axis: int, group_size: int) -> np.ndarray:
    """Scales or zero points as they broadcast over the operand: each group's repeated for its elements."""
    if not group_size:
        return parameter
    return np.take(parameter, group_of(shape[k_axis], group_size), axis=k_axis)


def _finite_matrix(x: ArrayLike, what: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        matrix = np.asarray(x).astype(np.float32)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"{what} must be a matrix with an element, not of shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{first_where(~np.isfinite(matrix), np.asarray(x), what=what)}, no finite float32")
    return matrix


def _nonzero(scale: np.ndarray) -> np.ndarray:
    return np.where(scale == 0, np.float32(1), scale)
