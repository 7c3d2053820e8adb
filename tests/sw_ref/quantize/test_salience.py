"""Which columns and blocks are marked, where it is plain which should be."""

import re

import numpy as np
import pytest

from sw_ref.formats.base import Int
from sw_ref.quantize.salience import blocks_with, by_magnitude, outlier_channels, salient_columns
from sw_ref.quantize.uniform import Quantizer

INT4 = Quantizer(Int(4), "asymmetric", "group", 16)


def harms(weight, act):
    """Of each column, what its quantization adds to the squared error, element by element."""
    dequantized = INT4.quantize(weight, k_axis=0).dequantize().astype(np.float64)
    return [
        sum(np.mean(act[:, k] ** 2) * (weight[k, n] - dequantized[k, n]) ** 2 for k in range(len(weight)))
        for n in range(weight.shape[1])
    ]


@pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 1])
def test_columns_with_the_greatest_errors_are_marked(fraction):
    random = np.random.default_rng(0)
    weight, act = random.standard_t(3, (40, 30)), random.standard_t(3, (12, 40))
    salient = salient_columns(weight, INT4, fraction=fraction, act=act)
    assert salient.shape == (30,) and salient.sum() == 30 * fraction
    harm = np.array(harms(weight.astype(np.float32), act))
    assert min(harm[salient], default=np.inf) > max(harm[~salient], default=0)


def test_activations_decide_which_error_counts():
    weight = np.zeros((2, 2))
    # of 0, 1 and 0.03, int4 loses the last
    weight[:, 0], weight[:, 1] = [1, 0.03], [0.03, 1]
    channel = Quantizer(Int(4), "symmetric", "channel")
    for loud, marked in ((0, [False, True]), (1, [True, False])):
        act = np.ones((3, 2))
        act[:, loud] = 10
        assert salient_columns(weight, channel, fraction=0.5, act=act).tolist() == marked


def test_of_equal_columns_the_first_is_marked():
    weight = np.tile([[1.0], [0.03]], 4)
    assert salient_columns(weight, INT4, fraction=0.5).tolist() == [True, True, False, False]


def test_outliers_are_gathered_in_few_blocks_and_the_product_stays():
    random = np.random.default_rng(0)
    act = random.integers(-9, 10, (20, 64))
    act[0] = 9
    act[:, [3, 17, 40, 63]] *= 30
    outliers = outlier_channels(act, ratio=6)
    assert np.flatnonzero(outliers).tolist() == [3, 17, 40, 63]
    assert blocks_with(outliers, block=16).tolist() == [True, True, True, True]
    order = by_magnitude(act)
    assert sorted(order.tolist()) == list(range(64))
    assert order[:6].tolist() == [3, 17, 40, 63, 0, 1]
    assert blocks_with(outliers[order], block=16).tolist() == [True, False, False, False]
    weight = random.integers(-8, 8, (64, 5))
    np.testing.assert_array_equal(act[:, order] @ weight[order], act @ weight)


def test_last_block_may_be_shorter():
    channels = np.zeros(10, dtype=bool)
    channels[9] = True
    assert blocks_with(channels, block=4).tolist() == [False, False, True]
    assert blocks_with(channels, block=100).tolist() == [True]


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: salient_columns(np.ones((2, 2)), INT4, fraction=1.5), "Fraction must be from 0 to 1, not 1.5"),
        (
            lambda: salient_columns(np.ones((2, 2)), INT4, fraction=0.5, act=np.ones((4, 3))),
            "Act must have the 2 channels of the weight, not 3",
        ),
        (lambda: blocks_with([1, 0]), "Channels must be a vector of bools, not int64 of shape (2,)"),
        (lambda: blocks_with([True], block=0), "Block must be at least 1, not 0"),
        (lambda: by_magnitude([1.0, 2.0]), "act must be a matrix with an element, not of shape (2,)"),
    ],
)
def test_bad_input_is_refused(attempt, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attempt()
