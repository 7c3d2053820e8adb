"""Binary codes: what is best about them, by brute force, and uniform codes as a case of them."""

import math
import re
from itertools import pairwise, product

import numpy as np
import pytest

from sw_ref.formats.base import Int
from sw_ref.formats.codebook import NF4
from sw_ref.formats.signs import Bipolar
from sw_ref.quantize.bcq import BinaryCoder, power_terms, uniform_as_bcq
from sw_ref.quantize.uniform import Quantizer
from tests.quick import each_once
from tests.typed import present

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.standard_t(4, (30, 7)).astype(np.float32)
WEIGHT[:, 0] = 0
WEIGHT[:, 1] = 3


def squared_error(weight, coded):
    return np.sum((weight - coded.dequantize().astype(np.float64)) ** 2)


def signs_of(coded):
    return np.array([plane.format.decode(plane.codes) for plane in coded.planes])


@pytest.mark.parametrize(("planes", "group_size", "bias"), each_once([1, 2, 4], [0, 13, 1], [False, True]))
class TestPlanes:
    def test_they_add_up_and_each_weight_has_the_nearest_sum(self, planes, group_size, bias):
        coded = BinaryCoder(planes=planes, group_size=group_size, bias=bias).quantize(WEIGHT)
        groups = math.ceil(len(WEIGHT) / (group_size or len(WEIGHT)))
        assert (coded.bias is not None) == bias and len(coded.planes) == planes
        for plane in coded.planes:
            assert plane.format == Bipolar(1) and plane.group_size == group_size and plane.k_axis == 0
            assert plane.codes.shape == WEIGHT.shape and plane.codes.dtype == np.uint32
            assert plane.scale.shape == plane.zero_point.shape == (groups, WEIGHT.shape[1])
            assert plane.scale.dtype == np.float32 and not plane.zero_point.any()
        dequantized = coded.dequantize()
        combinations = 2.0 * ((np.arange(1 << planes)[:, None] >> np.arange(planes)) & 1) - 1
        for k, n in np.ndindex(WEIGHT.shape):
            g = k // (group_size or len(WEIGHT))
            scales = np.array([plane.scale[g, n] for plane in coded.planes], dtype=np.float64)
            bias_of_it = present(coded.bias)[g, n] if bias else 0
            assert dequantized[k, n] == np.float32(signs_of(coded)[:, k, n] @ scales + bias_of_it)
            nearest = np.abs(combinations @ scales + bias_of_it - WEIGHT[k, n]).min()
            assert abs(dequantized[k, n] - WEIGHT[k, n]) == pytest.approx(nearest, abs=1e-6)

    def test_never_worse_than_round_to_nearest_of_as_many_bits(self, planes, group_size, bias):
        coded = BinaryCoder(planes=planes, group_size=group_size, bias=bias).quantize(WEIGHT)
        granularity = "group" if group_size else "channel"
        scheme = "asymmetric" if bias else "symmetric"
        for clip_search in (0, 20):
            quantizer = Quantizer(Bipolar(planes), scheme, granularity, group_size, clip_search)
            uniform = quantizer.quantize(WEIGHT, k_axis=0)
            assert squared_error(WEIGHT, coded) <= squared_error(WEIGHT, uniform) * (1 + 1e-6) + 1e-9

    def test_no_step_adds_to_the_error(self, planes, group_size, bias):
        errors = [
            squared_error(
                WEIGHT,
                BinaryCoder(planes=planes, group_size=group_size, bias=bias, iterations=iterations).quantize(WEIGHT),
            )
            for iterations in (0, 1, 3, 10)
        ]
        assert all(later <= earlier * (1 + 1e-6) + 1e-9 for earlier, later in pairwise(errors))


