"""Quantizers: real tensors to codes, scales and zero points, and back."""

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import Format, Int
from sw_ref.formats.signs import Bipolar
from sw_ref.groups import group_of, group_slices
from sw_ref.locate import first_where

__all__ = ["GRANULARITIES", "SCHEMES", "Granularity", "Quantized", "Quantizer", "Scheme", "finite_matrix", "sqnr_db"]

Scheme = Literal["symmetric", "asymmetric", "absmean", "cast"]
Granularity = Literal["tensor", "channel", "group"]
SCHEMES: tuple[Scheme, ...] = ("symmetric", "asymmetric", "absmean", "cast")
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

    def reals(self) -> np.ndarray:
        """The real tensor that the codes stand for, in float64."""
        values = self.format.decode(self.codes) - self.along_k(self.zero_point)
        return values * self.along_k(self.scale)

    def dequantize(self) -> np.ndarray:
        """The real tensor that the codes stand for: float32, each element rounded once."""
        return self.reals().astype(np.float32)

    def along_k(self, parameter: np.ndarray) -> np.ndarray:
        """What is shaped as the scales as it broadcasts over the codes: each group's repeated for its elements."""
        return _along_k(parameter, self.codes.shape, self.k_axis, self.group_size)


@dataclass(frozen=True)
class Quantizer:
    """How a real tensor becomes codes.

    ``symmetric``: ``scale = max|x| / q`` with q the format's full scale, which is ``min(hi, -lo)`` of its bounds
    unless it says less, and ``2**(bits-1) - 1`` for an integer format; ``value = round(x / scale)``; the zero point is
    0. No value passes -q, so ``-2**(bits-1)`` stays unused and int2 is ternary. Needs values of both signs: neither an
    unsigned format nor int1 will do.

    ``asymmetric``: with the range of x widened to hold 0, ``scale = (max - min) / (2**bits - 1)``,
    ``zero_point = clip(round(lo - min / scale))``, ``value = clip(round(x / scale) + zero_point)``. Needs an
    integer format, signed or not, or a bipolar one. 0 is always exact; one bit holds 0 and one other value. A
    bipolar format has the codes of the unsigned one, read as ``2*value + 1 - 2**bits``: its zero point is odd, and
    its scale half (LUT Tensor Core, arXiv 2408.06003).

    ``absmean``: as symmetric, but ``scale = mean|x|``. Needs a format with q = 1: ternary, as of BitNet b1.58
    (arXiv 2402.17764) and MatMul-free LM (arXiv 2406.02528), or bipolar1, as of XNOR-Net (arXiv 1603.05279). Where the
    format holds ``x / max|x|``, x is quantized already: the scale is ``max|x|``, and x comes back unchanged.

    ``cast``: ``value = x`` rounded, and the scale 1, for formats that hold what is quantized as it is. Per tensor. The
    scale is the power of two nearest to 1 with which ``max|x| / scale`` is neither beyond the bounds, unless the format
    has a code for that, nor below :attr:`sw_ref.formats.base.Format.full_precision`.

    Arithmetic is float32 throughout (but for the sum of a mean, which is rounded to it) and rounds half to even, as
    the ONNX operators DynamicQuantizeLinear and QuantizeLinear do, so results are reproducible bit for bit. The scale
    of zeros alone is 0, so that they are 0 in every format; no other scale is less than the least float32.

    What is in a format already comes back unchanged if it is what the scale makes of codes: with ``cast``, always; else
    where the largest magnitude of all that shares a scale has the largest code. Integers that are to stay what they
    are do not need a quantizer: see :meth:`sw_ref.formats.base.Format.from_values`.

    Parameters
    ----------
    format : Format
    scheme : {"symmetric", "asymmetric", "absmean", "cast"}
    granularity : {"tensor", "channel", "group"}
        What shares a scale: everything; one index of the axis other than K (a weight's output column, an
        activation's token); ``group_size`` neighbours along K in one such channel.
    group_size : int
        At least 1 if ``granularity`` is ``group``, else 0. The last group may be shorter.
    clip_search : int
        n, how many narrower ranges are tried: of the evenly spaced ratios 1, n/(n+1), ... 1/(n+1) by which min and
        max are multiplied first, each scale takes the one of least squared error, the largest of several. Not for
        absmean and cast.
    power_of_two : bool
        Whether scales are powers of two, the least that clip nothing: only with symmetric, without a clip search.
    """

    format: Format
    scheme: Scheme = "symmetric"
    granularity: Granularity = "tensor"
    group_size: int = 0
    clip_search: int = 0
    power_of_two: bool = False

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
        if self.scheme == "asymmetric" and not isinstance(self.format, Int | Bipolar):
            raise ValueError(f"Asymmetric format must be an integer or bipolar format, not {self.format.name}")
        if self.scheme == "absmean" and self._symmetric_bound != 1:
            raise ValueError(f"Absmean format must be ternary or bipolar1, not {self.format.name}")
        if operator.index(self.clip_search) < 0:
            raise ValueError(f"Clip search must be at least 0, not {self.clip_search}")
        if self.scheme in ("absmean", "cast") and self.clip_search:
            raise ValueError(f"Clip search must be 0 with {self.scheme}, not {self.clip_search}")
        if self.power_of_two and (self.scheme != "symmetric" or self.clip_search):
            raise ValueError("Scales that are powers of two take a symmetric scheme and no clip search")
        if self.scheme == "cast" and self.granularity != "tensor":
            raise ValueError(f"Granularity must be tensor with cast, not {self.granularity}")

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
        x = finite_matrix(x, what)
        if k_axis not in (0, 1):
            raise ValueError(f"K axis must be 0 or 1, not {k_axis!r}")
        if self.scheme == "absmean":
            return self._symmetric(x, self._mean_magnitude(x, k_axis), k_axis)
        if self.scheme == "cast":
            return self._cast(x, k_axis)
        ratios = 1 - np.arange(self.clip_search + 1, dtype=np.float32) / np.float32(self.clip_search + 1)
        low, high = self._reduce(np.minimum, x, k_axis), self._reduce(np.maximum, x, k_axis)
        if self.scheme == "symmetric":
            amax = np.maximum(-low, high)
            scale = _positive(amax / np.float32(self.format.full_scale), amax)
            if self.power_of_two:
                mantissa, exponent = np.frexp(scale)
                # of 0 it stays 0
                scale = np.where(mantissa == 0, scale, np.ldexp(np.float32(1), exponent - (mantissa == 0.5)))
            tries = (self._symmetric(x, ratio * scale, k_axis) for ratio in ratios)
        else:
            low, high = np.minimum(low, np.float32(0)), np.maximum(high, np.float32(0))
            with np.errstate(over="ignore"):
                if not np.isfinite(high - low).all():
                    held = f"not {low.min()!s} to {high.max()!s}"
                    raise ValueError(f"{what} must have a range that a float32 holds, {held}")
            tries = (self._asymmetric(x, ratio * low, ratio * high, k_axis) for ratio in ratios)
        return self._best(x, tries)

    def quantize_as(self, x: ArrayLike, like: Quantized, *, k_axis: int, what: str = "x") -> Quantized:
        """Quantize ``x`` with the one scale and zero point that ``like`` has, as calibration left them.

        Raises
        ------
        ValueError
            As `quantize`; or if ``like`` has several scales.
        """
        if like.scale.size != 1:
            raise ValueError(f"Calibration must leave one scale for all, not {like.scale.size}")
        return self._with_scales(finite_matrix(x, what), like, k_axis)

    def quantize_rows(self, x: ArrayLike, like: Quantized, *, what: str = "weight") -> Quantized:
        """Quantize rows of K of a weight (K, N) with the scales and zero points (1, N) that ``like`` has.

        Raises
        ------
        ValueError
            As `quantize`; or if ``like`` has scales of several groups.
        """
        x = finite_matrix(x, what)
        if like.scale.shape != (1, x.shape[1]):
            raise ValueError(f"Rows must have scales of shape {(1, x.shape[1])}, not {like.scale.shape}")
        return self._with_scales(x, like, 0)

    def _with_scales(self, x: np.ndarray, like: Quantized, k_axis: int) -> Quantized:
        if self.scheme != "asymmetric":
            return self._symmetric(x, like.scale, k_axis)
        steps, step = self._steps()
        zero_point = (like.zero_point - self.format.bounds[0]) / step + steps.bounds[0]
        return self._from_steps(x, like.scale, zero_point, k_axis)

    @property
    def _symmetric_bound(self) -> float:
        lo, hi = self.format.bounds
        return min(hi, -lo)

    def _reduce(self, reduction: np.ufunc, x: np.ndarray, k_axis: int) -> np.ndarray:
        """``reduction`` over all that shares a scale, shaped as the scales."""
        if self.granularity == "tensor":
            return reduction.reduce(x, axis=None, keepdims=True)
        starts = [group.start for group in group_slices(x.shape[k_axis], self.group_size)]
        return reduction.reduceat(x, starts, axis=k_axis)

    def _mean_magnitude(self, x: np.ndarray, k_axis: int) -> np.ndarray:
        """Scales of absmean."""
        magnitude = np.abs(x)
        mean = self._reduce(np.add, magnitude.astype(np.float64), k_axis)
        mean /= self._reduce(np.add, np.ones(x.shape), k_axis)
        amax = self._reduce(np.maximum, magnitude, k_axis)
        largest = _along_k(amax, x.shape, k_axis, self.group_size)
        held = (magnitude == largest) | ((magnitude == 0) & self.format.holds_zero)
        coded = self._reduce(np.logical_and, held, k_axis)
        return np.where(coded, amax, _positive(mean.astype(np.float32), amax))

    def _cast(self, x: np.ndarray, k_axis: int) -> Quantized:
        scale = np.full((1, 1), self._power_of_two(float(np.abs(x).max())), np.float32)
        codes = self.format.encode(x.astype(np.float64) / scale)
        return self._quantized(codes, scale, np.zeros((1, 1), np.int64), k_axis)

    def _power_of_two(self, amax: float) -> float:
        """The scale of cast."""
        form, bound = self.format, self._symmetric_bound
        if amax > bound and form.saturates:
            # frexp rounds up to the power above; one less may do
            power = 2.0 ** (math.frexp(amax / bound)[1] - 1)
            return power if amax / power <= bound else 2 * power
        if 0 < amax < form.full_precision:
            return 2.0 ** -math.ceil(math.log2(form.full_precision / amax))
        return 1.0

    def _symmetric(self, x: np.ndarray, scale: np.ndarray, k_axis: int) -> Quantized:
        bound = self._symmetric_bound
        values = np.clip(x / _along_k(_nonzero(scale), x.shape, k_axis, self.group_size), -bound, bound)
        zero_point = np.zeros(scale.shape, dtype=np.int64)
        return self._quantized(self.format.encode(values), scale, zero_point, k_axis)

    def _asymmetric(self, x: np.ndarray, low: np.ndarray, high: np.ndarray, k_axis: int) -> Quantized:
        lo, hi = self.format.bounds
        steps, step = self._steps()
        scale = _positive((high - low) / np.float32(hi - lo), high - low)
        zero_point = np.rint(np.float32(steps.interval.lo) - low / (step * _nonzero(scale)))
        return self._from_steps(x, scale, np.clip(zero_point, *steps.bounds), k_axis)

    def _steps(self) -> tuple[Int, int]:
        """The integers that count an asymmetric format's steps, and its step: 2 of a bipolar one."""
        if isinstance(self.format, Bipolar):
            return Int(self.format.bits, signed=False), 2
        assert isinstance(self.format, Int)
        return self.format, 1

    def _from_steps(self, x: np.ndarray, scale: np.ndarray, zero_point: np.ndarray, k_axis: int) -> Quantized:
        steps, step = self._steps()
        step_scale = step * _nonzero(scale)
        values = np.rint(x / _along_k(step_scale, x.shape, k_axis, self.group_size)).astype(np.float64)
        values += _along_k(zero_point, x.shape, k_axis, self.group_size)
        return self._quantized(steps.encode(values), scale, self.format.to_fixed(steps.encode(zero_point)), k_axis)

    def _quantized(self, codes: np.ndarray, scale: np.ndarray, zero_point: np.ndarray, k_axis: int) -> Quantized:
        return Quantized(
            codes=codes,
            scale=scale,
            zero_point=zero_point,
            format=self.format,
            k_axis=k_axis,
            group_size=self.group_size,
        )

    def _best(self, x: np.ndarray, tries: Iterator[Quantized]) -> Quantized:
        """For each scale the first of the tries with the least squared error."""
        best = next(tries)
        if not self.clip_search:
            return best
        least = self._squared_error(x, best)
        for other in tries:
            error = self._squared_error(x, other)
            better = error < least
            least = np.where(better, error, least)
            best = replace(
                best,
                codes=np.where(best.along_k(better), other.codes, best.codes),
                scale=np.where(better, other.scale, best.scale),
                zero_point=np.where(better, other.zero_point, best.zero_point),
            )
        return best

    def _squared_error(self, x: np.ndarray, quantized: Quantized) -> np.ndarray:
        return self._reduce(np.add, (x - quantized.reals()) ** 2, quantized.k_axis)


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


def finite_matrix(x: ArrayLike, what: str) -> np.ndarray:
    """``x`` as a float32 matrix; ValueError if it is none, is empty or has an element that is not finite."""
    with np.errstate(over="ignore"):
        matrix = np.asarray(x).astype(np.float32)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"{what} must be a matrix with an element, not of shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{first_where(~np.isfinite(matrix), np.asarray(x), what=what)}, no finite float32")
    return matrix


def _positive(scale: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """``scale``, but the least float32 where it is 0 and ``extent`` is not."""
    return np.where(extent > 0, np.maximum(scale, np.finfo(np.float32).smallest_subnormal), scale)


def _nonzero(scale: np.ndarray) -> np.ndarray:
    """What to divide by: 1 where the scale is 0."""
    return np.where(scale == 0, np.float32(1), scale)
