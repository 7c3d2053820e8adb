"""Block formats: neighbours along K that share a scale of few bits, as MX and NVFP4 have."""

import operator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import Format
from sw_ref.formats.fixed import Fixed
from sw_ref.formats.minifloat import FLOATS, Float
from sw_ref.groups import group_of, group_slices
from sw_ref.locate import first_where
from sw_ref.quantize.uniform import finite_matrix

__all__ = ["BLOCKS", "RULES", "BlockQuantized", "BlockQuantizer", "Rule"]

Rule = Literal["power", "largest", "two_level"]
RULES: tuple[Rule, ...] = ("power", "largest", "two_level")


@dataclass(frozen=True, eq=False, kw_only=True)
class BlockQuantized:
    """An operand in blocks: ``real = value of the code * value of the block's scale code * tensor_scale``.

    Parameters
    ----------
    codes : uint32 array, (K, N) for a weight or (M, K) for an activation
    scale_codes : uint32 array
        (G, N) with ``k_axis=0``, (M, G) with ``k_axis=1``.
    tensor_scale : float32, or None for 1
    element : Format
        What ``codes`` mean.
    scale : Format
        What ``scale_codes`` mean.
    k_axis : {0, 1}
        The axis along which products are summed.
    size : int
        Codes along K that share a scale; the last block may be shorter.
    """

    codes: np.ndarray
    scale_codes: np.ndarray
    tensor_scale: np.float32 | None
    element: Format
    scale: Format
    k_axis: int
    size: int

    def reals(self) -> np.ndarray:
        """The real tensor that the codes stand for, in float64; NaN in a block whose scale is."""
        values = self.element.decode(self.codes) * self.along_k(self.scale.decode(self.scale_codes))
        return values if self.tensor_scale is None else values * np.float64(self.tensor_scale)

    def dequantize(self) -> np.ndarray:
        """The real tensor that the codes stand for: float32, each element rounded once."""
        with np.errstate(over="ignore"):
            return self.reals().astype(np.float32)

    @property
    def overall(self) -> float:
        """The tensor's scale, 1 if there is none."""
        return 1.0 if self.tensor_scale is None else float(self.tensor_scale)

    def scales(self) -> np.ndarray:
        """The real scales of blocks, in float64 and shaped as ``scale_codes``; 0 of a block that is all zeros."""
        starts = [block.start for block in group_slices(self.codes.shape[self.k_axis], self.size)]
        some = np.logical_or.reduceat(self.element.decode(self.codes) != 0, starts, axis=self.k_axis)
        return np.where(some, self.scale.decode(self.scale_codes), 0.0)

    def along_k(self, parameter: np.ndarray) -> np.ndarray:
        """What is shaped as the scales as it broadcasts over the codes: each block's repeated for its elements."""
        return np.take(parameter, group_of(self.codes.shape[self.k_axis], self.size), axis=self.k_axis)