def test_one_plane_is_sign_and_mean_magnitude():
    coded = BinaryCoder(planes=1).quantize(WEIGHT[:, 2:])
    np.testing.assert_array_equal(signs_of(coded)[0], np.sign(WEIGHT[:, 2:]))
    np.testing.assert_allclose(coded.planes[0].scale[0], np.abs(WEIGHT[:, 2:]).mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("scales", [[1, 2, 4], [0.3, 1, 5], [1, 3]])
def test_sums_of_signs_come_back(scales):
    random = np.random.default_rng(0)
    sums = np.array(list(product((-1, 1), repeat=len(scales)))) @ np.array(scales)
    weight = np.column_stack([random.permutation(np.tile(sums, 5)) for _ in range(4)])
    coded = BinaryCoder(planes=len(scales)).quantize(weight)
    np.testing.assert_allclose(coded.dequantize(), weight, rtol=1e-5)


def test_fit_is_the_least_squares_of_its_signs():
    # one group that ends where it started, so that the signs are those that were fitted
    coded = BinaryCoder(planes=3, bias=True, iterations=100).quantize(WEIGHT)
    for n in range(2, WEIGHT.shape[1]):
        regressors = np.column_stack([signs_of(coded)[:, :, n].T, np.ones(len(WEIGHT))])
        solution, *_ = np.linalg.lstsq(regressors, WEIGHT[:, n].astype(np.float64))
        found = [*(plane.scale[0, n] for plane in coded.planes), present(coded.bias)[0, n]]
        np.testing.assert_allclose(found, solution, rtol=1e-5)


@pytest.mark.parametrize("powers", [1, 2, 3])
def test_scales_are_sums_of_powers_and_signs_fit_them(powers):
    coded = BinaryCoder(planes=3, group_size=13, powers=powers).quantize(WEIGHT)
    for scale in np.unique([plane.scale for plane in coded.planes]).tolist():
        assert signed_digits(scale) <= powers
    one = BinaryCoder(planes=1, powers=powers).quantize(WEIGHT)
    expected = [sum_of_powers(mean, powers) for mean in np.abs(WEIGHT).mean(axis=0, dtype=np.float64).tolist()]
    np.testing.assert_array_equal(one.planes[0].scale[0], expected)


def signed_digits(value):
    """How many signed powers of two it takes at least to make ``value``: the nonzero digits of its canonical form."""
    numerator = value.as_integer_ratio()[0]
    return (numerator ^ 3 * numerator).bit_count()


def test_more_powers_are_better():
    errors = [
        squared_error(WEIGHT, BinaryCoder(planes=3, group_size=13, powers=powers).quantize(WEIGHT))
        for powers in (1, 2, 3, 0)
    ]
    assert errors == sorted(errors, reverse=True)


def sum_of_powers(value, count):
    total = 0.0
    for _ in range(count):
        rest = value - total
        if rest:
            total += math.copysign(2.0 ** round(math.log2(abs(rest))), rest)
    return total


VALUES = np.concatenate([RANDOM.standard_normal(500) * 2.0 ** RANDOM.integers(-20, 20, 500), [0, 1, -3, 0.75]])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_power_terms(count):
    values = VALUES.astype(np.float32).reshape(2, -1)
    signs, exponents = power_terms(values, count)
    assert signs.shape == exponents.shape == (count, *values.shape)
    assert signs.dtype == exponents.dtype == np.int8
    sums = np.ldexp(signs.astype(np.float64), exponents).sum(axis=0)
    np.testing.assert_array_equal(sums, np.vectorize(sum_of_powers)(values.astype(np.float64), count))
    assert (np.abs(sums - values) <= (2**0.5 - 1) ** count * np.abs(values)).all()


def test_power_terms_at_the_ends_of_the_exponent():
    signs, exponents = power_terms([0, 1e-45, -(2.0**-128), 3.4e38], 1)
    assert signs.tolist() == [[0, 0, -1, 1]]
    assert exponents[0, 2:].tolist() == [-128, 127]


UNIFORM = [*(Int(bits, signed) for bits in range(1, 9) for signed in (True, False)), *map(Bipolar, range(1, 9))]


@pytest.mark.parametrize("k_axis", [0, 1])
@pytest.mark.parametrize(("granularity", "group_size"), [("tensor", 0), ("channel", 0), ("group", 13)])
@pytest.mark.parametrize("fmt", UNIFORM, ids=lambda fmt: fmt.name)
def test_uniform_codes_are_binary_codes(fmt, granularity, group_size, k_axis):
    # multiples of a power of two keep scales short, and so the bias exact; every code occurs
    weight = np.linspace(-3, 5, 256 * 4).reshape(256, 4).round(2).astype(np.float16)
    uniform = Quantizer(fmt, "asymmetric", granularity, group_size).quantize(weight, k_axis=k_axis)
    short = np.float32(uniform.scale.astype(np.float16))
    uniform = type(uniform)(**{**vars(uniform), "scale": short})
    coded = uniform_as_bcq(uniform)
    np.testing.assert_array_equal(coded.dequantize(), uniform.dequantize())
    assert {plane.format for plane in coded.planes} == {Bipolar(1)} and len(coded.planes) == fmt.bits


def test_uniform_scales_and_bias_are_those_of_lut_gemm():
    weight = Quantizer(Int(4, signed=False), "asymmetric", "group", 13).quantize(WEIGHT, k_axis=0)
    coded = uniform_as_bcq(weight)
    scales = np.array([plane.scale for plane in coded.planes])
    np.testing.assert_array_equal(scales, weight.scale * np.array([0.5, 1, 2, 4])[:, None, None])
    bias = scales.sum(axis=0, dtype=np.float64) - weight.scale * weight.zero_point
    np.testing.assert_array_equal(coded.bias, bias.astype(np.float32))


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: BinaryCoder(planes=0), "Planes must be from 1 to 8, not 0"),
        (lambda: BinaryCoder(planes=9), "Planes must be from 1 to 8, not 9"),
        (lambda: BinaryCoder(planes=2, iterations=-1), "Iterations must be at least 0, not -1"),
        (lambda: BinaryCoder(planes=2, powers=-1), "Powers must be at least 0, not -1"),
        (
            lambda: BinaryCoder(planes=2, group_size=-1).quantize(WEIGHT),
            "Group size must be at least 1, or 0 for one group, not -1",
        ),
        (
            lambda: BinaryCoder(planes=2).quantize([[1, np.nan]]),
            "weight[0, 1] is nan, no finite float32",
        ),
        (
            lambda: uniform_as_bcq(Quantizer(NF4).quantize(WEIGHT, k_axis=0)),
            "Format must be an integer or bipolar one, whose bits have weights, not nf4",
        ),
    ],
)
def test_bad_input_is_refused(attempt, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attempt()


@pytest.mark.parametrize("powers", [0, 3])
def test_integers_stay_what_they_are(powers):
    coder = BinaryCoder(planes=3, group_size=8, powers=powers)
    values = np.random.default_rng(2).choice([-7, -5, -3, -1, 1, 3, 5, 7], (16, 3))
    values[:8, 1], values[8:, 1] = 0, 4
    np.testing.assert_array_equal(coder.from_values(values).dequantize(), values)
    with pytest.raises(
        ValueError, match=r"^weight\[\d, 0\] is \d, which 3 planes of signs do not give beside the other "
    ):
        coder.from_values(np.arange(8)[:, None])


def test_planes_of_noise_are_none():
    weight = np.float32(0.03) * np.sign(np.random.default_rng(0).normal(size=(128, 4)))
    for planes in (2, 3, 8):
        coded = BinaryCoder(planes=planes).quantize(weight)
        scales = np.array([plane.scale for plane in coded.planes])
        assert (np.abs(scales[scales != 0]) > 1e-3).all()
        np.testing.assert_allclose(coded.dequantize(), weight, rtol=1e-6)
