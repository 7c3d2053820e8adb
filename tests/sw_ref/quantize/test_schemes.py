"""Quantizers to formats and by schemes that ONNX has not, against their formulas and brute force."""

import math
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.signs import Bipolar, PowerOfTwo, SumOfPowers, Ternary
from sw_ref.quantize.uniform import Quantizer

# heavy-tailed, off centre, with a row and a column of zeros
X = (np.random.default_rng(0).standard_t(3, (24, 15)) + 0.3).astype(np.float32)
X[0], X[:, 1] = 0, 0


@pytest.mark.parametrize(
    "fmt", [Bipolar(1), Bipolar(3), Ternary(), PowerOfTwo(4), SumOfPowers(5), parse_format("nf4")], ids=str
)
def test_symmetric_is_the_nearest_value_of_any_format(fmt):
    x = X
    quantized = Quantizer(fmt, granularity="channel").quantize(x, k_axis=0)
    values = np.unique(fmt.decode(np.arange(1 << fmt.bits)))
    largest = np.abs(x).max(axis=0, keepdims=True)
    np.testing.assert_array_equal(quantized.scale, largest / np.float32(values[-1]))
    reals = (quantized.scale.astype(np.float64) * values[:, None, None])[:, 0]
    nearest = np.abs(x - reals[:, None]).min(axis=0)
    np.testing.assert_allclose(np.abs(x - quantized.reals()), nearest, rtol=1e-5, atol=1e-6)
    assert not quantized.zero_point.any()


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize(("granularity", "group_size"), [("tensor", 0), ("channel", 0), ("group", 8)])
def test_asymmetric_bipolar_is_unsigned_read_anew(bits, granularity, group_size):
    for offset in (-5, 0, 5):
        x = X[1:20] + np.float32(offset)
        unsigned = Quantizer(Int(bits, False), "asymmetric", granularity, group_size).quantize(x, k_axis=1)
        bipolar = Quantizer(Bipolar(bits), "asymmetric", granularity, group_size).quantize(x, k_axis=1)
        # LUT Tensor Core: q' = 2q - (2**b - 1), s' = s / 2, z' = 2z + 1 - 2**b
        np.testing.assert_array_equal(bipolar.codes, unsigned.codes)
        np.testing.assert_array_equal(bipolar.scale, unsigned.scale / 2)
        np.testing.assert_array_equal(bipolar.zero_point, 2 * unsigned.zero_point + 1 - 2**bits)
        np.testing.assert_array_equal(bipolar.dequantize(), unsigned.dequantize())


