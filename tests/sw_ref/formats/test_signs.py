"""Signs and powers of two, code by code, against what their bits say."""

import re

import numpy as np
import pytest

from sw_ref.formats.base import FixedPoint
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.signs import Bipolar, PowerOfTwo, SumOfPowers, Ternary
from sw_ref.interval import Interval
from tests.typed import wrong

BIPOLAR = [Bipolar(bits) for bits in range(1, 9)]
POWERS = [PowerOfTwo(3), PowerOfTwo(4), PowerOfTwo(5), SumOfPowers(5), SumOfPowers(7)]
FORMATS = [*BIPOLAR, Ternary(), *POWERS]


def bits_of(code, fmt):
    """The bits of a code, lowest first."""
    return [int(bit) for bit in reversed(f"{code:0{fmt.bits}b}")]


def bipolar(code, fmt):
    return sum(2**i if bit else -(2**i) for i, bit in enumerate(bits_of(code, fmt)))


def ternary(code, fmt):
    low, high = bits_of(code, fmt)
    return low - high


def power_of_two(code, fmt):
    sign, exponent = divmod(code, 2 ** (fmt.bits - 1))
    return (-1) ** sign * (2 ** (exponent - 1) if exponent else 0)


def sum_of_powers(code, fmt):
    """As the APoT paper writes it, with k = 2, then scaled to integers."""
    n = (fmt.bits - 1) // 2
    bits = bits_of(code, fmt)
    # p[i] is one of 0, 2**-i, 2**-(i+n), 2**-(i+2n); the largest, p[0], has the topmost field
    fields = [bits[j] + 2 * bits[j + 1] for j in range(0, 2 * n, 2)][::-1]
    terms = [[0, 2.0 ** -(i + 2 * n), 2.0 ** -(i + n), 2.0**-i][field] for i, field in enumerate(fields)]
    return (-1) ** bits[-1] * int(sum(terms) * 2 ** (3 * n - 1))


MEANINGS = {Bipolar: bipolar, Ternary: ternary, PowerOfTwo: power_of_two, SumOfPowers: sum_of_powers}


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
class TestEveryFormat:
    def test_every_code_stands_for_what_its_bits_say(self, fmt):
        codes = np.arange(1 << fmt.bits, dtype=np.uint32)
        expected = [MEANINGS[type(fmt)](code, fmt) for code in codes.tolist()]
        assert fmt.to_fixed(codes).tolist() == fmt.decode(codes).tolist() == expected
        assert fmt.fixed == FixedPoint(Interval(min(expected), max(expected)), lsb=0)
        assert fmt.bounds == (min(expected), max(expected))

    def test_every_value_has_the_lowest_of_its_codes(self, fmt):
        values = fmt.decode(np.arange(1 << fmt.bits)).tolist()
        codes = fmt.from_values(values)
        assert codes.dtype == np.uint32
        assert codes.tolist() == [values.index(value) for value in values]
        assert len(set(codes.tolist())) == len(values) - (not isinstance(fmt, Bipolar))

    def test_encode_takes_the_nearest_value_and_saturates(self, fmt):
        values = np.unique(fmt.decode(np.arange(1 << fmt.bits)))
        reals = np.array([*np.linspace(values[0] - 3, values[-1] + 3, 1009), -1e300, 1e300, -np.inf, np.inf])
        encoded = fmt.decode(fmt.encode(reals))
        clipped = np.clip(reals, *fmt.bounds)
        assert np.abs(encoded - clipped).tolist() == np.abs(clipped[:, None] - values).min(axis=1).tolist()

    def test_halfway_between_two_values(self, fmt):
        values = np.unique(fmt.decode(np.arange(1 << fmt.bits)))
        low, high = values[:-1], values[1:]
        if isinstance(fmt, SumOfPowers | PowerOfTwo):
            expected = low
        elif isinstance(fmt, Bipolar):
            expected = [2 * round(code + 0.5) + values[0] for code in range(len(low))]
        else:
            expected = [0, 0]
        np.testing.assert_array_equal(fmt.decode(fmt.encode((low + high) / 2)), expected)

    def test_its_name_is_read_back(self, fmt):
        assert parse_format(fmt.name) == fmt
        assert len({fmt, parse_format(fmt.name)}) == 1

    def test_shape_is_kept_and_nan_is_refused(self, fmt):
        assert fmt.encode(np.ones((2, 0, 3))).shape == (2, 0, 3)
        assert fmt.decode(fmt.encode(1.0)) == 1
        with pytest.raises(ValueError, match=rf"^value\[1\] is nan, which {fmt.name} lacks$"):
            fmt.encode([0, np.nan])


@pytest.mark.parametrize("fmt", POWERS, ids=lambda fmt: fmt.name)
def test_terms_add_up_to_every_value(fmt):
    assert len(fmt.terms) == fmt.fields and fmt.fields * fmt.field_bits == fmt.bits - 1
    for code in range(1 << fmt.bits):
        fields = [code >> i * fmt.field_bits & ((1 << fmt.field_bits) - 1) for i in range(fmt.fields)]
        magnitude = sum(term[field] for term, field in zip(fmt.terms, fields, strict=True))
        assert fmt.to_fixed(code) == (-magnitude if code >> (fmt.bits - 1) else magnitude)


def test_terms_of_known_formats():
    assert PowerOfTwo(4).terms == ((0, 1, 2, 4, 8, 16, 32, 64),)
    assert SumOfPowers(5).terms == ((0, 1, 4, 16), (0, 2, 8, 32))
    assert SumOfPowers(7).terms == ((0, 1, 8, 64), (0, 2, 16, 128), (0, 4, 32, 256))


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: Bipolar(0), ValueError, "Bits of Bipolar must be from 1 to 8, not 0"),
        (lambda: Bipolar(9), ValueError, "Bits of Bipolar must be from 1 to 8, not 9"),
        (lambda: Bipolar(wrong(2.0)), TypeError, "'float' object cannot be interpreted as an integer"),
        (lambda: PowerOfTwo(2), ValueError, "Bits of PowerOfTwo must be from 3 to 5, not 2"),
        (lambda: PowerOfTwo(6), ValueError, "Bits of PowerOfTwo must be from 3 to 5, not 6"),
        (lambda: SumOfPowers(6), ValueError, "Bits of SumOfPowers must be 5 or 7, not 6"),
        (lambda: Ternary().decode([4]), ValueError, "code[0] is 4, outside the codes of ternary (0 to 3)"),
        (lambda: Bipolar(2).from_values([2]), ValueError, "value[0] is 2, between two values of bipolar2 (-3 to 3)"),
    ],
)
def test_bad_input_is_refused(attempt, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        attempt()
