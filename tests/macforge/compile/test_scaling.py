"""Factors and the power of two that is taken out of them."""

import numpy as np
import pytest

from macforge.compile.scaling import Scaling
from sw_ref.arith.float_codes import value_of
from sw_ref.formats.minifloat import BF16, FLOATS, FP16, FP32, Float


@pytest.mark.parametrize(
    ("shape", "factors", "exponent"),
    [
        (FP16, [1.0, 2.0**-14], 0),
        (FP16, [1.0, 2.0**-15], -1),
        (FP16, [2.0**-24, 0, 1023 * 2.0**-24], -10),
        (FP16, [65504.0], 0),
        (FP16, [65536.0, 2.0], 1),
        (FP16, [2.0**-100, 2.0**-90], -86),
        (FLOATS["e8m0"], [2.0**-127, 1.0], 0),
        (FLOATS["e8m0"], [2.0**-128, 1.0], -1),
        (Float(5, 3, specials="ieee"), [2.0**-17, 1.0], -3),
        (FP32, [2.0**-149], -23),
        (FP32, [0.0], 0),
    ],
)
def test_power_is_the_least_with_which_all_factors_are_normal(shape, factors, exponent):
    scaling = Scaling(arithmetic=FP32)
    codes = scaling.factor("scale", shape, np.array(factors), np.ones(1))
    assert scaling.exponent == exponent
    np.testing.assert_array_equal(np.ldexp(value_of(shape, codes), exponent), factors)


@pytest.mark.parametrize(
    ("after", "exponent"),
    [([1e30], 0), ([2.0**130, 1.0], 3), ([2.0**-103], 0), ([2.0**-104, 1], -1), ([0, 2.0**-140], -37)],
)
def test_results_stay_clear_of_both_ends(after, exponent):
    scaling = Scaling(arithmetic=FP32)
    codes = scaling.factor("scale", FP32, np.array([1.0]), np.array(after))
    assert scaling.exponent == exponent
    assert np.ldexp(value_of(FP32, codes), exponent) == 1


def test_exponents_of_several_factors_add_up():
    scaling = Scaling(arithmetic=FP32)
    scaling.factor("scale", FP16, np.array([2.0**-20]), np.array([2.0**-20]))
    scaling.factor("act_scale", FP16, np.array([2.0**20]), np.array([1.0]))
    assert scaling.exponent == -6 + 5


@pytest.mark.parametrize(
    ("arithmetic", "shape", "factors", "after", "message"),
    [
        (
            FP32,
            FP16,
            [2.0**-30, 1.0],
            [1.0],
            r"Drain scale must hold scales from 9.31e-10 to 1, which lie too far apart for a float of 5 exponent bits; "
            r"fp32 and bf16 have 8",
        ),
        (
            FP16,
            FP16,
            [1.0, 2.0**29],
            [2.0**-10, 2.0**29],
            r"Drain arithmetic must hold results of 0.000977 beside 5.37e\+08, which a float of 5 exponent bits does "
            r"not; fp32 and bf16 have 8",
        ),
    ],
)
def test_what_lies_too_far_apart_is_refused(arithmetic, shape, factors, after, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Scaling(arithmetic=arithmetic).factor("scale", shape, np.array(factors), np.array(after))


def test_margin_follows_the_fraction():
    scaling = Scaling(arithmetic=BF16)
    scaling.factor("scale", BF16, np.array([1.0]), np.array([2.0**-119]))
    assert scaling.exponent == 0
    scaling.factor("scale", BF16, np.array([1.0]), np.array([2.0**-120]))
    assert scaling.exponent == -1
