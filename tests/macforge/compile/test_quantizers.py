"""Quantizers on the weights of a real layer, 384 x 1536, in groups of 128."""

import functools

import numpy as np
import pytest

from macforge.measure.workload import load_layer
from sw_ref.formats.catalog import parse_format
from sw_ref.quantize.bcq import BinaryCoder
from sw_ref.quantize.progressive import ProgressiveQuantizer
from sw_ref.quantize.salience import blocks_with, by_magnitude, outlier_channels, salient_columns
from sw_ref.quantize.uniform import Quantizer, Scheme, sqnr_db

GROUP = 128
LOW_BITS: list[tuple[str, Scheme]] = [
    ("int", "symmetric"),
    ("int", "asymmetric"),
    ("bipolar", "symmetric"),
    ("bipolar", "asymmetric"),
]


@functools.cache
def weight():
    return load_layer(tokens=1).weight


def sqnr(quantized):
    """Of the layer, or of its first columns."""
    product = quantized.dequantize()
    return sqnr_db(weight()[:, : product.shape[1]], product)


def uniform(name, scheme: Scheme = "symmetric", clip_search=0):
    return Quantizer(parse_format(name), scheme, "group", GROUP, clip_search).quantize(weight(), k_axis=0)


@functools.cache
def binary_coded_sqnr(planes, *, bias=False, powers=0):
    # of a quarter of the columns, each of which is coded by itself
    return sqnr(BinaryCoder(planes=planes, group_size=GROUP, bias=bias, powers=powers).quantize(weight()[:, :384]))


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize(("kind", "scheme"), LOW_BITS)
def test_clip_search_is_never_worse_in_a_group(kind, scheme, bits):
    plain, searched = (
        ((weight() - uniform(f"{kind}{bits}", scheme, clip_search).reals()).reshape(3, GROUP, 1536) ** 2).sum(axis=1)
        for clip_search in (0, 20)
    )
    assert (searched <= plain).all()
    assert searched.sum() < 0.95 * plain.sum()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("planes", [2, 3, 4])
def test_binary_codes_beat_round_to_nearest(planes, bias):
    rounded = [sqnr(uniform(f"{kind}{planes}", scheme)) for kind, scheme in LOW_BITS]
    assert binary_coded_sqnr(planes, bias=bias) > max(rounded) + 0.4


@pytest.mark.parametrize(("powers", "loss"), [(2, 0.5), (3, 0.1)])
def test_scales_of_few_powers_cost_little(powers, loss):
    free = binary_coded_sqnr(3)
    assert free - loss < binary_coded_sqnr(3, powers=powers) < free


def test_mean_magnitude_beats_the_largest_for_ternary_weights():
    rounded, absmean = sqnr(uniform("ternary")), sqnr(uniform("ternary", "absmean"))
    assert rounded + 3 < absmean < sqnr(uniform("ternary", clip_search=20))


def test_integer_scales_cost_little():
    result = ProgressiveQuantizer(group_size=GROUP).quantize(weight())
    assert sqnr(result) > sqnr(uniform("uint4", "asymmetric")) - 0.5
    assert np.abs(result.integers()).max() <= 121


def test_salient_columns_are_worth_their_bits():
    layer = load_layer(tokens=50)
    low = Quantizer(parse_format("uint4"), "asymmetric", "group", GROUP)
    four, eight = (each.dequantize() for each in (uniform("uint4", "asymmetric"), uniform("int8")))
    salient = salient_columns(layer.weight, low, fraction=0.1, act=layer.act)
    exact = layer.act @ layer.weight
    none, some, others = (
        sqnr_db(exact, layer.act @ np.where(marked, eight, four))
        for marked in (False, salient, np.random.default_rng(0).permutation(salient))
    )
    assert salient.sum() == 154
    assert some - none > 2 * (others - none) > 0


def test_outliers_of_the_layer_fit_in_one_block():
    act = load_layer(tokens=50).act
    outliers = outlier_channels(act, ratio=4)
    assert blocks_with(outliers, block=32).sum() == outliers.sum() == 4
    assert blocks_with(outliers[by_magnitude(act)], block=32).sum() == 1
