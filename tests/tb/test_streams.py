"""Payloads: packed and unpacked without loss."""

import numpy as np
import pytest

from tb.streams import pack, unpack


def test_slot_0_goes_into_the_low_bits():
    assert pack(np.array([[1, 2], [0xF, 0]]), 4) == [0x21, 0x0F]


@pytest.mark.parametrize("bits", [1, 3, 8, 13, 32, 40])
@pytest.mark.parametrize("slots", [1, 2, 7])
def test_signed_values_come_back(bits, slots):
    random = np.random.default_rng(bits * slots)
    values = random.integers(-(1 << (bits - 1)), 1 << (bits - 1), (5, slots))
    payloads = pack(values & ((1 << bits) - 1), bits)
    assert all(payload < 1 << (slots * bits) for payload in payloads)
    np.testing.assert_array_equal(unpack(payloads, slots, bits), values)
