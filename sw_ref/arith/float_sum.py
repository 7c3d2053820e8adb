"""Sums of products that are floats: rounded one by one, aligned and truncated together, or normalized in part."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.arith.float32_sum import float32_sums
from sw_ref.arith.float_codes import infinity_and_nan, round_to, smallest_normal, value_of
from sw_ref.formats.minifloat import BF16, FP32, Float

__all__ = ["AlignedSum", "FloatSum", "PartialSum", "RoundedSum"]

# Exponent of 0, and where none is the lowest: below that of any product.
_NONE = -4096


class FloatSum(ABC):
    """What a cell keeps of a sum of products, as a code of ``bits`` bits; all zeros is the empty sum.

    Products are exact; the order of a sum is that of k, and lanes that are masked are products of 0. Where an operand's
    *exponent* matters, it is that of its leading bit, but not less than a lowest one, which numbers with leading zeros
    share: for floats that of their subnormals, for integers that of their top bit. The exponent of a product is the sum
    of both, so that its significand is from 1 to less than 4, or less than 1 if an operand's was.
    """

    shape: Float
    """What `finish` makes of a code, once a column; a code is one of it, unless a class says otherwise."""

    def __post_init__(self) -> None:
        infinity_and_nan(self.shape)  # which raises if arithmetic cannot give its codes

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is, as part of module names."""

    @property
    def bits(self) -> int:
        """Width of a code."""
        return self.shape.bits

    @property
    def result_bits(self) -> int:
        """Width of what leaves a column: a code of ``shape``."""
        return self.shape.bits

    def finish(self, codes: ArrayLike) -> np.ndarray:
        """Codes of ``shape``, uint32, for the codes of sums."""
        return np.asarray(codes, dtype=np.uint32)

    @abstractmethod
    def sums(
        self,
        act: np.ndarray,
        weight: np.ndarray,
        step: int,
        *,
        lowest: tuple[int, int] = (_NONE, _NONE),
        start: ArrayLike = 0,
    ) -> np.ndarray:
        """Codes of ``start + act @ weight``, summed as the class says.

        Parameters
        ----------
        act : float64 array (M, K)
        weight : float64 array (K, N)
            Finite numbers whose products are exact in float64: those of formats with 26 bits of significand or less.
        step : int
            How many products, one from each lane, go into one step; the last step may have fewer.
        lowest : tuple of int
            Lowest exponent of ``act`` and of ``weight``; that of all leading bits if left out.
        start : integer array that broadcasts to (M, N)
            Codes of the sums before.

        Returns
        -------
        int64 array (M, N)
        """


@dataclass(frozen=True)
class RoundedSum(FloatSum):
    """``sum = round(sum + product)``, lane after lane, each a fused multiply-add: products are not rounded themselves.

    Rounded to nearest, ties to even, as if the exponent had no bounds. What was below the smallest normal before it was
    rounded becomes 0; what is too large becomes infinity and stays it. Zeros are positive: a product of 0 changes
    nothing. Where ``shape`` holds all products and nothing is subnormal, these are the sums that IEEE 754 says.

    Parameters
    ----------
    shape : Float
    """

    shape: Float

    @property
    def name(self) -> str:
        return self.shape.name

    def sums(self, act, weight, step, *, lowest=(_NONE, _NONE), start=0):
        if self.shape == FP32 and not np.any(start) and (fast := float32_sums(act, weight)) is not None:
            return fast
        total = _started(self.shape, start, act, weight)
        for k in range(act.shape[1]):
            exact = _odd_sum(total, act[:, k, None] * weight[k])
            total = _kept(self.shape, exact)
        return round_to(self.shape, total).astype(np.int64)


