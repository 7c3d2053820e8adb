"""Formats against NumPy's and ml_dtypes' integers, code by code."""

import re
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import pytest

from sw_ref.formats.base import FixedPoint, Int
from sw_ref.formats.catalog import FAMILIES, parse_format
from sw_ref.interval import Interval
from tests.typed import wrong

INTS = [Int(bits, signed) for bits in range(1, 17) for signed in (True, False)]


def all_codes(fmt):
    return np.arange(1 << fmt.bits, dtype=np.uint32)


@pytest.mark.parametrize("fmt", INTS, ids=lambda fmt: fmt.name)
def test_every_code_decodes_as_numpy_reads_its_bits(fmt):
    # at the top of 16 bits, NumPy's own integer has the sign bit in the same place
    aligned = (all_codes(fmt) << (16 - fmt.bits)).astype(np.uint16)
    expected = aligned.view(np.int16 if fmt.signed else np.uint16) >> (16 - fmt.bits)
    np.testing.assert_array_equal(fmt.to_fixed(all_codes(fmt)), expected)
    np.testing.assert_array_equal(fmt.decode(all_codes(fmt)), expected)
    assert fmt.fixed == FixedPoint(Interval(int(expected.min()), int(expected.max())), lsb=0)
    assert fmt.bounds == (expected.min(), expected.max())


@pytest.mark.parametrize("fmt", INTS, ids=lambda fmt: fmt.name)
def test_every_value_encodes_to_its_code(fmt):
    values = fmt.decode(all_codes(fmt))
    for codes in (fmt.encode(values), fmt.from_values(values), fmt.from_values(values.astype(np.int64))):
        assert codes.dtype == np.uint32
        np.testing.assert_array_equal(codes, all_codes(fmt))


@pytest.mark.parametrize(
    ("fmt", "dtype"),
    [
        (Int(2), ml_dtypes.int2),
        (Int(2, False), ml_dtypes.uint2),
        (Int(4), ml_dtypes.int4),
        (Int(4, False), ml_dtypes.uint4),
    ],
    ids=str,
)
def test_narrow_codes_match_ml_dtypes(fmt, dtype):
    values = np.arange(fmt.interval.lo, fmt.interval.hi + 1)
    bits = values.astype(dtype).view(np.uint8) & (1 << fmt.bits) - 1
    np.testing.assert_array_equal(fmt.from_values(values), bits)


@pytest.mark.parametrize("fmt", INTS, ids=lambda fmt: fmt.name)
def test_encode_rounds_half_to_even_and_saturates(fmt):
    lo, hi = fmt.bounds
    around = [bound + quarter / 4 for bound in (lo, 0, hi) for quarter in range(-8, 9)]
    real = np.array([*around, -np.inf, np.inf, -1e300, 1e300, np.nextafter(0.5, 1), np.nextafter(0.5, 0)])
    expected = [round(min(max(x, lo), hi)) for x in real.tolist()]
    np.testing.assert_array_equal(fmt.decode(fmt.encode(real)), expected)


