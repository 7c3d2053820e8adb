"""Random integers keep to their interval and reach all of it."""

import numpy as np
import pytest

from sw_ref.interval import Interval
from tb.draw import draw


@pytest.mark.parametrize("interval", [Interval.of_bits(8, True), Interval.of_bits(63, False), Interval(-5, 1 << 129)])
def test_members_are_spread(interval):
    came = draw(np.random.default_rng(0), interval, (50, 20))
    assert came.shape == (50, 20)
    assert came.dtype == (np.int64 if interval.signed_bits <= 63 else object)
    eighths = {8 * (x - interval.lo) // (interval.hi - interval.lo + 1) for x in came.ravel().tolist()}
    assert eighths == set(range(8))
