"""Quantizers against ONNX Runtime's operators, bit for bit."""

import re

import numpy as np
import pytest
from onnx import TensorProto, helper

from sw_ref.formats.base import Int
from sw_ref.formats.signs import Bipolar, Ternary
from sw_ref.quantize.uniform import Quantized, Quantizer, sqnr_db
from tests.typed import wrong

ONNX_TYPES = {
    "int4": TensorProto.INT4,
    "uint4": TensorProto.UINT4,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16,
    "uint16": TensorProto.UINT16,
}
FORMATS = [Int(bits, signed) for bits in (4, 8, 16) for signed in (True, False)]
QUANTIZERS = [
    Quantizer(fmt, scheme, granularity, 8 if granularity == "group" else 0)
    for fmt in FORMATS
    for scheme in ("symmetric", "asymmetric")
    for granularity in ("tensor", "channel", "group")
    if fmt.signed or scheme == "asymmetric"
]


def name(quantizer):
    return f"{quantizer.format.name}-{quantizer.scheme}-{quantizer.granularity}"


def matrix(*shape, seed=0):
    """Heavy-tailed, off centre, with a column and a row of zeros and exact halves among the elements."""
    random = np.random.default_rng(seed)
    x = random.standard_t(3, shape) + 0.3
    x[0], x[:, 1] = 0, 0
    x[1] = np.arange(shape[1]) / 2
    return x.astype(np.float32)


def onnx_layout(quantized):
    """Scale, zero point and attributes in the shapes that ONNX has for a tensor, an axis and blocks.

    A scale of 0, which is that of zeros alone, is 1 there: ONNX divides by it.
    """
    scale, zero_point, other_axis = quantized.scale, quantized.zero_point, 1 - quantized.k_axis
    scale = np.where(scale == 0, np.float32(1), scale)
    if quantized.group_size:
        attributes = {"axis": quantized.k_axis, "block_size": quantized.group_size}
        return scale, zero_point, attributes
    if scale.size == 1:
        return scale.reshape(()), zero_point.reshape(()), {}
    return scale.ravel(), zero_point.ravel(), {"axis": other_axis}


def onnx_constants(quantized):
    scale, zero_point, attributes = onnx_layout(quantized)
    onnx_type = ONNX_TYPES[quantized.format.name]
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, scale.shape, scale.ravel()),
        helper.make_tensor("zero_point", onnx_type, zero_point.shape, zero_point.ravel()),
    ]
    return constants, attributes


@pytest.mark.parametrize("k_axis", [0, 1])
@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=name)
def test_codes_equal_onnx_quantize_linear(quantizer, k_axis, onnx_run):
    x = matrix(24, 32)
    quantized = quantizer.quantize(x, k_axis=k_axis)
    constants, attributes = onnx_constants(quantized)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero_point"], ["q"], **attributes),
        helper.make_node("Cast", ["q"], ["y"], to=TensorProto.INT32),
    ]
    (expected,) = onnx_run(nodes, {"x": x}, ["y"], constants)
    np.testing.assert_array_equal(quantizer.format.to_fixed(quantized.codes), expected)


@pytest.mark.parametrize("k_axis", [0, 1])
@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=name)
def test_dequantize_equals_onnx_dequantize_linear(quantizer, k_axis, onnx_run):
    quantized = quantizer.quantize(matrix(24, 32), k_axis=k_axis)
    constants, attributes = onnx_constants(quantized)
    values = quantizer.format.to_fixed(quantized.codes)
    constants.append(helper.make_tensor("q", ONNX_TYPES[quantizer.format.name], values.shape, values.ravel()))
    nodes = [helper.make_node("DequantizeLinear", ["q", "scale", "zero_point"], ["y"], **attributes)]
    (expected,) = onnx_run(nodes, {}, ["y"], constants)
    assert quantized.dequantize().dtype == np.float32
    np.testing.assert_array_equal(quantized.dequantize(), expected)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("offset", [-100, -1, 0, 1, 100])
def test_asymmetric_uint8_equals_onnx_dynamic_quantize_linear(seed, offset, onnx_run):
    x = matrix(16, 12, seed=seed) + np.float32(offset)
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "scale", "zero_point"])]
    codes, scale, zero_point = onnx_run(nodes, {"x": x}, ["y", "scale", "zero_point"])
    quantized = Quantizer(Int(8, False), "asymmetric").quantize(x, k_axis=1)
    assert quantized.scale == scale
    assert quantized.zero_point == zero_point
    np.testing.assert_array_equal(quantized.codes, codes)


