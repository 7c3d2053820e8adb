"""BitMoD against its tables, and each group against brute force."""

import re

import numpy as np
import pytest

from sw_ref.formats.bitmod import SELECTS, BitMoD, SelectedBitMoD
from sw_ref.formats.catalog import parse_format
from sw_ref.quantize.bitmod import BitMoDQuantizer

# of the paper, in units of the last bit
BASE = {3: [0, 1, 2, 4], 4: [0, 1, 2, 3, 4, 6, 8, 12]}
SPECIAL = {3: [3, -3, 6, -6], 4: [10, -10, 16, -16]}
RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.standard_t(4, (30, 7)).astype(np.float32)
WEIGHT[:, 0] = 0
WEIGHT[:13, 1] = 1e-6
WEIGHT[13:, 2] = 0
WEIGHT[:, 3] = np.abs(WEIGHT[:, 3])


def values_of(bits, select):
    return [*BASE[bits], SPECIAL[bits][select], *(-value for value in BASE[bits][1:])]


@pytest.mark.parametrize("select", SELECTS)
@pytest.mark.parametrize("bits", [3, 4])
def test_codes_are_the_published_values(bits, select):
    fmt = BitMoD(bits, select)
    assert fmt.decode(np.arange(1 << bits)).tolist() == values_of(bits, select)
    assert fmt.from_values(values_of(bits, select)).tolist() == list(range(1 << bits))
    assert fmt.encode(fmt.special) == 1 << (bits - 1)
    assert parse_format(fmt.name) == fmt and fmt.fixed.lsb == 0


@pytest.mark.parametrize("bits", [3, 4])
def test_a_select_comes_with_its_code(bits):
    fmt = parse_format(f"bitmod{bits}")
    assert (fmt, fmt.bits) == (SelectedBitMoD(bits), bits + 2)
    assert fmt.decode(np.arange(4 << bits)).tolist() == [v for select in SELECTS for v in values_of(bits, select)]
    quantized = BitMoDQuantizer(bits=bits, group_size=5).quantize(WEIGHT)
    codes = quantized.selected()
    assert codes.dtype == np.uint32
    np.testing.assert_array_equal(codes >> bits, np.repeat(quantized.select, 5, axis=0))
    np.testing.assert_array_equal(codes & ((1 << bits) - 1), quantized.codes)


@pytest.mark.parametrize("group_size", [0, 13, 1])
@pytest.mark.parametrize("bits", [3, 4])
def test_every_group_has_the_best_special_value_and_the_nearest_codes(bits, group_size):
    quantized = BitMoDQuantizer(bits=bits, group_size=group_size).quantize(WEIGHT)
    size = group_size or len(WEIGHT)
    scales = np.zeros(quantized.select.shape, dtype=np.float32)
    for g, n in np.ndindex(scales.shape):
        group = WEIGHT[g * size : (g + 1) * size, n]
        errors = []
        for select in SELECTS:
            values = values_of(bits, select)
            scale = np.abs(group).max() / np.float32(max(map(abs, values)))
            errors.append(sum(min((float(w) - v * float(scale)) ** 2 for v in values) for w in group))
            if select == quantized.select[g, n]:
                scales[g, n] = scale
        assert errors[quantized.select[g, n]] <= min(errors) * (1 + 1e-9)
    channel = scales.max(axis=0) / np.float32(127)
    np.testing.assert_array_equal(quantized.channel_scale, channel[None])
    np.testing.assert_array_equal(
        quantized.scale, np.clip(np.rint(scales / np.where(channel == 0, np.float32(1), channel)), 1, 127)
    )
    reals, integers = quantized.reals(), quantized.integers()
    for k, n in np.ndindex(WEIGHT.shape):
        values = values_of(bits, quantized.select[k // size, n])
        step = quantized.scale[k // size, n] * float(channel[n])
        assert values[quantized.codes[k, n]] == integers[k, n] and reals[k, n] == integers[k, n] * step
        assert abs(WEIGHT[k, n] - reals[k, n]) <= min(abs(WEIGHT[k, n] - v * step) for v in values) * (1 + 1e-12)
    np.testing.assert_array_equal(quantized.dequantize(), reals.astype(np.float32))
    assert quantized.codes.dtype == np.uint32 and not integers[:, 0].any()
    assert not quantized.select[:, 0].any()


def test_a_large_value_of_one_sign_takes_the_special_value_of_that_sign():
    quantized = BitMoDQuantizer(bits=4, group_size=4).quantize([[16.0], [-2], [1], [3], [-10], [12], [1], [4]])
    assert quantized.select.tolist() == [[2], [1]]
    assert quantized.integers()[:, 0].tolist() == [16, -2, 1, 3, -10, 12, 1, 4]


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: BitMoD(5, 0), "Bits must be 3 or 4, not 5"),
        (lambda: SelectedBitMoD(2), "Bits must be 3 or 4, not 2"),
        (lambda: BitMoD(4, 4), "Select must be from 0 to 3, not 4"),
        (lambda: BitMoDQuantizer(bits=2), "Bits must be 3 or 4, not 2"),
        (lambda: BitMoDQuantizer(bits=3, group_size=-1), "Group size must be at least 0, not -1"),
        (
            lambda: BitMoDQuantizer(bits=3).quantize([1, 2]),
            "weight must be a matrix with an element, not of shape (2,)",
        ),
    ],
)
def test_bad_input_is_refused(attempt, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attempt()


@pytest.mark.parametrize("bits", [3, 4])
def test_integers_stay_what_they_are(bits):
    random = np.random.default_rng(1)
    select, scale = random.integers(0, 4, (3, 6)), random.integers(1, 128, (3, 6))
    values = np.stack([random.choice(values_of(bits, s), 5) * t for s, t in zip(select.flat, scale.flat, strict=True)])
    values = values.reshape(3, 6, 5).transpose(0, 2, 1).reshape(15, 6)
    values[:, 2] = 0
    coded = BitMoDQuantizer(bits=bits, group_size=5).from_values(values)
    np.testing.assert_array_equal(coded.reals(), values)
    assert coded.scale.min() >= 1 and coded.scale.max() <= 127
    with pytest.raises(
        ValueError, match=rf"^weight\[1, 0\] is 7, which BitMoD's values of {bits} bits and the integer "
    ):
        BitMoDQuantizer(bits=bits, group_size=5).from_values(np.array([[1], [7]]))
