"""Matrices as they enter: of any numeric dtype, converted once."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import INT_BITS
from sw_ref.locate import first_where

__all__ = ["Operand", "read_operand", "read_vector", "rounded_product"]

# Magnitudes of the largest element with which nothing that is computed of float32 operands leaves float32.
_LEAST, _MOST = 2.0**-90, 2.0**126


@dataclass(frozen=True, eq=False, kw_only=True)
class Operand:
    """A matrix that is ``values * 2**exponent``.

    Parameters
    ----------
    values : int64 or float32 array, (M, K) or (K, N)
        Integers of at most 53 bits, which stand for themselves; or finite floats, which a quantizer makes codes of.
    exponent : int
        0 for integers, and for floats unless their largest magnitude is far from 1.
    """

    values: np.ndarray
    exponent: int = 0

    @property
    def integral(self) -> bool:
        """Whether the values are integers."""
        return self.values.dtype.kind == "i"

    def permuted(self, rows: np.ndarray | slice, columns: np.ndarray | slice) -> "Operand":
        """Some rows and columns of it, in any order."""
        return replace(self, values=self.values[rows][:, columns])


def read_operand(x: ArrayLike, *, what: str, k_axis: int) -> Operand:
    """A matrix of any numeric dtype, byte order and layout, each element rounded once to float32 if it is no integer.

    Where the largest magnitude is below ``2**-90`` or from ``2**126`` on, a power of two is taken out first.

    Parameters
    ----------
    x : array (M, K) with ``k_axis=1`` or (K, N) with ``k_axis=0``
    what : str
        Its name in an error.
    k_axis : {0, 1}

    Raises
    ------
    ValueError
        If it is not a matrix, is empty, or of no numbers; if an integer has more than 53 bits or a float is not finite;
        or if all of a row (of a column, with ``k_axis=0``) is lost beside the largest element.
    """
    x = _numbers(x, what)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"{what} must be a matrix, not of shape {x.shape}")
    if x.dtype.kind in "iu":
        return Operand(values=_integers(x, what))
    reals = _finite(x, what)
    largest = float(np.abs(reals).max())
    exponent = 0 if _LEAST <= largest < _MOST or not largest else math.frexp(largest)[1] - 1
    values = np.ldexp(reals, -exponent).astype(np.float32)
    lost = reals.any(axis=k_axis) & ~values.any(axis=k_axis)
    if lost.any():
        at = int(np.flatnonzero(lost)[0])
        place = f"{what}[:, {at}]" if k_axis == 0 else f"{what}[{at}]"
        most = np.abs(reals[:, at] if k_axis == 0 else reals[at]).max()
        raise ValueError(f"{place} must not vanish in float32 beside {largest:.3g}, as magnitudes up to {most:.3g} do")
    return Operand(values=np.ascontiguousarray(values), exponent=exponent)


def read_vector(x: ArrayLike, *, what: str, size: int) -> np.ndarray:
    """``size`` finite numbers of any numeric dtype, as float64.

    Raises
    ------
    ValueError
        If they are not so many, no numbers, or not finite.
    """
    x = _numbers(x, what)
    if x.shape != (size,):
        raise ValueError(f"{what} must be a vector of {size} numbers, not of shape {x.shape}")
    return _finite(x, what)


def rounded_product(product: np.ndarray, exponent: int, invalid: np.ndarray | None = None) -> np.ndarray:
    """``product * 2**exponent`` rounded to float32.

    Parameters
    ----------
    product : float64 array (M, N)
    exponent : int
    invalid : bool array (M, N), optional
        What has an operand that is infinite or NaN, and so is NaN.

    Raises
    ------
    ValueError
        If another element is not finite, or float32 has nothing for it: it is too large, or becomes 0.
    """
    valid = np.ones(product.shape, bool) if invalid is None else ~invalid
    wrong = valid & ~np.isfinite(product)
    if wrong.any():
        raise ValueError(
            f"{first_where(wrong, product, what='product')}: it overflows the floats of its sum or "
            "of the drain edge, of which float32 and bfloat16 have the widest range"
        )
    exact = np.ldexp(np.where(valid, product, np.nan), exponent)
    with np.errstate(over="ignore"):
        result = exact.astype(np.float32)
    wrong = valid & (~np.isfinite(result) | ((result == 0) & (product != 0)))
    if wrong.any():
        mantissa, place = math.frexp(product[wrong][0])
        power = math.log10(abs(mantissa)) + (place + exponent) * math.log10(2)
        at = [int(i) for i in np.argwhere(wrong)[0]]
        raise ValueError(f"product{at} must be a float32, which 10**{power:.1f} is not: scale act or weight")
    return result


def _numbers(x: ArrayLike, what: str) -> np.ndarray:
    """``x`` in native byte order, of a kind i, u or f."""
    x = np.asarray(x)
    if x.dtype.kind == "V" and x.dtype.names is None:
        # other packages' numbers: bfloat16, float8, int4
        for kind in (np.int64, np.float32):
            if np.can_cast(x.dtype, kind):
                return x.astype(kind)
    if x.dtype.kind not in "iuf":
        raise ValueError(f"{what} must hold integers or floats, not {x.dtype}")
    return x.astype(x.dtype.newbyteorder("="), copy=False)


def _integers(x: np.ndarray, what: str) -> np.ndarray:
    most = 1 << INT_BITS
    wrong = (x > most) if x.dtype.kind == "u" else (x > most) | (x < -most)
    if wrong.any():
        raise ValueError(f"{first_where(wrong, x, what=what)}, more than the {INT_BITS} bits of the widest integers")
    return np.ascontiguousarray(x, np.int64)


def _finite(x: np.ndarray, what: str) -> np.ndarray:
    """As float64."""
    with np.errstate(over="ignore"):
        reals = x.astype(np.float64)
    wrong = ~np.isfinite(reals) | ((reals == 0) & (x != 0))
    if wrong.any():
        raise ValueError(f"{first_where(wrong, x, what=what)}, no finite float64")
    return reals