@pytest.mark.parametrize("bits", [17, 32, 33, 53])
@pytest.mark.parametrize("signed", [True, False])
def test_wide_codes_are_the_values_modulo_their_width(bits, signed):
    fmt = Int(bits, signed)
    ends = [fmt.interval.lo, fmt.interval.hi]
    values = np.array([*ends, ends[0] + 1, ends[1] - 1, 0, 1, 12345, ends[1] // 3])
    codes = fmt.from_values(values)
    assert codes.dtype == (np.uint32 if bits <= 32 else np.uint64)
    assert codes.tolist() == [value % (1 << bits) for value in values.tolist()]
    assert fmt.to_fixed(codes).tolist() == fmt.decode(codes).tolist() == values.tolist()
    assert fmt.decode(fmt.encode([-1e300, 1e300])).tolist() == ends


def test_shape_is_kept_and_scalars_are_allowed():
    assert Int(8).encode(np.zeros((2, 3, 4))).shape == (2, 3, 4)
    assert Int(8).encode(-1.0) == 255
    assert Int(8).decode(255) == -1
    assert Int(8).encode(np.zeros((0, 3))).shape == (0, 3)


def test_a_format_with_fractions_and_nan_fits_the_base(halves):
    np.testing.assert_array_equal(halves.to_fixed([3, 1, 0]), [-1, 1, 0])
    np.testing.assert_array_equal(halves.from_values([0.5, -0.5]), [1, 3])
    with pytest.raises(ValueError, match=r"^decoded value\[1\] is nan, which has no fixed-point form$"):
        halves.to_fixed([0, 2])
    with pytest.raises(ValueError, match=r"^act\[0\] is 0\.3, between two values of halves \(-0\.5 to 0\.5\)$"):
        halves.from_values([0.3], what="act")


def test_a_format_without_fixed_point_says_so(halves):
    @dataclass(frozen=True)
    class Wide(type(halves)):
        name = "wide"
        fixed = None

    with pytest.raises(ValueError, match=r"^Format must have a fixed-point form, which wide lacks$"):
        Wide().to_fixed([0])


def test_equal_formats_are_one_key():
    assert Int(8) == Int(8, signed=True) != Int(8, signed=False)
    assert len({Int(8), Int(8), Int(np.array([8])[0])}) == 1


@pytest.mark.parametrize("fmt", INTS, ids=lambda fmt: fmt.name)
def test_names_parse_back(fmt):
    assert parse_format(fmt.name) == fmt


def test_examples_of_every_family_parse():
    for family in FAMILIES:
        for example in family.examples:
            assert parse_format(example).name == example


ACCEPTED = f"Format must be {' or '.join(family.spelling for family in FAMILIES)}"


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: Int(54), ValueError, "Bits must be from 1 to 53, not 54"),
        (lambda: Int(0), ValueError, "Bits must be from 1 to 53, not 0"),
        (lambda: Int(wrong(8.0)), TypeError, "'float' object cannot be interpreted as an integer"),
        (lambda: Int(8, wrong(1)), TypeError, "Signed must be a bool, not 1"),
        (lambda: parse_format("int54"), ValueError, "Bits must be from 1 to 53, not 54"),
        (
            lambda: parse_format("INT8"),
            ValueError,
            f"{ACCEPTED}, not 'INT8'; did you mean int8?",
        ),
        (lambda: parse_format("?"), ValueError, f"{ACCEPTED}, not '?'"),
        (
            lambda: Int(8).from_values(np.pad([[200]], ((3, 0), (17, 0))), what="act"),
            ValueError,
            "act[3, 17] is 200, outside int8 (-128 to 127)",
        ),
        (
            lambda: Int(4, False).from_values(-1),
            ValueError,
            "value is -1, outside uint4 (0 to 15)",
        ),
        (
            lambda: Int(4, False).from_values(np.array([1, 2**64 - 1], dtype=np.uint64)),
            ValueError,
            "value[1] is 18446744073709551615, outside uint4 (0 to 15)",
        ),
        (lambda: Int(8).from_values([np.nan]), ValueError, "value[0] is nan, outside int8 (-128 to 127)"),
        (
            lambda: Int(8).from_values([0.5]),
            ValueError,
            "value[0] is 0.5, between two values of int8 (-128 to 127)",
        ),
        (
            lambda: Int(8).from_values(["1"]),
            TypeError,
            "value must be an array of numbers, not of <U1",
        ),
        (lambda: Int(8).encode([[1, np.nan]]), ValueError, "value[0, 1] is nan, which int8 lacks"),
        (
            lambda: Int(4).decode([0, 16]),
            ValueError,
            "code[1] is 16, outside the codes of int4 (0 to 15)",
        ),
        (
            lambda: Int(4).decode([-1]),
            ValueError,
            "code[0] is -1, outside the codes of int4 (0 to 15)",
        ),
        (
            lambda: Int(4).decode([1.0]),
            TypeError,
            "code must be an array of integers, not of float64",
        ),
    ],
)
def test_bad_input_is_refused(attempt, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        attempt()
