"""Intervals against enumeration of their members."""

import itertools
import operator
import re

import numpy as np
import pytest

from sw_ref.interval import Interval
from tests.typed import wrong

BOUNDS = range(-3, 4)
INTERVALS = [Interval(lo, hi) for lo, hi in itertools.product(BOUNDS, BOUNDS) if lo <= hi]


def members(x):
    return range(x.lo, x.hi + 1)


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul])
def test_arithmetic_is_the_hull_of_all_results(operation):
    for x, y in itertools.product(INTERVALS, INTERVALS):
        results = [operation(i, j) for i in members(x) for j in members(y)]
        assert operation(x, y) == Interval(min(results), max(results))


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul, operator.or_])
def test_int_operand_is_a_point_on_either_side(operation):
    for x, n in itertools.product(INTERVALS, BOUNDS):
        assert operation(x, n) == operation(x, Interval(n, n))
        assert operation(n, x) == operation(Interval(n, n), x)


def test_negation_and_union_and_membership():
    for x, y in itertools.product(INTERVALS, INTERVALS):
        assert -x == Interval(-x.hi, -x.lo)
        assert set(members(x | y)) >= set(members(x)) | set(members(y))
        assert (x | y).lo in (x.lo, y.lo) and (x | y).hi in (x.hi, y.hi)
        assert (x in y) == (set(members(x)) <= set(members(y)))
    assert 3 in Interval(-1, 3)
    assert 4 not in Interval(-1, 3)


@pytest.mark.parametrize("terms", [0, 1, 2, 3])
def test_sum_of_is_repeated_addition(terms):
    for x in INTERVALS:
        sums = [sum(term) for term in itertools.product(members(x), repeat=terms)]
        assert x.sum_of(terms) == Interval(min(sums), max(sums))


def test_bits_are_the_fewest_that_hold_the_interval():
    for lo, hi in itertools.combinations_with_replacement(range(-20, 21), 2):
        x = Interval(lo, hi)
        assert x.signed == (lo < 0)
        assert x.bits == next(b for b in range(1, 9) if x in Interval.of_bits(b, x.signed))
        assert x.signed_bits == next(b for b in range(1, 9) if x in Interval.of_bits(b, True))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_of_bits_matches_numpy(dtype):
    info = np.iinfo(dtype)
    assert Interval.of_bits(info.bits, signed=info.kind == "i") == Interval(info.min, info.max)


def test_numpy_bounds_become_python_integers():
    x = Interval(*np.array([-128, 127], np.int8))
    assert (x * x).hi == 16384
    assert str(x) == "-128 to 127"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Interval(1, 0), ValueError, "Interval must have lo at most hi, not 1 to 0"),
        (lambda: Interval(0, wrong(1.5)), TypeError, "'float' object cannot be interpreted as an integer"),
        (lambda: Interval.of_bits(0, True), ValueError, "Bits must be at least 1, not 0"),
        (lambda: Interval(0, 1).sum_of(-1), ValueError, "Terms must be at least 0, not -1"),
    ],
)
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make()