@dataclass(frozen=True, kw_only=True)
class BlockQuantizer:
    """How a real tensor becomes blocks of ``element`` codes, each with a code of ``scale``.

    With q the element's full scale, in most formats its largest value, and amax the largest magnitude of the block, the
    scale s is

    ``power``: ``2**(floor(log2(amax)) - floor(log2(q)))``, so that elements up to the next power of two saturate. A
    block of zeros has the least scale. Powers are exact; a scale of the format's NaN makes its block NaN, and its codes
    0. OCP MX 1.0, section 6.3, as microxcaling does it, but that ties are to even.

    ``largest``: ``amax / q``.

    ``two_level``: ``amax / q * g``, where ``g = q * S / (amax of the tensor)`` with S the scale format's largest value,
    and elements are rounded from ``x * g / s``. NVFP4. The tensor's scale is ``1 / g``, a factor of every product.

    Both of the latter compute in float32, as written, each operation rounded; s is then rounded to its format, and
    elements become what is nearest after division by that s. If s is 0, so are they.

    Parameters
    ----------
    element : Format
        Of both signs.
    scale : Format
    size : int
        Elements in a block, along K.
    rule : {"power", "largest", "two_level"}
    """

    element: Format
    scale: Format
    size: int
    rule: Rule

    def __post_init__(self) -> None:
        if self.element.full_scale <= 0:
            raise ValueError(f"Element must hold values of both signs, which {self.element.name} does not")
        if operator.index(self.size) < 1:
            raise ValueError(f"Size must be at least 1, not {self.size}")
        if self.rule not in RULES:
            raise ValueError(f"Rule must be one of {', '.join(RULES)}, not {self.rule!r}")

    def quantize(self, x: ArrayLike, *, k_axis: int, what: str = "x") -> BlockQuantized:
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
            If ``x`` is not a matrix, is empty, or has an element that is no finite float32.
        """
        x = finite_matrix(x, what)
        if k_axis not in (0, 1):
            raise ValueError(f"K axis must be 0 or 1, not {k_axis!r}")
        blocks = group_slices(x.shape[k_axis], self.size)
        amax = np.maximum.reduceat(np.abs(x), [block.start for block in blocks], axis=k_axis)
        tensor_scale = None
        if self.rule == "power":
            # exact in float64, however small
            x, scale = x.astype(np.float64), self._power(amax)
        elif self.rule == "largest":
            scale = amax / np.float32(self.element.full_scale)
        else:
            gain = self._gain(amax.max())
            x, scale, tensor_scale = x * gain, amax / np.float32(self.element.full_scale) * gain, 1 / gain
        return self._coded(x, self.scale.encode(scale), tensor_scale, k_axis)

    def from_values(self, values: np.ndarray, *, k_axis: int, what: str = "x") -> BlockQuantized:
        """Blocks that stand for just these integers, and a tensor's scale of 1: scales are 1 where that does.

        Parameters
        ----------
        values : integer array, (K, N) with ``k_axis=0`` or (M, K) with ``k_axis=1``
        k_axis : {0, 1}
        what : str
            The tensor's name in an error.

        Raises
        ------
        ValueError
            If no scale gives all numbers of a block; names the first of them.
        """
        starts = [block.start for block in group_slices(values.shape[k_axis], self.size)]
        x = values.astype(np.float64)
        amax = np.maximum.reduceat(np.abs(x), starts, axis=k_axis)
        elements = np.unique(np.abs(self.element.decode(np.arange(1 << self.element.bits))))
        best = self._coded(x, self.scale.encode(np.where(amax == 0, 0.0, 1.0)), None, k_axis)
        found = self._exact(best, x, starts)
        # a scale that makes the largest an element, and all others too
        for element in elements[np.isfinite(elements) & (elements > 0)]:
            if found.all():
                break
            tried = self._coded(x, self.scale.encode(amax / element), None, k_axis)
            better = ~found & self._exact(tried, x, starts)
            found |= better
            best = replace(
                best,
                codes=np.where(best.along_k(better), tried.codes, best.codes),
                scale_codes=np.where(better, tried.scale_codes, best.scale_codes),
            )
        if not found.all():
            wrong = best.along_k(~found) & (best.reals() != x)
            held = f"{self.element.name} and scales of {self.scale.name}"
            raise ValueError(
                f"{first_where(wrong, values, what=what)}, which blocks of {held} do not hold beside their other "
                "integers; given as floats, they are quantized"
            )
        return best

    def _exact(self, blocks: BlockQuantized, x: np.ndarray, starts: list[int]) -> np.ndarray:
        """Which blocks are just ``x``."""
        return np.logical_and.reduceat(blocks.reals() == x, starts, axis=blocks.k_axis)

    def _coded(
        self, x: np.ndarray, scale_codes: np.ndarray, tensor_scale: np.float32 | None, k_axis: int
    ) -> BlockQuantized:
        """Elements nearest to ``x`` over the scales."""
        scales = np.take(self.scale.decode(scale_codes), group_of(x.shape[k_axis], self.size), axis=k_axis)
        scaled = np.divide(x, scales.astype(x.dtype), out=np.zeros_like(x), where=scales > 0)
        lo, hi = self.element.bounds
        # symmetric, also if two's complement
        largest = min(hi, -lo)
        return BlockQuantized(
            codes=self.element.encode(np.clip(scaled, -largest, largest)),
            scale_codes=scale_codes,
            tensor_scale=tensor_scale,
            element=self.element,
            scale=self.scale,
            k_axis=k_axis,
            size=self.size,
        )

    def _power(self, amax: np.ndarray) -> np.ndarray:
        # frexp's mantissa is from 0.5 to 1
        exponent = np.frexp(amax)[1] - np.frexp(self.element.full_scale)[1]
        return np.where(amax == 0, 0, np.ldexp(1.0, exponent))

    def _gain(self, amax: np.float32) -> np.float32:
        """g, no larger than a float32, and 1 if all is 0."""
        wanted = np.float32(self.element.full_scale * self.scale.bounds[1])
        with np.errstate(over="ignore"):
            return np.minimum(wanted / amax, np.finfo(np.float32).max) if amax else np.float32(1)


def _mx(element: Format) -> BlockQuantizer:
    return BlockQuantizer(element=element, scale=FLOATS["e8m0"], size=32, rule="power")


def _nv(scale: Format) -> BlockQuantizer:
    return BlockQuantizer(element=FLOATS["fp4_e2m1"], scale=scale, size=16, rule="two_level")


BLOCKS = {
    "mxfp8_e4m3": _mx(FLOATS["fp8_e4m3"]),
    "mxfp8_e5m2": _mx(FLOATS["fp8_e5m2"]),
    "mxfp6_e3m2": _mx(FLOATS["fp6_e3m2"]),
    "mxfp6_e2m3": _mx(FLOATS["fp6_e2m3"]),
    "mxfp4": _mx(FLOATS["fp4_e2m1"]),
    "mxint8": _mx(Fixed(8, 6)),
    "nvfp4": _nv(FLOATS["fp8_e4m3"]),
    "nvfp4_ue5m3": _nv(Float(5, 3, signed=False, specials="fn")),
}
"""Published block formats: OCP MX 1.0 in blocks of 32; NVFP4 in blocks of 16, and with UE5M3 scales."""
