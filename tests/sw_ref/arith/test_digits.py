"""Digits and bit planes put together again, for every code."""

import re

import numpy as np
import pytest

from sw_ref.arith.digits import plane_weights, planes, split
from sw_ref.formats.base import Int
from sw_ref.formats.codebook import NF4
from sw_ref.formats.signs import Bipolar

INTS = [Int(bits, signed) for bits in range(1, 17) for signed in (True, False)]
BIPOLAR = [Bipolar(bits) for bits in range(1, 9)]
SPLITS = [(fmt, bits) for fmt in (*INTS, *BIPOLAR) for bits in range(1, fmt.bits + 1) if fmt.bits % bits == 0]


def all_codes(fmt):
    return np.arange(1 << fmt.bits, dtype=np.uint32)


@pytest.mark.parametrize(("fmt", "bits"), SPLITS, ids=lambda part: getattr(part, "name", str(part)))
def test_digits_add_up_to_the_value(fmt, bits):
    digits = split(all_codes(fmt), fmt, digit_bits=bits)
    kind = Bipolar(bits) if isinstance(fmt, Bipolar) else Int(bits, signed=False)
    assert [digit.format for digit in digits] == [kind] * (fmt.bits // bits)
    assert [digit.weight for digit in digits] == [2**i for i in range(0, fmt.bits, bits)]
    total = sum(digit.weight * (kind.to_fixed(digit.codes) - digit.zero_point) for digit in digits)
    np.testing.assert_array_equal(total, fmt.to_fixed(all_codes(fmt)))


def test_int8_is_sixteen_times_high_less_eight_and_low():
    w = np.arange(-128, 128).reshape(2, 128)
    low, high = split(Int(8).from_values(w), Int(8), digit_bits=4)
    np.testing.assert_array_equal(high.codes, (w + 128) // 16)
    np.testing.assert_array_equal(low.codes, (w + 128) % 16)
    assert (high.weight, high.zero_point, low.weight, low.zero_point) == (16, 8, 1, 0)
    assert high.codes.dtype == np.uint32


@pytest.mark.parametrize("fmt", [*INTS, *BIPOLAR], ids=lambda fmt: fmt.name)
def test_planes_are_the_bits_and_weigh_up_to_the_value(fmt):
    codes = all_codes(fmt).reshape(2, -1)
    bits = planes(codes, fmt.bits)
    assert bits.dtype == np.uint32 and bits.shape == (fmt.bits, *codes.shape)
    unpacked = np.unpackbits(codes.astype("<u4")[..., None].view(np.uint8), axis=-1, bitorder="little")
    np.testing.assert_array_equal(bits, np.moveaxis(unpacked, -1, 0)[: fmt.bits])
    counted = 2 * bits.astype(np.int64) - 1 if isinstance(fmt, Bipolar) else bits.astype(np.int64)
    np.testing.assert_array_equal(np.tensordot(plane_weights(fmt), counted, axes=1), fmt.to_fixed(codes))


def test_weights_of_known_formats():
    assert plane_weights(Int(3)) == (1, 2, -4)
    assert plane_weights(Int(3, signed=False)) == plane_weights(Bipolar(3)) == (1, 2, 4)
    assert plane_weights(Int(1)) == (-1,)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: split([0], Int(8), digit_bits=3), "Digit bits must be a divisor of 8, not 3"),
        (lambda: split([0], Int(8), digit_bits=0), "Digit bits must be a divisor of 8, not 0"),
        (lambda: split([0], Int(8), digit_bits=16), "Digit bits must be a divisor of 8, not 16"),
        (lambda: split([256], Int(8), digit_bits=4), "code[0] is 256, outside the codes of int8 (0 to 255)"),
        (
            lambda: split([0], NF4, digit_bits=2),
            "Format must be an integer or bipolar one, whose bits have weights, not nf4",
        ),
    ],
)
def test_bad_input_is_refused(attempt, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attempt()
