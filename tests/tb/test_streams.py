"""Payloads: packed and unpacked without loss."""

import numpy as np
import pytest

from sw_ref.interval import Interval
from tb.draw import draw
from tb.streams import pack, unpack


def test_slot_0_goes_into_the_low_bits():
    assert pack((np.array([[1, 2], [0xF, 0]]), 4)) == [0x21, 0x0F]
    # and the first field
    assert pack((np.array([[1, 2]]), 4), (np.array([[3]]), 5)) == [0x321]


@pytest.mark.parametrize("bits", [1, 3, 8, 13, 32, 40, 63, 64, 65, 70, 130, 256])
@pytest.mark.parametrize("slots", [1, 2, 7])
def test_signed_values_come_back(bits, slots):
    random = np.random.default_rng(bits * slots)
    values = draw(random, Interval.of_bits(bits, signed=True), (5, slots))
    values[0] = -(1 << bits - 1)
    payloads = pack((values, bits))
    modulus = 1 << bits
    for payload, row in zip(payloads, values.tolist(), strict=True):
        assert payload == sum(value % modulus << bits * slot for slot, value in enumerate(row))
    (came,) = unpack(payloads, (slots, bits))
    assert came.dtype == (np.int64 if bits <= 63 else object)
    np.testing.assert_array_equal(came, values)


def test_fields_come_back_each_as_wide_as_it_was():
    random = np.random.default_rng(5)
    fields = [(3, 7), (1, 1), (2, 70), (5, 64)]
    values = [draw(random, Interval.of_bits(bits, signed=True), (6, slots)) for slots, bits in fields]
    payloads = pack(*zip(values, (bits for _slots, bits in fields), strict=True))
    for came, expected in zip(unpack(payloads, *fields), values, strict=True):
        np.testing.assert_array_equal(came, expected)
