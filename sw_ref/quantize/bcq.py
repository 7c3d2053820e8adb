"""Binary-coded quantization: weights as sums of scaled signs, with a scale for each plane of them."""

import operator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.arith.digits import plane_weights, planes
from sw_ref.formats.base import Int
from sw_ref.formats.signs import Bipolar
from sw_ref.groups import group_slices
from sw_ref.locate import first_where
from sw_ref.quantize.uniform import Quantized, Quantizer, finite_matrix

__all__ = ["BinaryCoded", "BinaryCoder", "power_terms", "uniform_as_bcq"]


@dataclass(frozen=True, eq=False, kw_only=True)
class BinaryCoded:
    """A binary-coded weight: ``real[k, n] = sum over i of scale[i][g, n] * sign[i][k, n] + bias[g, n]``.

    Parameters
    ----------
    planes : tuple of Quantized
        Of plane i the signs, as codes (K, N) of bipolar1, and their scales; zero points are 0.
    bias : float32 array, shaped as a plane's scale, or None
        What is added to each weight, and so ``bias * sum of act`` to a sum of products.
    """

    planes: tuple[Quantized, ...]
    bias: np.ndarray | None = None

    def dequantize(self) -> np.ndarray:
        """The real tensor that the codes stand for: float32, each element rounded once."""
        reals = reduce(operator.add, (plane.reals() for plane in self.planes))
        if self.bias is not None:
            reals = reals + self.planes[0].along_k(self.bias)
        return reals.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class BinaryCoder:
    """How a real weight becomes planes of signs: scales and signs of least squared error, by alternating steps.

    One step takes the scales (and bias) that fit the signs best, by the normal equations of each group and column;
    the next takes for each weight the signs whose sum is nearest. Neither adds to the error. Where it ends depends
    on where it starts: each group and column keeps the better of two ends. One start is greedy, each plane the signs
    of what those before leave, times its mean magnitude; the other is uniform, of a `Quantizer` to the bipolar format
    of as many bits, with a clip search. So the error is at most that quantizer's, symmetric without a bias and
    asymmetric with one, but for the rounding of scales to float32, and if ``powers`` is 0. A group of zeros has scales
    of 0, and so has a plane whose scale is less than a float32's last place of the largest plane's, as noise is.

    Alternating multi-bit quantization (Xu et al., arXiv 1802.00150); for products by look-up: LUT-GEMM (arXiv
    2206.09557); with ``powers``: ShiftAddLLM (arXiv 2406.05981).

    Parameters
    ----------
    planes : int
        q, signs for each weight, from 1 to 8.
    group_size : int
        Neighbours along K that share scales; 0 for all of K. The last group may be shorter.
    iterations : int
        How often both steps are taken.
    bias : bool
        Whether there is one.
    powers : int
        If not 0, scales become sums of as many signed powers of two, see `power_terms`, before the last choice of
        signs. A bias stays what it is.
    """

    planes: int
    group_size: int = 0
    iterations: int = 20
    bias: bool = False
    powers: int = 0

    def __post_init__(self) -> None:
        if not 1 <= operator.index(self.planes) <= 8:
            raise ValueError(f"Planes must be from 1 to 8, not {self.planes}")
        for name in ("iterations", "powers"):
            if operator.index(getattr(self, name)) < 0:
                raise ValueError(f"{name.capitalize()} must be at least 0, not {getattr(self, name)}")

    def quantize(self, weight: ArrayLike, *, what: str = "weight") -> BinaryCoded:
        """Planes of ``weight`` (K, N), taken as float32, with scales (G, N); the lowest plane is bit 0 of the start.

        Raises
        ------
        ValueError
            If ``weight`` is no matrix, is empty, or has an element that is no finite float32.
        """
        weight = finite_matrix(weight, what)
        return self._coded([self._fit(weight[group]) for group in group_slices(len(weight), self.group_size)])

    def from_values(self, values: np.ndarray, *, what: str = "weight") -> BinaryCoded:
        """Planes that add up to just these integers (K, N), with scales that are multiples of one half.

        Raises
        ------
        ValueError
            If that of least squared error is not just these; names the first that is not.
        """
        weight = values.astype(np.float64)
        coded = self._coded(
            [self._fit(weight[group], half=True) for group in group_slices(len(weight), self.group_size)]
        )
        wrong = coded.dequantize() != weight
        if wrong.any():
            raise ValueError(
                f"{first_where(wrong, values, what=what)}, which {self.planes} planes of signs do not give beside the "
                "other integers of its group; given as floats, they are quantized"
            )
        return coded

    def _coded(self, fits: list[tuple[np.ndarray, np.ndarray]]) -> BinaryCoded:
        """Of what `_fit` makes of each group."""
        signs = planes(np.concatenate([codes for codes, _ in fits]), self.planes)
        scales = np.stack([scales for _, scales in fits], axis=1)
        return BinaryCoded(
            planes=tuple(_plane(signs[i], scales[i], 0, self.group_size) for i in range(self.planes)),
            bias=scales[-1] if self.bias else None,
        )

    def _fit(self, weight: np.ndarray, *, half: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Codes (size, N), of which bit i is the sign in plane i, and scales (q, N), with a bias (q + 1, N).

        With ``half``, scales are rounded to multiples of one half in the end.
        """
        ends = [self._alternate(weight, start(weight), half) for start in (self._greedy, self._uniform)]
        greedy, uniform = (np.sum((weight - self._sums(*end)) ** 2, axis=0) for end in ends)
        return tuple(np.where(uniform < greedy, *pair) for pair in zip(*reversed(ends), strict=True))

    def _greedy(self, weight: np.ndarray) -> np.ndarray:
        rest = weight.astype(np.float64)
        codes = np.zeros(weight.shape, dtype=np.int64)
        for i in reversed(range(self.planes)):
            codes |= (rest > 0).astype(np.int64) << i
            rest -= np.where(rest > 0, 1, -1) * np.abs(rest).mean(axis=0)
        return codes

    def _uniform(self, weight: np.ndarray) -> np.ndarray:
        scheme = "asymmetric" if self.bias else "symmetric"
        return Quantizer(Bipolar(self.planes), scheme, "channel", clip_search=20).quantize(weight, k_axis=0).codes

    def _alternate(self, weight: np.ndarray, codes: np.ndarray, half: bool) -> tuple[np.ndarray, np.ndarray]:
        for _ in range(self.iterations):
            codes = self._nearest(weight, self._scales(weight, codes))
        scales = self._scales(weight, codes)
        scales = (self._halves(weight, codes, scales) if half else scales).astype(np.float32)
        if self.powers:
            signs, exponents = power_terms(scales[: self.planes], self.powers)
            scales[: self.planes] = np.ldexp(signs.astype(np.float64), exponents).sum(axis=0)
        return self._nearest(weight, scales), scales

    def _halves(self, weight: np.ndarray, codes: np.ndarray, scales: np.ndarray) -> np.ndarray:
        """Multiples of one half near ``scales``, of which the last plane's takes what the others leave."""
        halves = np.rint(2 * scales) / 2
        halves[self.planes - 1] = 0
        sign = self._signs[codes, self.planes - 1]
        halves[self.planes - 1] = np.rint(2 * np.mean(sign * (weight - self._sums(codes, halves)), axis=0)) / 2
        return halves

    @property
    def _signs(self) -> np.ndarray:
        """What each of the ``2**q`` codes multiplies the scales by: -1 and +1, and 1 the bias."""
        signs = 2.0 * planes(np.arange(1 << self.planes), self.planes).T - 1
        return np.column_stack([signs, np.ones(len(signs))]) if self.bias else signs

    def _sums(self, codes: np.ndarray, scales: np.ndarray) -> np.ndarray:
        return np.take_along_axis(self._signs @ scales, codes, axis=0)

    def _scales(self, weight: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Scales of least squared error: ``(S^T S) scale = S^T w`` for the signs S (size, q) of each column."""
        signs = self._signs
        # weights of one code have the same row of S: it is enough to know how many they are, and their sum
        shape = weight.shape[1], len(signs)
        cell = (codes + len(signs) * np.arange(shape[0])).ravel()
        count = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
        total = np.bincount(cell, weight.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
        normal = np.tensordot(count, signs[:, :, None] * signs[:, None, :], axes=1)
        # planes may depend on each other; of all solutions then the shortest
        inverse = np.linalg.pinv(normal, rcond=1e-10, hermitian=True)
        scales = (inverse @ (total @ signs)[..., None])[..., 0].T
        size = np.abs(scales)
        return np.where(size < size.max(axis=0) * np.finfo(np.float32).eps, 0.0, scales)

    def _nearest(self, weight: np.ndarray, scales: np.ndarray) -> np.ndarray:
        sums = self._signs @ scales
        order = np.argsort(sums, axis=0, kind="stable")
        ordered = np.take_along_axis(sums, order, axis=0)
        rank = np.zeros(weight.shape, dtype=np.int64)
        for midpoint in (ordered[1:] + ordered[:-1]) / 2:
            rank += weight > midpoint
        return np.take_along_axis(order, rank, axis=0)


def power_terms(values: ArrayLike, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of signed powers of two near ``values``: ``value ~ sum over j of sign[j] * 2**exponent[j]``.

    Each term is the power of two nearest to what those before leave, in the logarithm: ``e = round(log2|r|)``,
    ``r -= sign * 2**e``; so each leaves at most ``2**0.5 - 1`` of it (ShiftAddLLM, arXiv 2406.05981).

    Parameters
    ----------
    values : real array, any shape
        As float32. What is below ``2**-128.5`` has no term.
    count : int
        Terms, at least 1.

    Returns
    -------
    sign : int8 array (count, ...)
        -1, 0 or 1; 0 where nothing is left.
    exponent : int8 array (count, ...)
    """
    rest = np.asarray(values, dtype=np.float32).astype(np.float64)
    terms = []
    for _ in range(count):
        with np.errstate(divide="ignore"):
            nearest = np.rint(np.log2(np.abs(rest)))
        sign = np.where(nearest < -128, 0, np.sign(rest)).astype(np.int8)
        exponent = np.clip(nearest, -128, 127).astype(np.int8)
        rest = rest - np.ldexp(sign.astype(np.float64), exponent)
        terms.append((sign, exponent))
    signs, exponents = zip(*terms, strict=True)
    return np.stack(signs), np.stack(exponents)


def uniform_as_bcq(weight: Quantized) -> BinaryCoded:
    """Integer or bipolar codes as planes of signs, of the same reals.

    With ``v = offset + sum over i of 2**i * sign[i] / 2`` the value of an integer code, plane i has the scale
    ``scale * 2**i / 2`` and the bias is ``scale * (offset - zero_point)``, where offset is -1/2 for two's complement
    and ``(2**bits - 1) / 2`` for unsigned codes (LUT-GEMM, arXiv 2206.09557). A bipolar code has the
    scales ``scale * 2**i`` and the offset 0. Only the bias is rounded, once, to float32.

    Raises
    ------
    ValueError
        If the format is neither an integer nor a bipolar one.
    """
    weights = plane_weights(weight.format)
    lo, hi = weight.format.bounds
    halved = isinstance(weight.format, Int)
    # the top bit of two's complement is set if the sign of its plane is -1
    codes = weight.codes ^ np.uint32(-weights[-1]) if weights[-1] < 0 else weight.codes
    scales = [np.ldexp(weight.scale, i - halved) for i in range(len(weights))]
    return BinaryCoded(
        planes=tuple(
            _plane(plane, scale, weight.k_axis, weight.group_size)
            for plane, scale in zip(planes(codes, weight.format.bits), scales, strict=True)
        ),
        bias=(weight.scale * ((lo + hi) / 2 - weight.zero_point)).astype(np.float32),
    )


def _plane(signs: np.ndarray, scale: np.ndarray, k_axis: int, group_size: int) -> Quantized:
    return Quantized(
        codes=signs,
        scale=scale,
        zero_point=np.zeros(scale.shape, dtype=np.int64),
        format=Bipolar(1),
        k_axis=k_axis,
        group_size=group_size,
    )
