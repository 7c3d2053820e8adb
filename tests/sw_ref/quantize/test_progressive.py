"""Two levels of integers: what they compute, and that 8 bits hold what lies between them."""

import re

import numpy as np
import pytest

from sw_ref.formats.base import Int
from sw_ref.quantize.progressive import ProgressiveQuantizer

WEIGHT = np.random.default_rng(0).standard_t(4, (70, 6)).astype(np.float32)
WEIGHT[:, 0] = 0
WEIGHT[:, 1] = np.abs(WEIGHT[:, 1])


@pytest.mark.parametrize("group_size", [0, 1, 32, 128])
def test_both_levels_are_the_formulas(group_size):
    result = ProgressiveQuantizer(group_size=group_size).quantize(WEIGHT)
    groups, size = result.groups, group_size or len(WEIGHT)
    assert groups.format == Int(4, signed=False) and groups.k_axis == 0 and groups.group_size == group_size
    assert groups.scale.shape == groups.zero_point.shape == (-(-len(WEIGHT) // size), 6)
    assert result.channel_scale.shape == (1, 6)
    assert groups.scale.dtype == result.channel_scale.dtype == np.float32
    for n in range(6):
        channel_scale = np.abs(WEIGHT[:, n]).max() / np.float32(119)
        assert result.channel_scale[0, n] == channel_scale
        level1 = [round(float(w / (channel_scale or np.float32(1)))) for w in WEIGHT[:, n]]
        for g in range(groups.scale.shape[0]):
            here = slice(g * size, (g + 1) * size)
            low, high = min(0, *level1[here], 0), max(0, *level1[here], 0)
            scale = max(1, round((high - low) / 15))
            zero_point = min(max(round(-low / scale), 0), 15)
            assert (groups.scale[g, n], groups.zero_point[g, n]) == (scale, zero_point)
            codes = [min(max(round(w / scale) + zero_point, 0), 15) for w in level1[here]]
            assert groups.codes[here, n].tolist() == codes
            w8 = [(code - zero_point) * scale for code in codes]
            assert result.integers()[here, n].tolist() == w8
            real = [np.float32(w * float(result.channel_scale[0, n])) for w in w8]
            assert result.dequantize()[here, n].tolist() == real


def extremes(limit):
    """Least and greatest w8 over every value of every group whose range, with 0, is within +-limit."""
    low, high = (bounds.ravel() for bounds in np.mgrid[-limit:1, 0 : limit + 1])
    # a group with all values of its range in each column, below one that makes the scale of level 1 be 1
    values = np.clip(np.arange(-limit, limit + 1)[:, None], low, high)
    weight = np.concatenate([values, np.full_like(values, limit)])
    quantizer = ProgressiveQuantizer(group_size=len(values), limit=limit)
    result = quantizer.quantize(weight)
    assert (result.channel_scale == 1).all()
    assert result.groups.scale.max() <= 17 and result.groups.scale.min() == 1
    w8 = result.integers()[: len(values)]
    return w8.min(), w8.max()


def test_protective_range_keeps_every_group_in_8_bits_and_is_the_widest():
    assert extremes(119) == (-121, 121)
    assert extremes(120) == (-128, 128)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: ProgressiveQuantizer(limit=0), "Limit must be from 1 to 127, not 0"),
        (lambda: ProgressiveQuantizer(limit=128), "Limit must be from 1 to 127, not 128"),
        (
            lambda: ProgressiveQuantizer(group_size=-1).quantize(WEIGHT),
            "Group size must be at least 1, or 0 for one group, not -1",
        ),
        (lambda: ProgressiveQuantizer().quantize([[np.inf]]), "weight[0, 0] is inf, no finite float32"),
    ],
)
def test_bad_input_is_refused(attempt, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attempt()


@pytest.mark.parametrize(
    ("group", "scale"), [([0, 15], 1), ([-15, 0], 1), ([-7, 8], 1), ([7, 9, 1], 1), ([-120, 127 - 7], 0), ([0, 0], 1)]
)
def test_integers_stay_what_they_are(group, scale):
    values = np.array(group)[:, None]
    if not scale:
        with pytest.raises(ValueError, match=r"^weight\[0, 0\] is -120, which the 16 codes and the integer scale of "):
            ProgressiveQuantizer().from_values(values)
        return
    coded = ProgressiveQuantizer().from_values(values)
    np.testing.assert_array_equal(coded.integers(), values)
    np.testing.assert_array_equal(coded.dequantize(), values)
    assert coded.groups.scale == scale


def test_common_divisor_is_the_scale():
    values = np.array([[-34, 0], [85, 17], [0, -17 * 7]])
    coded = ProgressiveQuantizer().from_values(values)
    np.testing.assert_array_equal(coded.integers(), values)
    assert coded.groups.scale.tolist() == [[17, 17]]
