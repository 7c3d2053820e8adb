"""Accumulators against NumPy's own integers; widths against enumeration."""

import itertools
import re

import numpy as np
import pytest

from sw_ref.arith.accumulate import Accumulator, bits_for, capacity
from sw_ref.interval import Interval
from tests.typed import wrong

TERMS = [Interval(lo, hi) for lo, hi in itertools.combinations_with_replacement(range(-4, 5), 2)]


@pytest.fixture(scope="module")
def sums():
    edges = [s * (1 << b) + d for b in (0, 7, 8, 15, 16, 31, 32, 62) for s in (-1, 1) for d in (-1, 0, 1)]
    random = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 1000)
    return np.concatenate([edges, random, [-(2**63), 2**63 - 1]])


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_wrap_is_a_cast_to_the_numpy_integer(bits, sums):
    np.testing.assert_array_equal(Accumulator(bits, "wrap").apply(sums), sums.astype(f"int{bits}"))


@pytest.mark.parametrize("bits", range(1, 64))
def test_wrap_is_congruent_and_saturate_is_nearest(bits, sums):
    lo, hi, modulus = -(1 << bits - 1), (1 << bits - 1) - 1, 1 << bits
    expected = [(x - lo) % modulus + lo for x in sums.tolist()]
    assert Accumulator(bits, "wrap").apply(sums).tolist() == expected
    assert Accumulator(bits, "saturate").apply(sums).tolist() == [min(max(x, lo), hi) for x in sums.tolist()]
    assert Accumulator(bits).interval == Interval(lo, hi)


@pytest.mark.parametrize("bits", [9, 63, 64, 65, 70, 128, 256])
def test_sums_beyond_int64(bits):
    lo, hi, modulus = -(1 << bits - 1), (1 << bits - 1) - 1, 1 << bits
    sums = np.array([[bound * sign + d for bound in (lo, hi, 1 << 300)] for sign in (-1, 1) for d in (-1, 0, 1)])
    wrapped, saturated = (Accumulator(bits, overflow).apply(sums) for overflow in ("wrap", "saturate"))
    assert wrapped.dtype == saturated.dtype == (np.int64 if bits <= 63 else object)
    assert wrapped.tolist() == [[(x - lo) % modulus + lo for x in row] for row in sums.tolist()]
    assert saturated.tolist() == [[min(max(x, lo), hi) for x in row] for row in sums.tolist()]
    kept = Accumulator(bits).apply(np.array([lo, 0, hi], object))
    assert kept.dtype == wrapped.dtype
    assert kept.tolist() == [lo, 0, hi]
    with pytest.raises(
        ValueError, match=rf"^sum\[1\] is {hi + 1}, outside the {bits}-bit accumulator \({lo} to {hi}\)$"
    ):
        Accumulator(bits).apply(np.array([hi, hi + 1], object))


def test_refuse_keeps_what_fits_and_names_what_does_not():
    accumulator = Accumulator(8)
    np.testing.assert_array_equal(accumulator.apply([[-128, 127]]), [[-128, 127]])
    with pytest.raises(ValueError, match=r"^sum\[1, 0\] is -129, outside the 8-bit accumulator \(-128 to 127\)$"):
        accumulator.apply([[0, 1], [-129, 128]])
    with pytest.raises(ValueError, match=r"^sum is 128, outside the 8-bit accumulator \(-128 to 127\)$"):
        accumulator.apply(128)


@pytest.mark.parametrize("terms", range(6))
def test_bits_for_holds_every_partial_sum(terms):
    for term in TERMS:
        bits = bits_for(term, terms)
        partial = [n * bound for n in range(terms + 1) for bound in (term.lo, term.hi)]
        assert all(n in Interval.of_bits(bits, True) for n in partial)
        assert bits == 1 or not all(n in Interval.of_bits(bits - 1, True) for n in partial)


@pytest.mark.parametrize("bits", range(1, 8))
def test_capacity_is_the_most_terms_that_fit(bits):
    for term in TERMS:
        most = capacity(bits, term)
        if most is None:
            assert term == Interval(0, 0)
        else:
            assert bits_for(term, most) <= bits < bits_for(term, most + 1)


def test_widths_of_known_sums():
    int8, int4, uint8 = (Interval.of_bits(b, s) for b, s in ((8, True), (4, True), (8, False)))
    # the corner -128 * -128 takes one bit more than all other products
    assert bits_for(int8 * int8, 1) == 16
    assert bits_for(int8 * int8, 2) == 17
    assert bits_for(int8 * int8, 1024) == 26
    assert capacity(32, int8 * int8) == 131071
    assert capacity(32, uint8 * int8) == 65793
    assert capacity(24, int8 * int4) == 8191


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Accumulator(0), ValueError, "Accumulator bits must be from 1 to 256, not 0"),
        (lambda: Accumulator(257), ValueError, "Accumulator bits must be from 1 to 256, not 257"),
        (
            lambda: Accumulator(8, wrong("clip")),
            ValueError,
            "Overflow must be one of refuse, wrap, saturate, not 'clip'",
        ),
        (lambda: Accumulator(wrong("8")), TypeError, "'str' object cannot be interpreted as an integer"),
    ],
)
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make()
