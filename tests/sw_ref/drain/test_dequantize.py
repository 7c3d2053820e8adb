"""Dequantized integer products against real products of the dequantized operands."""

import re
from fractions import Fraction

import numpy as np
import pytest

from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.gemm import gemm
from sw_ref.drain.dequantize import dequantize_gemm
from sw_ref.formats.base import Int
from sw_ref.quantize.uniform import Quantized, Quantizer

M, K, N = 4, 21, 5
GROUPED = [("tensor", 0), ("channel", 0), ("group", 8)]


def operand(granularity, group_size, *, k_axis, seed):
    """Random codes with random zero points and scales that are powers of two."""
    random = np.random.default_rng(seed)
    fmt = Int(8) if k_axis else Int(4, False)
    shape = (M, K) if k_axis else (K, N)
    groups = -(-K // group_size) if group_size else 1
    channels = 1 if granularity == "tensor" else shape[1 - k_axis]
    scales = (channels, groups) if k_axis else (groups, channels)
    return Quantized(
        codes=random.integers(0, 1 << fmt.bits, shape).astype(np.uint32),
        scale=np.exp2(random.integers(-6, 7, scales)).astype(np.float32),
        zero_point=random.integers(fmt.interval.lo, fmt.interval.hi + 1, scales),
        format=fmt,
        k_axis=k_axis,
        group_size=group_size,
    )


def integer_sums(act, weight, group_size):
    return gemm(
        act.codes,
        weight.codes,
        act=act.format,
        weight=weight.format,
        accumulator=Accumulator(32),
        group_size=group_size,
    )


@pytest.mark.parametrize("act_granularity", GROUPED, ids=lambda g: g[0])
@pytest.mark.parametrize("weight_granularity", GROUPED, ids=lambda g: g[0])
@pytest.mark.parametrize("seed", range(5))
def test_equals_product_of_dequantized_operands(act_granularity, weight_granularity, seed):
    # with scales that are powers of two, every step of both ways is exact
    act = operand(*act_granularity, k_axis=1, seed=seed)
    weight = operand(*weight_granularity, k_axis=0, seed=seed + 100)
    sums = integer_sums(act, weight, act.group_size or weight.group_size)
    y = dequantize_gemm(sums, act, weight)
    assert y.dtype == np.float64
    expected = act.reals() @ weight.reals()
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("scheme", ["symmetric", "asymmetric"])
def test_follows_the_formula_in_the_stated_order(scheme):
    random = np.random.default_rng(0)
    act = Quantizer(Int(8), scheme, "group", 8).quantize(random.standard_normal((M, K)), k_axis=1)
    weight = Quantizer(Int(4), scheme, "group", 8).quantize(random.standard_normal((K, N)), k_axis=0)
    sums = integer_sums(act, weight, 8)
    a, w = act.format.to_fixed(act.codes).tolist(), weight.format.to_fixed(weight.codes).tolist()
    y = dequantize_gemm(sums, act, weight)
    for m in range(M):
        for n in range(N):
            total = 0.0
            for g in range(3):
                z_a, z_w = int(act.zero_point[m, g]), int(weight.zero_point[g, n])
                members = range(8 * g, min(8 * g + 8, K))
                centred = sum((a[m][k] - z_a) * (w[k][n] - z_w) for k in members)
                scale = Fraction(float(act.scale[m, g])) * Fraction(float(weight.scale[g, n]))
                total += float(scale * centred)
            assert y[m, n] == total


def test_sums_of_fractions_are_scaled_by_their_last_bits(halves):
    act = Quantizer(halves).quantize([[3.0, -3.0, 0.0]], k_axis=1)
    weight = Quantizer(Int(8)).quantize([[127.0], [-127.0], [5.0]], k_axis=0)
    sums = integer_sums(act, weight, 0)
    assert sums.item() == 254
    assert dequantize_gemm(sums, act, weight).item() == 762


def test_wrapped_sums_are_dequantized_as_they_are():
    act = operand("tensor", 0, k_axis=1, seed=0)
    weight = operand("tensor", 0, k_axis=0, seed=1)
    sums = integer_sums(act, weight, 0)
    unit = float(act.scale.item() * weight.scale.item())
    difference = dequantize_gemm(sums + 256, act, weight) - dequantize_gemm(sums, act, weight)
    np.testing.assert_array_equal(difference, np.full((M, N), 256 * unit))


ACT, WEIGHT = operand("tensor", 0, k_axis=1, seed=0), operand("channel", 0, k_axis=0, seed=0)
GROUPED_WEIGHT = operand("group", 8, k_axis=0, seed=0)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (
            lambda: dequantize_gemm(np.zeros((1, M, N), int), ACT, GROUPED_WEIGHT),
            "Sums must be (G, M, N) = (3, 4, 5) for these operands, not (1, 4, 5)",
        ),
        (
            lambda: dequantize_gemm(np.zeros((3, M, N), int), ACT, WEIGHT),
            "Sums must be (G, M, N) = (1, 4, 5) for these operands, not (3, 4, 5)",
        ),
        (
            lambda: dequantize_gemm(np.zeros((1, M, N), int), WEIGHT, ACT),
            "K must be axis 1 of act and axis 0 of weight, not 0 and 1",
        ),
        (
            lambda: dequantize_gemm(np.zeros((3, M, N), int), operand("group", 7, k_axis=1, seed=0), GROUPED_WEIGHT),
            "Group sizes must be equal, not 7 and 8",
        ),
        (
            lambda: dequantize_gemm(
                np.zeros((1, M, 2), int), ACT, Quantizer(Int(8)).quantize(np.ones((3, 2)), k_axis=0)
            ),
            "act must be (M, K) and weight (K, N), not (4, 21) and (3, 2)",
        ),
    ],
)
def test_bad_input_is_refused(attempt, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attempt()