@pytest.mark.parametrize(("granularity", "group_size"), [("tensor", 0), ("channel", 0), ("group", 8), ("group", 7)])
@pytest.mark.parametrize("fmt", [Ternary(), Int(2), Bipolar(1)], ids=str)
def test_absmean_is_the_mean_magnitude_and_the_nearest_sign(fmt, granularity, group_size):
    # without the zeros, which have a scale of 0
    x = np.delete(X, 1, axis=1)
    quantized = Quantizer(fmt, "absmean", granularity, group_size).quantize(x, k_axis=0)
    scale = quantized.along_k(quantized.scale)
    size = group_size or len(x)
    for k, n in np.ndindex(x.shape):
        part = x if granularity == "tensor" else x[k // size * size : (k // size + 1) * size, n]
        expected = np.float32(math.fsum(np.abs(part).ravel().tolist()) / part.size)
        assert np.broadcast_to(scale, x.shape)[k, n] == expected
        ratio = float(x[k, n] / np.float32(expected))
        value = min(max(round(ratio), -1), 1) if fmt != Bipolar(1) else 1 if ratio > 0 else -1
        assert fmt.to_fixed(quantized.codes)[k, n] == value
    assert not quantized.zero_point.any()


def test_cast_rounds_and_scales_nothing():
    x = X * np.float32(100)
    quantized = Quantizer(parse_format("bf16"), "cast").quantize(x, k_axis=0)
    np.testing.assert_array_equal(quantized.codes, x.astype(ml_dtypes.bfloat16).view(np.uint16))
    assert (quantized.scale, quantized.zero_point) == (1, 0)
    with pytest.raises(ValueError, match=r"^Granularity must be tensor with cast, not channel$"):
        Quantizer(parse_format("bf16"), "cast", "channel")
    with pytest.raises(ValueError, match=r"^Clip search must be 0 with cast, not 3$"):
        Quantizer(parse_format("bf16"), "cast", clip_search=3)


@pytest.mark.parametrize(
    ("name", "largest", "scale"),
    [
        ("fp16", 65504.0, 1.0),
        ("fp16", 65505.0, 2.0),
        ("fp16", 1e30, 2.0**84),
        ("fp16", 0.0625, 1.0),
        ("fp16", 0.06, 0.5),
        ("fp16", 1e-30, 2.0**-96),
        ("fp8_e4m3", 1000.0, 4.0),
        ("fp8_e4m3_nonsat", 1000.0, 1.0),
        ("bf16", 1e-30, 1.0),
        ("int8", 300.0, 4.0),
        ("int8", 0.3, 0.25),
        ("posit8_0", 1e-9, 2.0**-24),
    ],
)
def test_cast_takes_a_power_of_two_out_of_what_would_be_lost(name, largest, scale):
    fmt, x = parse_format(name), np.array([[largest, -largest / 2, 0]], np.float32)
    quantized = Quantizer(fmt, "cast").quantize(x, k_axis=1)
    assert quantized.scale == scale
    np.testing.assert_array_equal(quantized.codes, fmt.encode(x / np.float64(scale)))
    if "nonsat" in name:
        assert np.isnan(quantized.dequantize()[0, :2]).all()


@pytest.mark.parametrize("fmt", [Ternary(), Int(2), Bipolar(1)], ids=str)
@pytest.mark.parametrize("magnitude", [1.0, 0.007, 3e-20])
def test_absmean_leaves_alone_what_is_quantized_already(fmt, magnitude):
    signs = np.array([[1, 0, -1, 0, 0], [1, -1, -1, 1, 1], [-1, 1, -1, 1, 1]])
    signs = signs[1:] if fmt == Bipolar(1) else signs
    x = signs.astype(np.float32) * np.float32(magnitude)
    np.testing.assert_array_equal(Quantizer(fmt, "absmean", "channel").quantize(x, k_axis=1).dequantize(), x)


SEARCHED = [
    (parse_format(name), scheme)
    for name, schemes in {
        "int2": ["symmetric", "asymmetric"],
        "int3": ["symmetric", "asymmetric"],
        "uint4": ["asymmetric"],
        "int4": ["symmetric"],
        "bipolar2": ["symmetric", "asymmetric"],
        "ternary": ["symmetric"],
        "pot4": ["symmetric"],
        "apot5": ["symmetric"],
        "nf4": ["symmetric"],
    }.items()
    for scheme in schemes
]


@pytest.mark.parametrize(("granularity", "group_size"), [("tensor", 0), ("channel", 0), ("group", 16)])
@pytest.mark.parametrize(("fmt", "scheme"), SEARCHED, ids=str)
def test_clip_search_finds_the_best_of_the_clipped(fmt, scheme, granularity, group_size):
    x = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
    quantizer = Quantizer(fmt, scheme, granularity, group_size)
    searched = replace(quantizer, clip_search=7).quantize(x, k_axis=0)
    transposed = replace(quantizer, clip_search=7).quantize(x.T, k_axis=1)
    np.testing.assert_array_equal(transposed.dequantize(), searched.dequantize().T)
    blocks = (
        [(slice(None), slice(None))]
        if granularity == "tensor"
        else [
            (slice(k, k + (group_size or 40)), slice(n, n + 1))
            for k in range(0, 40, group_size or 40)
            for n in range(6)
        ]
    )
    for block in blocks:
        part = x[block]
        low, high = min(part.min(), 0), max(part.max(), 0)
        if scheme == "symmetric":
            low, high = -np.abs(part).max(), np.abs(part).max()
        # of a clipped tensor the range is what it is clipped to
        clipped = [np.clip(part, ratio * low, ratio * high) for ratio in np.arange(8, 0, -1) / 8]
        tries = [Quantizer(fmt, scheme).quantize(each, k_axis=0).reals() for each in clipped]
        errors = [np.sum((part - each) ** 2) for each in tries]
        assert np.sum((part - searched.reals()[block]) ** 2) == pytest.approx(min(errors), rel=1e-4)


@pytest.mark.parametrize("clip_search", [1, 5, 20])
@pytest.mark.parametrize(("fmt", "scheme"), SEARCHED, ids=str)
def test_clip_search_never_adds_to_the_error_of_a_group(fmt, scheme, clip_search):
    x = np.random.default_rng(1).standard_normal((256, 40)).astype(np.float32)
    plain, searched = (
        Quantizer(fmt, scheme, "group", 32, search).quantize(x, k_axis=0).reals() for search in (0, clip_search)
    )
    errors = [np.sum((x - reals).reshape(8, 32, 40) ** 2, axis=1) for reals in (plain, searched)]
    assert (errors[1] <= errors[0]).all()
    assert clip_search < 20 or errors[1].sum() < 0.98 * errors[0].sum()
