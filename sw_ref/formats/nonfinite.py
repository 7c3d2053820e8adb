"""Codes that stand for no finite number: which they are, and what becomes of products with them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import Format, Int
from sw_ref.formats.fixed import Fixed

__all__ = ["Pattern", "nonfinite_pattern", "nonfinite_results", "zeroed"]

# Formats of more bits are no operands of a processing element.
_MOST_BITS = 16


@dataclass(frozen=True)
class Pattern:
    """The codes with ``code & care == value``."""

    care: int
    value: int


def nonfinite_pattern(form: Format) -> Pattern | None:
    """The codes of ``form`` that are infinite, NaN or NaR; None if there are none.

    Raises
    ------
    ValueError
        If a code has more than 16 bits, or if no single pattern is what these codes have in common.
    """
    if isinstance(form, Int | Fixed):
        return None
    if form.bits > _MOST_BITS:
        raise ValueError(f"Format must have at most {_MOST_BITS} bits a code, not the {form.bits} of {form.name}")
    codes = np.arange(1 << form.bits)
    found = codes[~form.finite(codes)]
    if not len(found):
        return None
    value = int(np.bitwise_and.reduce(found))
    care = ~int(np.bitwise_or.reduce(found ^ value)) & ((1 << form.bits) - 1)
    if np.count_nonzero(codes & care == value) != len(found):
        raise ValueError(f"Format must have one pattern of codes that are not finite, which {form.name} has not")
    return Pattern(care, value)


def zeroed(form: Format, codes: ArrayLike) -> np.ndarray:
    """``codes`` with those that are not finite replaced by that of 0, which is what sums take for them."""
    codes = np.asarray(codes)
    finite = form.finite(codes)
    return codes if finite.all() else np.where(finite, codes, form.encode(0.0))


def nonfinite_results(act: ArrayLike, weight: ArrayLike) -> np.ndarray:
    """Which elements of a matrix product have a factor that is not finite, and so are NaN.

    Parameters
    ----------
    act, weight : bool array (M, K), (K, N)
        Whether each operand is finite.

    Returns
    -------
    bool array (M, N)
    """
    return ~np.all(act, axis=1)[:, None] | ~np.all(weight, axis=0)
