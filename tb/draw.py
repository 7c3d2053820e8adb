"""Random integers of any width, and floats."""

import numpy as np

from sw_ref.formats.base import Format
from sw_ref.interval import Interval
from sw_ref.wide import from_limbs, integer_type

__all__ = ["draw", "draw_near", "few_bits"]


def draw(random: np.random.Generator, interval: Interval, shape: int | tuple[int, ...]) -> np.ndarray:
    """Members of ``interval``, of `sw_ref.wide.integer_type` of its bits."""
    if integer_type(interval.signed_bits) is np.int64:
        return random.integers(interval.lo, interval.hi, shape, endpoint=True)
    # with a limb to spare, what a remainder prefers is not to be noticed
    words = random.integers(0, 1 << 64, (*np.atleast_1d(shape), interval.bits // 64 + 2), np.uint64)
    return from_limbs(words) % (interval.hi - interval.lo + 1) + interval.lo


def draw_near(random: np.random.Generator, form: Format, shape: tuple[int, ...]) -> np.ndarray:
    """Codes of numbers so near each other that their sums round and cancel."""
    return form.encode(random.normal(size=shape) * 2.0 ** random.integers(-3, 4, shape))


def few_bits(random: np.random.Generator, shape: tuple[int, ...], fraction: int) -> np.ndarray:
    """Numbers +-1 or +-(1 + 2**-i): what is added to them often ends on a tie or next to it."""
    signs, places = random.choice([-1.0, 1.0], shape), random.integers(0, fraction + 1, shape)
    return signs * (1 + np.where(places > 0, 2.0**-places, 0))