@pytest.mark.parametrize(
    ("granularity", "group_size", "weight_shape", "act_shape"),
    [
        ("tensor", 0, (1, 1), (1, 1)),
        ("channel", 0, (1, 5), (20, 1)),
        ("group", 8, (3, 5), (20, 1)),
        ("group", 1, (20, 5), (20, 5)),
        ("group", 64, (1, 5), (20, 1)),
    ],
)
@pytest.mark.parametrize("scheme", ["symmetric", "asymmetric"])
def test_each_scale_covers_its_own_elements(scheme, granularity, group_size, weight_shape, act_shape):
    x = matrix(20, 5)
    quantizer = Quantizer(Int(8), scheme, granularity, group_size)
    for k_axis, shape in ((0, weight_shape), (1, act_shape)):
        quantized = quantizer.quantize(x, k_axis=k_axis)
        assert quantized.scale.shape == quantized.zero_point.shape == shape
        assert quantized.scale.dtype == np.float32
        depth, channels = x.shape[k_axis], x.shape[1 - k_axis]
        for g in range(0, depth, group_size or depth):
            for channel in range(channels):
                along_k = slice(g, g + (group_size or depth))
                block = (along_k, channel) if k_axis == 0 else (channel, along_k)
                part = x[block] if granularity != "tensor" else x
                index = (g // (group_size or depth), channel if shape[1 - k_axis] > 1 else 0)
                scale = quantized.scale[index if k_axis == 0 else index[::-1]]
                assert scale == expected_scale(part, scheme)


def expected_scale(part, scheme):
    if scheme == "symmetric":
        return np.abs(part).max() / np.float32(127)
    return (max(part.max(), np.float32(0)) - min(part.min(), np.float32(0))) / np.float32(255)


def test_symmetric_leaves_the_lowest_code_unused():
    x = np.array([[-1.0, -0.996, 0.5, 1.0]])
    for bits, expected in ((8, [-127, -126, 64, 127]), (2, [-1, -1, 0, 1]), (3, [-3, -3, 2, 3])):
        quantized = Quantizer(Int(bits)).quantize(x, k_axis=1)
        assert Int(bits).to_fixed(quantized.codes).tolist() == [expected]


@pytest.mark.parametrize("signed", [True, False])
def test_one_bit_asymmetric_holds_zero_and_one_other_value(signed):
    for x, expected in (
        ([[0.0, 2.0]], [[0, 2]]),
        ([[-2.0, 0.0]], [[-2, 0]]),
        ([[3.0, 3.0]], [[3, 3]]),
    ):
        quantized = Quantizer(Int(1, signed), "asymmetric").quantize(x, k_axis=1)
        np.testing.assert_array_equal(quantized.dequantize(), expected)


@pytest.mark.parametrize("fmt", [Int(b, s) for b in range(1, 17) for s in (True, False)], ids=str)
def test_asymmetric_keeps_zero_exact_and_zero_point_in_the_format(fmt):
    for seed in range(5):
        x = matrix(9, 6, seed=seed)
        for shifted in (x, x + 50, x - 50):
            shifted[0, 0] = 0
            quantized = Quantizer(fmt, "asymmetric", "channel").quantize(shifted, k_axis=0)
            assert quantized.dequantize()[0, 0] == 0
            assert fmt.interval.lo <= quantized.zero_point.min()
            assert quantized.zero_point.max() <= fmt.interval.hi


@pytest.mark.parametrize("scheme", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("form", [Int(8), Bipolar(1), Bipolar(4)], ids=str)
def test_zeros_are_zero_in_every_format(form, scheme):
    quantized = Quantizer(form, scheme, "channel").quantize([[0.0, 2.0], [0.0, -1.0]], k_axis=0)
    assert (quantized.scale == 0).tolist() == [[True, False]]
    assert not quantized.dequantize()[:, 0].any()


@pytest.mark.parametrize("scheme", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("value", [1e-45, -1e-45])
def test_least_magnitude_is_not_lost(scheme, value):
    quantized = Quantizer(Int(8), scheme).quantize(np.full((2, 3), value), k_axis=0)
    np.testing.assert_array_equal(quantized.dequantize(), np.full((2, 3), value, np.float32))


@pytest.mark.parametrize("scheme", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("largest", [2e-43, 1e-38, 1.0, 1.7e38])
def test_codes_stay_in_range_at_every_magnitude(scheme, largest):
    x = np.array([[-largest, largest / 3, largest]], dtype=np.float32)
    quantized = Quantizer(Int(8), scheme).quantize(x, k_axis=1)
    values = Int(8).to_fixed(quantized.codes)[0]
    assert values[-1] - values[0] in ((254,) if scheme == "symmetric" else (254, 255))
    assert np.isfinite(quantized.dequantize()).all()


def test_symmetric_takes_any_format_with_both_signs(halves):
    quantized = Quantizer(halves).quantize([[-3, 1, 2], [0.5, -1.6, 3]], k_axis=1)
    assert quantized.scale == 6
    assert quantized.codes.tolist() == [[3, 0, 1], [0, 3, 1]]
    assert quantized.dequantize().tolist() == [[-3, 0, 3], [0, -3, 3]]
    with pytest.raises(ValueError, match=r"^Asymmetric format must be an integer or bipolar format, not halves$"):
        Quantizer(halves, "asymmetric")


@pytest.mark.parametrize(("bits", "ideal"), [(4, 20), (8, 44), (12, 68)])
def test_sqnr_of_a_uniform_signal(bits, ideal):
    # step 2/(2**bits - 1) on +-1: noise step**2 / 12, signal 1/3, so 20 log10(2**bits - 1) dB
    x = np.random.default_rng(0).uniform(-1, 1, (200, 200))
    x[0, 0], x[0, 1] = 1, -1
    quantized = Quantizer(Int(bits), "asymmetric").quantize(x, k_axis=0)
    assert sqnr_db(x, quantized.dequantize()) == pytest.approx(20 * np.log10(2**bits - 1), abs=0.5)
    assert sqnr_db(x, quantized.dequantize()) > ideal


def test_sqnr_of_known_signals():
    assert sqnr_db([3, 4], [3, 3.5]) == pytest.approx(20)
    assert sqnr_db([1, 2], [1, 2]) == float("inf")
    assert sqnr_db([0, 0], [0, 1]) == float("-inf")


X = np.ones((2, 3))
HOLED = np.array([[1, 2], [np.inf, np.nan]])


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (
            lambda: Quantizer(Int(8), wrong("affine")),
            "Scheme must be one of symmetric, asymmetric, absmean, cast, not 'affine'",
        ),
        (
            lambda: Quantizer(Int(8), granularity=wrong("row")),
            "Granularity must be one of tensor, channel, group, not 'row'",
        ),
        (lambda: Quantizer(Int(8), granularity="group"), "Group size must be at least 1, not 0"),
        (
            lambda: Quantizer(Int(8), granularity="channel", group_size=4),
            "Group size must be 0 per channel, not 4",
        ),
        (
            lambda: Quantizer(Int(4, False)),
            "Symmetric format must hold values of both signs, which uint4 does not",
        ),
        (
            lambda: Quantizer(Int(3), "absmean"),
            "Absmean format must be ternary or bipolar1, not int3",
        ),
        (lambda: Quantizer(Int(8), clip_search=-1), "Clip search must be at least 0, not -1"),
        (
            lambda: Quantizer(Ternary(), "absmean", clip_search=1),
            "Clip search must be 0 with absmean, not 1",
        ),
        (
            lambda: Quantizer(Int(1)),
            "Symmetric format must hold values of both signs, which int1 does not",
        ),
        (lambda: Quantizer(Int(8)).quantize(X, k_axis=2), "K axis must be 0 or 1, not 2"),
        (
            lambda: Quantizer(Int(8)).quantize(X[0], k_axis=0),
            "x must be a matrix with an element, not of shape (3,)",
        ),
        (
            lambda: Quantizer(Int(8)).quantize(X[:0], k_axis=0, what="act"),
            "act must be a matrix with an element, not of shape (0, 3)",
        ),
        (
            lambda: Quantizer(Int(8)).quantize(HOLED, k_axis=0, what="act"),
            "act[1, 0] is inf, no finite float32",
        ),
        (
            lambda: Quantizer(Int(8)).quantize([[1.0, 1e39]], k_axis=0),
            "x[0, 1] is 1e+39, no finite float32",
        ),
        (
            lambda: Quantizer(Int(8), "asymmetric").quantize([[3e38, -3e38]], k_axis=1),
            "x must have a range that a float32 holds, not -3e+38 to 3e+38",
        ),
        (lambda: sqnr_db([1, 2], [1]), "Approximate must have the reference's shape (2,), not (1,)"),
    ],
)
def test_bad_input_is_refused(attempt, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attempt()


def test_quantized_is_compared_by_identity():
    one, two = (Quantizer(Int(8)).quantize(X, k_axis=0) for _ in range(2))
    assert isinstance(one, Quantized) and one == one and one != two
