"""RF8, code by code, against two powers of two."""

import re
from fractions import Fraction

import numpy as np
import pytest

from sw_ref.formats.catalog import parse_format
from sw_ref.formats.rf8 import RF8

CODES = np.arange(256)


def meaning(code):
    sign, exponent, gap = code >> 7, code >> 2 & 31, (code & 3) + 1
    first = Fraction(2) ** (exponent - 15)
    return (-1) ** sign * (first + first / 2**gap) if exponent else Fraction(0)


def test_every_code_is_two_powers_of_two():
    values = [meaning(code) for code in CODES.tolist()]
    assert RF8().decode(CODES).tolist() == values
    assert RF8().bounds == (min(values), max(values)) == (-98304, 98304)
    integers = RF8().to_fixed(CODES).tolist()
    assert [Fraction(2) ** RF8().fixed.lsb * integer for integer in integers] == values
    assert (RF8().fixed.interval.lo, RF8().fixed.interval.hi) == (min(integers), max(integers))
    assert any(integer % 2 for integer in integers)
    # two ones, or none
    assert {abs(integer).bit_count() for integer in integers} == {0, 2}


def test_encode_takes_the_nearest_value_and_of_two_the_even_code():
    table = [(meaning(code), code) for code in (0, *range(4, 128))]
    values = np.sort([float(value) for value, _ in table])
    reals = np.concatenate([values, (values[1:] + values[:-1]) / 2, [1.0, 2.0, 1e300, np.inf, 5e-324]])
    reals = np.concatenate([reals, np.nextafter(reals, np.inf), np.nextafter(reals, 0)])
    for real in reals.tolist():
        clipped = Fraction(min(real, 98304))
        best = min(abs(value - clipped) for value, _ in table)
        ties = [code for value, code in table if abs(value - clipped) == best]
        assert len(ties) < 3 and len({code % 2 for code in ties}) == len(ties)
        expected = min(ties, key=lambda code: code % 2)
        assert RF8().encode([real, -real]).tolist() == [expected, expected | 128 if expected else 0]


def test_name_shape_and_nan():
    assert parse_format("rf8") == RF8() and len({RF8(), RF8()}) == 1
    assert RF8().encode(np.zeros((2, 0))).shape == (2, 0)
    assert RF8().decode(RF8().encode([1, -1])).tolist() == [1.0625, -1.0625]
    with pytest.raises(ValueError, match=f"^{re.escape('value[1] is nan, which rf8 lacks')}$"):
        RF8().encode([0, np.nan])
