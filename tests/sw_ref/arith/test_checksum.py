"""Check sums against sums that are computed the other way round, and what is made of planted faults."""

import numpy as np
import pytest

from sw_ref.arith.checksum import check_bits, check_factors, check_sums, checks_of, verdict
from sw_ref.wide import wrapped

BITS = 12


def rows(random, cols, checksum, *, rows=40, bits=BITS):
    """Sums of a random product that fill their width, and their check sums."""
    act, weight = random.integers(-8, 8, (rows, 9)), random.integers(-8, 8, (9, cols))
    width = check_bits(bits, cols, checksum)
    checks = [check_sums(act, weight, bits=width, weighted=weighted) for weighted in checks_of(checksum)]
    return act @ weight, np.array(checks), width


@pytest.mark.parametrize("cols", [1, 2, 3, 8, 13])
@pytest.mark.parametrize("checksum", ["detect", "correct"])
def test_check_sums_are_those_of_the_columns(checksum, cols):
    """A check sum of operands is that of their product, by NumPy's own integers; nothing is wrong then."""
    sums, checks, width = rows(np.random.default_rng(cols), cols, checksum)
    for weighted, check in zip(checks_of(checksum), checks, strict=True):
        np.testing.assert_array_equal(check, wrapped(sums @ check_factors(cols, weighted=weighted), width))
    found = verdict(sums, checks, bits=BITS, width=width)
    np.testing.assert_array_equal(found.sums, sums)
    assert not found.fault.any() and not found.corrected.any()


@pytest.mark.parametrize("cols", [1, 2, 3, 8, 13])
@pytest.mark.parametrize("checksum", ["detect", "correct"])
def test_every_wrong_sum_is_found(checksum, cols):
    """Any bit of any column, the sign among them; with two check sums, the row is as it was."""
    sums, checks, width = rows(np.random.default_rng(cols), cols, checksum)
    for column in range(cols):
        for bit in range(BITS):
            wrong = sums.copy()
            wrong[:, column] = wrapped(wrong[:, column] ^ 1 << bit, BITS)
            found = verdict(wrong, checks, bits=BITS, width=width)
            assert found.fault.all()
            assert found.corrected.all() == (checksum == "correct")
            np.testing.assert_array_equal(found.sums, sums if checksum == "correct" else wrong)


@pytest.mark.parametrize("cols", [1, 3, 8])
def test_every_wrong_sum_of_extremes_is_corrected(cols):
    """From one bound to the other, where the difference is as large as it can be."""
    lo, hi = -(1 << BITS - 1), (1 << BITS - 1) - 1
    sums, width = np.full((2, cols), [[lo], [hi]]), check_bits(BITS, cols, "correct")
    checks = np.array([wrapped(sums @ check_factors(cols, weighted=each), width) for each in (False, True)])
    for column in range(cols):
        wrong = sums.copy()
        wrong[:, column] = [hi, lo]
        found = verdict(wrong, checks, bits=BITS, width=width)
        assert found.fault.all() and found.corrected.all()
        np.testing.assert_array_equal(found.sums, sums)


@pytest.mark.parametrize("cols", [1, 2, 3, 8])
@pytest.mark.parametrize("which", [0, 1])
def test_wrong_check_sum_leaves_sums_alone(which, cols):
    """Each bit of either check sum: the row is right, and known to be."""
    sums, checks, width = rows(np.random.default_rng(cols), cols, "correct")
    for bit in range(width):
        wrong = checks.copy()
        wrong[which] = wrapped(wrong[which] ^ 1 << bit, width)
        found = verdict(sums, wrong, bits=BITS, width=width)
        assert found.fault.all() and found.corrected.all()
        np.testing.assert_array_equal(found.sums, sums)


def test_two_wrong_sums_are_found():
    """Any two columns and bits: with two check sums the fault always shows, though it may look like another one."""
    sums, checks, width = rows(np.random.default_rng(0), 5, "correct", rows=4)
    looks_like_one = 0
    for first in range(5):
        for second in range(first):
            for bits in np.ndindex(BITS, BITS):
                wrong = sums.copy()
                for column, bit in zip((first, second), bits, strict=True):
                    wrong[:, column] = wrapped(wrong[:, column] ^ 1 << bit, BITS)
                found = verdict(wrong, checks, bits=BITS, width=width)
                assert found.fault.all()
                alike = found.corrected
                looks_like_one += alike.sum()
                np.testing.assert_array_equal(found.sums[~alike], wrong[~alike])
    assert looks_like_one


def test_sums_wider_than_64_bits():
    sums = np.array([[1 << 90, -(1 << 91), 5]], object)
    width = check_bits(100, 3, "correct")
    checks = np.array([[(1 << 90) - (1 << 91) + 5], [(1 << 90) - 2 * (1 << 91) + 15]], object)
    assert not verdict(sums, checks, bits=100, width=width).fault.any()
    wrong = sums.copy()
    wrong[0, 1] ^= 1 << 80
    found = verdict(wrong, checks, bits=100, width=width)
    assert found.corrected.all()
    np.testing.assert_array_equal(found.sums, sums)