@dataclass(frozen=True)
class AlignedSum(FloatSum):
    """The sum and the products of one step in one addition, aligned and truncated, as on tensor cores.

    ::

        E     = the largest exponent among the sum's and those of all products that are not 0
        total = trunc(sum / 2**(E - fraction)) + over lanes, trunc(product / 2**(E - fraction))
        sum   = total * 2**(E - fraction), rounded to ``shape``

    with every rounding toward 0. What is too large becomes infinity and stays it; what is below the smallest normal
    becomes 0 (subnormals are flushed, other than on tensor cores); zeros are positive.

    The truncated fused sum of MMA-Sim (github.com/microsoft/MMA-Sim, arithmetic/fdpa.py: T_FDPA): ``fraction`` 13 and
    ``shape`` e8m13 are FP8 on Ada (steps of 16) and Hopper (of 32); 23, 24, 25 with FP32 the formats of 16 bits on
    Volta, on Turing to Ada, and on Hopper and later. See also arXiv 2502.01070.

    Parameters
    ----------
    fraction : int
        Bits after the point that are kept of each term, relative to ``E``; at least those of ``shape``.
    shape : Float
    """

    fraction: int
    shape: Float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "fraction", operator.index(self.fraction))
        if not self.shape.fraction <= self.fraction <= 32:
            raise ValueError(
                f"Fraction must be from {self.shape.fraction}, as the sum's own, to 32 bits, not {self.fraction}"
            )

    @property
    def name(self) -> str:
        return f"aligned{self.fraction}_{self.shape.name}"

    def sums(self, act, weight, step, *, lowest=(_NONE, _NONE), start=0):
        total = _started(self.shape, start, act, weight)
        act_exponents, weight_exponents = _exponents(act, lowest[0]), _exponents(weight, lowest[1])
        for first in range(0, act.shape[1], step):
            lanes = range(first, min(first + step, act.shape[1]))
            largest = _exponents(total)
            for k in lanes:
                np.maximum(largest, act_exponents[:, k, None] + weight_exponents[k], out=largest)
            # where all are 0, any scale will do
            scale = np.ldexp(1.0, self.fraction - np.maximum(largest, -512))
            integer = np.trunc(total * scale)
            for k in lanes:
                integer += np.trunc(act[:, k, None] * weight[k] * scale)
            total = _kept(self.shape, _truncated(integer / scale, self.shape.fraction))
        return round_to(self.shape, total).astype(np.int64)


