"""Affine groups against gguf, whose Q4_1 they are, and integers that stay what they are."""

import re

import gguf
import numpy as np
import pytest

from sw_ref.quantize.affine import AffineQuantizer

Q4_1 = gguf.GGMLQuantizationType.Q4_1


def of_gguf(weight):
    """The real weight (K, N) that gguf's Q4_1 leaves: blocks are of neighbours along the last axis."""
    return gguf.quants.dequantize(gguf.quants.quantize(np.ascontiguousarray(weight.T), Q4_1), Q4_1).T


def weights(kind, seed=0):
    random = np.random.default_rng(seed)
    weight = random.normal(size=(96, 20)).astype(np.float32)
    if kind == "constant":
        weight[:32] = 0.3
    if kind == "zeros":
        weight[32:64, ::2] = 0
    if kind == "small":
        # scales and offsets that FP16 has only as subnormals, beside others
        weight[:64] *= 2.0**-17
    if kind == "outlier":
        weight[5, 3] = 900
    if kind == "negative":
        weight = -np.abs(weight)
    return weight


@pytest.mark.parametrize("kind", ["normal", "constant", "zeros", "small", "outlier", "negative"])
def test_codes_and_floats_are_those_of_gguf(kind):
    weight = weights(kind)
    found = AffineQuantizer(bits=4, group_size=32).quantize(weight)
    assert found.overall == 1
    # in float32 as gguf does it: the product is rounded, then the sum
    groups = np.repeat(np.arange(3), 32)
    scale, offset = (x[groups].astype(np.float32) for x in (found.scale, found.offset))
    np.testing.assert_array_equal(scale * found.codes.astype(np.float32) + offset, of_gguf(weight))


@pytest.mark.parametrize("power", [-60, 40])
def test_a_power_of_two_is_taken_out_of_what_fp16_does_not_hold(power):
    weight = weights("normal")
    plain, found = (AffineQuantizer(bits=4).quantize(np.ldexp(weight, p)) for p in (0, power))
    error = np.abs(np.ldexp(found.reals(), -power) - weight).max()
    assert found.overall > 1e9 or found.overall < 1e-9
    assert error <= 1.01 * np.abs(plain.reals() - weight).max() + 2.0**-8


def test_integers_are_the_values_themselves():
    values = np.random.default_rng(1).integers(-7, 9, (70, 6))
    found = AffineQuantizer(bits=4, group_size=32).from_values(values)
    np.testing.assert_array_equal(found.reals(), values)
    values[40, 2] = 30
    message = "weight[40, 2] is 30, which codes of 4 bits above the least of its group, a number of FP16, do not give"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        AffineQuantizer(bits=4, group_size=32).from_values(values)
