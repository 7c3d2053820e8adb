"""Fixed point, against gfloat's MXINT8 and fractions."""

import re
from fractions import Fraction

import gfloat
import numpy as np
import pytest
from gfloat.formats import format_info_ocp_int8

from sw_ref.formats.base import FixedPoint, Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.fixed import Fixed


@pytest.mark.parametrize("fmt", [Fixed(8, 6), Fixed(4, 0), Fixed(4, 7), Fixed(1, 1)], ids=lambda fmt: fmt.name)
def test_values_are_integers_times_a_power_of_two(fmt):
    codes = np.arange(1 << fmt.bits)
    integers = Int(fmt.bits).to_fixed(codes)
    assert fmt.decode(codes).tolist() == [Fraction(integer, 1 << fmt.fraction) for integer in integers.tolist()]
    assert fmt.to_fixed(codes).tolist() == integers.tolist()
    assert fmt.fixed == FixedPoint(Int(fmt.bits).interval, lsb=-fmt.fraction)
    assert fmt.bounds == (fmt.decode(codes).min(), fmt.decode(codes).max())
    # quarters of a step, and beyond the bounds
    reals = np.arange(-5 << fmt.bits, 5 << fmt.bits) / (4 << fmt.fraction)
    rounded = [round(Fraction(real) * 2**fmt.fraction) for real in np.clip(reals, *fmt.bounds).tolist()]
    assert fmt.to_fixed(fmt.encode(reals)).tolist() == rounded
    assert fmt.decode(fmt.encode([1e308, -np.inf])).tolist() == [*reversed(fmt.bounds)]
    assert parse_format(fmt.name) == fmt


def test_mxint8_is_gfloats():
    codes = np.arange(256)
    np.testing.assert_array_equal(Fixed(8, 6).decode(codes), gfloat.decode_ndarray(format_info_ocp_int8, codes))
    reals = np.random.default_rng(0).uniform(-2.1, 2.1, 2000)
    rounded = gfloat.round_ndarray(format_info_ocp_int8, reals, sat=True)
    np.testing.assert_array_equal(Fixed(8, 6).decode(Fixed(8, 6).encode(reals)), rounded)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: Fixed(54, 0), "Bits must be from 1 to 53, not 54"),
        (lambda: Fixed(8, 17), "Fraction must be from 0 to 16, not 17"),
        (lambda: Fixed(8, -1), "Fraction must be from 0 to 16, not -1"),
        (lambda: Fixed(8, 6).encode(np.nan), "value is nan, which fixed8_6 lacks"),
        (lambda: Fixed(8, 6).from_values(2), "value is 2, outside fixed8_6 (-2 to 1.984375)"),
        (lambda: Fixed(8, 6).decode(256), "code is 256, outside the codes of fixed8_6 (0 to 255)"),
    ],
)
def test_bad_input_is_refused(attempt, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attempt()
