"""Distributions of codes, extremes among them, which operands of a simulation are drawn from."""

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from sw_ref.formats.base import Format, Int
from sw_ref.formats.fixed import Fixed

__all__ = ["DISTRIBUTIONS", "CodesOf", "Distribution"]

# Formats of more bits are not listed code by code.
_LISTED_BITS = 16


class CodesOf:
    """The codes of a format that distributions choose from.

    Parameters
    ----------
    form : Format
        Of at most 16 bits, or an integer or a fixed point number.
    """

    def __init__(self, form: Format) -> None:
        self.form = form

    @property
    def lowest(self) -> int:
        """The code of the smallest finite value."""
        return int(self.form.encode(self.form.bounds[0]))

    @property
    def highest(self) -> int:
        """The code of the largest finite value."""
        return int(self.form.encode(self.form.bounds[1]))

    @property
    def zero(self) -> int:
        """The code nearest to 0."""
        return int(self.form.encode(0.0))

    @cached_property
    def tiny(self) -> np.ndarray:
        """Codes of the least sizes above 0: an eighth of all values, and all subnormals among them in most formats."""
        if not self._is_listed:
            return self.form.encode(np.array([-1.0, 1.0]) * self.form.full_precision)
        order = np.argsort(np.abs(self._values), kind="stable")
        sizes = np.abs(self._values[order])
        above = order[sizes > 0]
        return self._codes[above[: max(1, len(above) // 8)]] if len(above) else self._codes[order[:1]]

    @property
    def nonfinite(self) -> np.ndarray:
        """Codes of what is infinite or not a number; none at all in most formats."""
        return self._all[~self.form.finite(self._all)] if self._is_listed else np.zeros(0, np.uint32)

    def any_finite(self, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Codes of finite values, each as likely as any."""
        if self._is_listed:
            return random.choice(self._codes, shape)
        return random.integers(0, 1 << self.form.bits, shape, np.uint64)

    @property
    def _is_listed(self) -> bool:
        if self.form.bits > _LISTED_BITS and not isinstance(self.form, Int | Fixed):
            raise ValueError(
                f"Operands must have at most {_LISTED_BITS} bits, not the {self.form.bits} of {self.form.name}"
            )
        return self.form.bits <= _LISTED_BITS

    @cached_property
    def _all(self) -> np.ndarray:
        return np.arange(1 << self.form.bits, dtype=np.uint32)

    @cached_property
    def _codes(self) -> np.ndarray:
        return self._all[self.form.finite(self._all)]

    @cached_property
    def _values(self) -> np.ndarray:
        return self.form.decode(self._codes)


Distribution = Callable[[CodesOf, np.random.Generator, tuple[int, int]], np.ndarray]
"""``draw(codes, random, shape)`` gives codes of that shape."""


def _alternating(codes: CodesOf, _random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.where(np.indices(shape).sum(axis=0) % 2, codes.highest, codes.lowest)


def _outlier(codes: CodesOf, random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    drawn = random.choice(codes.tiny, shape)
    drawn[tuple(random.integers(0, shape))] = random.choice([codes.lowest, codes.highest])
    return drawn


def _nonfinite(codes: CodesOf, random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    drawn, odd = codes.any_finite(random, shape), codes.nonfinite
    return np.where(random.random(shape) < 1 / 8, random.choice(odd, shape), drawn) if len(odd) else drawn


DISTRIBUTIONS: Mapping[str, Distribution] = {
    "uniform": lambda codes, random, shape: codes.any_finite(random, shape),
    "lowest": lambda codes, _random, shape: np.full(shape, codes.lowest),
    "highest": lambda codes, _random, shape: np.full(shape, codes.highest),
    "alternating": _alternating,
    "extremes": lambda codes, random, shape: random.choice([codes.lowest, codes.highest], shape),
    "zeros": lambda codes, _random, shape: np.full(shape, codes.zero),
    "tiny": lambda codes, random, shape: random.choice(codes.tiny, shape),
    "outlier": _outlier,
    "nonfinite": _nonfinite,
}
"""Every distribution by its name.

``lowest``, ``highest``, ``zeros``: the same code everywhere. ``alternating``: the two extremes as on a chessboard;
``extremes``: in any order. ``tiny``: the least sizes, which are a float's subnormals. ``outlier``: one extreme among
the least sizes. ``nonfinite``: one code in eight infinite or NaN, where the format can say so.
"""