@dataclass(frozen=True)
class PartialSum(FloatSum):
    """Sums that no cell rounds, and that it normalizes in part only: ``places`` is how far it may shift to the left.

    A code is, from the top, an unsigned exponent X and an integer S in two's complement of ``significand + 1`` bits::

        sum = S * 2**(X - bias - significand + 2)

    Lane after lane, a product, with its exponent as X and its significand as S, is added. Of both the one with the
    smaller X is shifted to the right (if equal, the product, which then is not shifted): a sum rounded down, a product
    toward 0. A product of 0 leaves the sum as it is. A total that needs one bit more than S has is halved, rounded
    down, and X is 1 more. Else, if X is at least 16, the total is shifted to the left by the largest of ``places`` that
    loses nothing, or by 0, and X is so much less. With ``places`` left out, by all that loses nothing, and X is 0 for a
    total of 0: exact normalization. At the end of a column `finish` normalizes and rounds to ``shape``.

    Read from Alexandridis et al., "Floating-Point Multiply-Add with Approximate Normalization for Low-cost Matrix
    Engines" (arXiv 2408.11997): bits at the top are looked at in two groups, of k and of lambda bits, so ``places`` is
    (k, k + lambda), and the circuit is their idea. Two's complement, truncation and the width of X are ours.

    Parameters
    ----------
    places : tuple of int, optional
        None, one or two, ascending, from 1 to 8.
    significand : int
        Bits, at least those of a product: 16 for BF16.
    shape : Float
        Of the result.
    """

    places: tuple[int, ...] | None = None
    significand: int = 16
    shape: Float = BF16

    exponent = 10
    """Bits of X: no sum of products can reach its largest."""

    bias = 252
    """X of 1.0: products of two normal BF16 or FP32 numbers have X from 0 to 506."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "significand", operator.index(self.significand))
        if not 2 <= self.significand <= 48:
            raise ValueError(f"Significand must be from 2 to 48 bits, not {self.significand}")
        places = self.places
        if places is not None and not (
            1 <= len(places) <= 2 and sorted(set(places)) == list(places) and places[0] >= 1 and places[-1] <= 8
        ):
            raise ValueError(f"Places must be one or two ascending integers from 1 to 8, not {places!r}")

    @property
    def name(self) -> str:
        kind = "exact" if self.places is None else "approx_" + "_".join(map(str, np.diff([0, *self.places])))
        return f"{self.shape.name}_s{self.significand}_{kind}"

    @property
    def bits(self) -> int:
        return self.exponent + self.significand + 1

    def sums(self, act, weight, step, *, lowest=(_NONE, _NONE), start=0):
        start = np.broadcast_to(np.asarray(start, dtype=np.int64), (act.shape[0], weight.shape[1]))
        x, s = self._fields(start)
        act_exponents, weight_exponents = _exponents(act, lowest[0]), _exponents(weight, lowest[1])
        for k in range(act.shape[1]):
            product = act[:, k, None] * weight[k]
            product_x = np.where(product == 0, 0, act_exponents[:, k, None] + weight_exponents[k] + self.bias)
            integer = np.ldexp(product, self.significand - 2 + self.bias - product_x)
            if product_x.min(initial=0) < 0 or (np.trunc(integer) != integer).any():
                raise ValueError(f"Products must fit {self.significand} bits and exponents of -{self.bias} or more")
            added = self._add(x, s, product_x, integer.astype(np.int64))
            x, s = (np.where(product == 0, before, after) for before, after in zip((x, s), added, strict=True))
        return x << self.significand + 1 | s & ((2 << self.significand) - 1)

    def finish(self, codes):
        x, s = self._fields(np.asarray(codes, dtype=np.int64))
        return round_to(self.shape, np.ldexp(s.astype(np.float64), x - self.bias - self.significand + 2) + 0.0)

    def _fields(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        unused = 63 - self.significand
        return codes >> self.significand + 1, codes << unused >> unused

    def _add(self, x: np.ndarray, s: np.ndarray, product_x: np.ndarray, product: np.ndarray):
        """X and S of a sum and a product."""
        distance = x - product_x
        shifted = np.sign(product) * (np.abs(product) >> np.clip(distance, 0, 63))
        total = (s >> np.clip(-distance, 0, 63)) + shifted
        x = np.maximum(x, product_x)
        # as unsigned bits, with the sign's repetitions as leading zeros
        length = np.frexp((total ^ total >> 63).astype(np.float64))[1]
        room = self.significand - length
        if self.places is None:
            left = np.where(x >= 16, np.maximum(room, 0), 0)
        else:
            left = np.max([np.where((x >= 16) & (room >= place), place, 0) for place in self.places], axis=0)
        over = room < 0
        if self.places is None:
            x = np.where((x >= 16) & (total == 0), left, x)
        s, x = np.where(over, total >> 1, total << left), np.where(over, x + 1, x - left)
        return x, s


def _started(shape: Float, start: ArrayLike, act: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The numbers that sums begin with, (M, N)."""
    return np.broadcast_to(value_of(shape, start), (act.shape[0], weight.shape[1])).copy()


def _exponents(real: np.ndarray, lowest: int = _NONE) -> np.ndarray:
    """Of the leading bits, or the lowest."""
    return np.where(real == 0, _NONE, np.maximum(np.frexp(real)[1] - 1, lowest))


def _kept(shape: Float, exact: np.ndarray) -> np.ndarray:
    """``exact`` rounded to a shape, flushed before that; there is no negative 0."""
    normal = np.where(np.abs(exact) < smallest_normal(shape), 0.0, exact)
    return value_of(shape, round_to(shape, normal))


def _truncated(real: np.ndarray, fraction: int) -> np.ndarray:
    """Rounded toward 0 to so many bits after the leading one."""
    mantissa, exponent = np.frexp(real)
    return np.ldexp(np.trunc(np.ldexp(mantissa, fraction + 1)), exponent - fraction - 1)


def _odd_sum(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``x + y`` rounded to odd: of the two float64 numbers next to it, the one whose last bit is 1, unless it is exact.

    Rounded once more, to fewer bits, it comes out as if it had been rounded but once (Boldo and Melquiond, "When double
    rounding is odd", 2005). What the first rounding lost is an exact float64 number (Knuth, TAOCP 4.2.2).
    """
    total = x + y
    with np.errstate(invalid="ignore"):
        from_y = total - x
        lost = (x - (total - from_y)) + (y - from_y)
    inexact = (lost != 0) & np.isfinite(lost)
    if not inexact.any():
        return total
    bits = total.view(np.int64)
    away = np.where((lost > 0) == (total > 0), 1, -1)
    return (bits + np.where(inexact & (bits & 1 == 0), away, 0)).view(np.float64)
