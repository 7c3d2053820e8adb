"""Integers of any width against Python's own."""

import operator

import numpy as np
import pytest

from sw_ref.wide import exactly, from_limbs, integer_array, integer_type, limbs, range_of, wrapped

WIDTHS = (1, 8, 62, 63, 64, 65, 70, 128, 130, 256)


def corners(bits):
    """Integers at the ends of two's complement, and around 0, as objects."""
    edges = {s * (1 << b) + d for b in (bits - 1, bits // 2) for s in (-1, 1) for d in (-1, 0, 1)} | {0}
    return np.array([x for x in sorted(edges) if -(1 << bits - 1) <= x < 1 << bits - 1], object)


@pytest.mark.parametrize("bits", WIDTHS)
def test_limbs_are_two_s_complement(bits):
    x = corners(bits)
    words = limbs(x, bits)
    assert words.dtype == np.uint64
    size = 64 * words.shape[-1]
    assert size - 64 < bits <= size
    for integer, word in zip(x, words, strict=True):
        assert sum(int(limb) << 64 * i for i, limb in enumerate(word)) == integer % (1 << size)
    assert from_limbs(words).tolist() == x.tolist()
    if bits <= 64:
        np.testing.assert_array_equal(limbs(x.astype(np.int64), 200), limbs(x, 200))


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("given", WIDTHS)
def test_wrapping_keeps_the_low_bits(bits, given):
    x = corners(given)
    kept = wrapped(x, bits)
    assert kept.dtype == (np.int64 if bits <= 63 else object)
    half = 1 << bits - 1
    assert kept.tolist() == [(n + half) % (2 * half) - half for n in x]
    assert wrapped(x[0], bits).item() == kept[0]
    if given <= 64:
        assert wrapped(x.astype(np.int64), bits).tolist() == kept.tolist()


@pytest.mark.parametrize(
    "formula", [operator.add, operator.sub, operator.mul, lambda x, y: x - y * y, lambda x, y: (x + x) * y - x]
)
@pytest.mark.parametrize("x_bits", WIDTHS)
@pytest.mark.parametrize("y_bits", (8, 63, 65))
def test_formulas_are_exact(formula, x_bits, y_bits):
    x, y = corners(x_bits)[:, None], corners(y_bits)
    result = exactly(formula, integer_array(x), integer_array(y))
    expected = [[formula(a, b) for b in y.tolist()] for a in x.ravel().tolist()]
    assert result.tolist() == expected
    if result.dtype == np.int64:
        assert range_of(integer_array(expected)).signed_bits <= 63


def test_formulas_of_what_fits_are_int64():
    x = np.array([[-(1 << 30), 1 << 30]])
    assert exactly(operator.mul, x, x.T).dtype == np.int64
    # objects that need not be any
    assert exactly(operator.add, x.astype(object), x).dtype == np.int64
    # the product goes beyond int64 in between, and comes back
    assert exactly(lambda x, y: x - y, np.array([1 << 80]), np.array([1 << 80])).tolist() == [0]


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        ([1, -2], np.int64),
        (np.array([True, False]), np.int64),
        (np.array([255], np.uint8), np.int64),
        (np.array([(1 << 62) - 1], np.uint64), np.int64),
        (np.array([1 << 63], np.uint64), object),
        (np.array([1 << 62], object), object),
        (np.array([-(1 << 62)], object), np.int64),
        ([1 << 200], object),
        (np.array([1 << 200, np.int64(-1)], object), object),
        (np.zeros((0, 3), np.int8), np.int64),
    ],
)
def test_arrays_are_int64_where_that_holds_them(given, dtype):
    came = integer_array(given)
    assert came.dtype == dtype
    assert came.tolist() == np.asarray(given).tolist()
    assert all(type(x) is int for x in came.ravel().tolist())


def test_type_of_a_width():
    assert [integer_type(bits) for bits in (1, 63, 64, 256)] == [np.int64, np.int64, object, object]


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match=r"^Integers must come in an array of them, not of float64$"):
        integer_array([0.5])
    with pytest.raises(TypeError, match=r"^'float' object cannot be interpreted as an integer$"):
        integer_array(np.array([1, 0.5], object))
