"""Random integers of any width."""

import numpy as np

from sw_ref.interval import Interval
from sw_ref.wide import from_limbs, integer_type

__all__ = ["draw"]


def draw(random: np.random.Generator, interval: Interval, shape: int | tuple[int, ...]) -> np.ndarray:
    """Members of ``interval``, of `sw_ref.wide.integer_type` of its bits."""
    if integer_type(interval.signed_bits) is np.int64:
        return random.integers(interval.lo, interval.hi, shape, endpoint=True)
    # with a limb to spare, what a remainder prefers is not to be noticed
    words = random.integers(0, 1 << 64, (*np.atleast_1d(shape), interval.bits // 64 + 2), np.uint64)
    return from_limbs(words) % (interval.hi - interval.lo + 1) + interval.lo
