"""Every way of narrowing against Python integers and fractions."""

import re
from fractions import Fraction

import numpy as np
import pytest
from amaranth.hdl import Signal

from hw.core.narrow import keep, round_half_even, saturate, wrap
from hw.core.number import Number, shape_of
from sw_ref.arith.accumulate import Accumulator
from sw_ref.interval import Interval

# both signs, one sign, one value, and bounds off the powers of two
INTERVALS = [
    Interval(*bounds)
    for bounds in (
        (-16, 15),
        (0, 31),
        (0, 1),
        (-1, 0),
        (-13, 3),
        (5, 22),
        (-21, -6),
        (11, 11),
        (-9, -9),
        (-3, 30),
    )
]
BOUNDS = [
    Interval(*bounds) for bounds in ((-8, 7), (0, 15), (0, 0), (-3, 5), (4, 6), (-7, -2), (-1, 0), (-64, 63), (40, 50))
]


def check(evaluate, function, intervals, expected):
    """``function`` of every member of every interval, and the interval of what comes out."""
    results = evaluate([(lambda m, x: function(x), (interval,)) for interval in intervals])
    for number, values in results:
        assert values == {(x,): expected(x) for (x,) in values}
        yield number, values


@pytest.mark.parametrize("bits", range(1, 8))
def test_wrap(bits, evaluate):
    kept = Interval.of_bits(bits, signed=True)
    results = check(evaluate, lambda x: wrap(x, bits), INTERVALS, lambda x: (x - kept.lo) % (1 << bits) + kept.lo)
    for number, _values in results:
        assert number.interval in kept


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_saturate(bounds, evaluate):
    results = check(evaluate, lambda x: saturate(x, bounds), INTERVALS, lambda x: min(max(x, bounds.lo), bounds.hi))
    for number, values in results:
        assert number.interval == Interval(min(values.values()), max(values.values()))
        assert number.value.shape() == shape_of(number.interval)


@pytest.mark.parametrize("places", range(5))
def test_round_half_even(places, evaluate):
    intervals = [interval for interval in INTERVALS if interval.bits > places]
    results = check(
        evaluate,
        lambda x: round_half_even(x, places),
        intervals,
        lambda x: round(Fraction(x, 1 << places)),
    )
    for number, values in results:
        assert number.interval == Interval(min(values.values()), max(values.values()))


@pytest.mark.parametrize(("bits", "places"), [(1, 1), (3, 3), (3, 9), (3, -1)])
def test_rounding_away_every_bit_is_refused(bits, places):
    message = f"Places must be from 0 to {bits - 1} for a value of {bits} bits, not {places}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        round_half_even(Number(Signal(bits)), places)


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
@pytest.mark.parametrize("bits", range(1, 8))
def test_keep_is_what_the_accumulator_does(bits, overflow, evaluate):
    accumulator = Accumulator(bits, overflow)
    results = check(
        evaluate, lambda x: keep(x, accumulator), INTERVALS, lambda x: accumulator.apply(np.array(x)).item()
    )
    for number, _values in results:
        assert number.interval in accumulator.interval


@pytest.mark.parametrize("bits", range(1, 8))
def test_keep_is_exact_where_the_accumulator_refuses_to_overflow(bits, evaluate):
    accumulator = Accumulator(bits)
    for number, values in evaluate([(lambda m, x: keep(x, accumulator), (interval,)) for interval in INTERVALS]):
        assert number.interval in accumulator.interval
        assert all(kept == x for (x,), kept in values.items() if x in accumulator.interval)
