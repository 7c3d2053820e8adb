"""Roundings of requantization against other people's code, and their definitions in Python's integers."""

import numpy as np
import pytest
from onnx import helper

from sw_ref.drain.requantize import dyadic, requantize


def truncated(product, bits):
    """C's division: toward 0."""
    return -(-product >> bits) if product < 0 else product >> bits


def doubling_high(x, y):
    """gemmlowp's SaturatingRoundingDoublingHighMul of two 32-bit integers, but for the product that saturates."""
    product = x * y
    return truncated(product + (1 << 30 if product >= 0 else 1 - (1 << 30)), 31)


def by_power_of_two(x, exponent):
    """gemmlowp's RoundingDivideByPOT."""
    mask = (1 << exponent) - 1
    return (x >> exponent) + int((x & mask) > (mask >> 1) + (x < 0))


def test_gemmlowp_rounds_twice():
    random = np.random.default_rng(0)
    integer = random.integers(-(1 << 31), 1 << 31, 20000) >> random.integers(0, 31, 20000)
    multiplier = random.integers(1 << 30, 1 << 31, 20000)
    # ties of both roundings
    multiplier[::4] = 1 << 30
    shift = random.integers(31, 50, 20000)
    expected = [
        min(max(by_power_of_two(doubling_high(int(x), int(m)), int(s) - 31) + 3, -128), 127)
        for x, m, s in zip(integer, multiplier, shift, strict=True)
    ]
    found = requantize(integer, multiplier, shift, bits=8, signed=True, rounding="gemmlowp", zero=3)
    np.testing.assert_array_equal(found, expected)
    once = requantize(integer, multiplier, shift, bits=8, signed=True, zero=3)
    assert (found != once).any() and np.abs(found - once).max() == 1


def test_floor_drops_the_low_bits():
    random = np.random.default_rng(1)
    acc, kappa = random.integers(-(1 << 24), 1 << 24, 5000), random.integers(1, 1 << 16, 5000)
    addend, shift = random.integers(-(1 << 31), 1 << 31, 5000), random.integers(20, 36, 5000)
    expected = [
        min(max((int(a) * int(m) + int(b)) >> int(s), 0), 255)
        for a, m, b, s in zip(acc, kappa, addend, shift, strict=True)
    ]
    found = requantize(acc, kappa, shift, bits=8, signed=False, rounding="floor", addend=addend)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("kind", "signed"), [(np.int8, True), (np.uint8, False)])
@pytest.mark.parametrize("zero", [-128, -3, 0, 127])
def test_half_even_with_a_zero_point_is_onnx(onnx_run, kind, signed, zero):
    """QLinearMatMul of onnxruntime; its ratio is a float32, which a multiplier of 31 bits is exactly."""
    random = np.random.default_rng(2)
    low = np.iinfo(kind).min
    zero = zero if signed else zero + 128
    # unsigned by signed, onnxruntime adds pairs of products in 16 bits on some processors, which saturates beyond 63
    largest = 128 if signed else 64
    a = random.integers(-128, 128, (9, 40)).astype(np.int8)
    b = random.integers(-largest + 1, largest, (40, 30)).astype(np.int8)
    a = (a.astype(int) - low - 128 if not signed else a).astype(kind)
    zeros = {"a_zero": kind(low + 100), "b_zero": np.int8(7), "y_zero": kind(zero)}
    scales = {"a_scale": np.float32(0.02), "b_scale": np.float32(0.013), "y_scale": np.float32(0.31)}
    names = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero"]
    inputs = {"a": a, "b": b} | {name: np.asarray(value) for name, value in (zeros | scales).items()}
    node = helper.make_node("QLinearMatMul", names, ["y"])
    (expected,) = onnx_run([node], inputs, ["y"])
    sums = (a.astype(int) - int(zeros["a_zero"])) @ (b.astype(int) - 7)
    ratio = scales["a_scale"] * scales["b_scale"] / scales["y_scale"]
    multiplier, shift = dyadic(ratio)
    found = requantize(sums, multiplier, shift, bits=8, signed=signed, zero=zero)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected)) > 30
