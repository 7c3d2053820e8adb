"""Layers of ONNX files against onnxruntime: integers, requantized results, dequantized weights."""

import numpy as np
import pytest
from onnx import helper

from macforge.compile.storage import load_program, save_program
from macforge.design.design import load_design
from macforge.model.compiled import compile_stored_layer
from macforge.model.layer import StoredAct
from macforge.run.executor import run_program
from sw_ref.formats.base import Int
from tests.macforge.model.layers import rows_of
from tests.macforge.model.onnx_files import REQUANTIZED, layers_of, product, ran, write_onnx
from tests.typed import present

SHAPES = [(5, 40, 7), (1, 33, 4), (3, 1, 2), (4, 6, 1)]
# unsigned by signed, onnxruntime adds pairs of products in 16 bits on some processors, which saturates beyond 63
KINDS = [(np.uint8, np.int8, 64), (np.uint8, np.uint8, 256), (np.int8, np.int8, 256)]


def integers(kind, shape, seed=0, span=256):
    low = np.iinfo(kind).min if span == 256 or kind == np.uint8 else -(span // 2)
    return np.random.default_rng(seed).integers(low, low + span, shape).astype(kind)


def ends(kind):
    return [np.iinfo(kind).min, np.iinfo(kind).max, 3]


@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
@pytest.mark.parametrize(("act", "weight", "span"), KINDS)
def test_matmul_integer(act, weight, span, m, k, n, tmp_path):
    a, b = integers(act, (m, k)), integers(weight, (k, n), 1, span)
    for a_zero, b_zero in zip(ends(act), [np.resize(ends(weight), n), ends(weight)[1], ends(weight)[0]], strict=True):
        constants = {"b": b, "az": act(a_zero), "bz": np.asarray(b_zero, weight)}
        write_onnx(
            tmp_path / "m.onnx", [helper.make_node("MatMulInteger", ["a", "b", "az", "bz"], ["y"])], {"a": a}, constants
        )
        (layer,) = layers_of(tmp_path / "m.onnx")
        assert (layer.kind, layer.k, layer.n) == ("MatMulInteger", k, n)
        found = product(layer, present(layer.act).of_codes(a.view(np.uint8)), "w8a8_os")
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, ran(tmp_path / "m.onnx", {"a": a}))


@pytest.mark.parametrize("rows", ["normal", "zeros", "positive", "small"])
def test_dynamic_quantize_linear(rows, tmp_path):
    random = np.random.default_rng(2)
    x = random.normal(size=(6, 30)).astype(np.float32)
    x = {"normal": x, "zeros": 0 * x, "positive": np.abs(x) + 3, "small": x * np.float32(1e-38)}[rows]
    b = integers(np.int8, (30, 5), 1, 64)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["a", "s", "z"]),
        helper.make_node("MatMulInteger", ["a", "b", "z"], ["y"], name="product"),
    ]
    write_onnx(tmp_path / "m.onnx", nodes, {"x": x}, {"b": b}, ("y", "a", "s"))
    (layer,) = layers_of(tmp_path / "m.onnx")
    assert (layer.name, layer.act) == ("product", StoredAct(format=Int(8, signed=False)))
    act = present(layer.act).quantize(x)
    # the scale is outside of the product
    codes = present(layer.act).of_codes(act.codes, zero_point=int(act.zero_point[0, 0]))
    np.testing.assert_array_equal(product(layer, codes, "w8a8_os"), ran(tmp_path / "m.onnx", {"x": x}))


def qlinear(kind, name, m, k, n):
    """Constants of a QLinearMatMul with a scale for each column."""
    random = np.random.default_rng(k)
    return {
        "as": np.float32(0.02),
        "b": integers(np.int8, (k, n), 1, 64 if kind == np.uint8 else 256),
        "bs": random.uniform(0.001, 0.02, n if name == "channel" else ()).astype(np.float32),
        "bz": np.int8(7) if name == "tensor" else np.zeros(n, np.int8),
        "ys": np.float32(0.05),
    }


@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
@pytest.mark.parametrize("name", ["tensor", "channel"])
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_qlinear_matmul(kind, name, m, k, n, tmp_path):
    a = integers(kind, (m, k))
    names = ["a", "as", "az", "b", "bs", "bz", "ys", "yz"]
    for zero, other in zip(ends(kind), ends(np.int8), strict=True):
        constants = {**qlinear(kind, name, m, k, n), "az": kind(zero), "yz": kind(zero)}
        if name == "tensor":
            constants["bz"] = np.int8(other)
        write_onnx(tmp_path / "m.onnx", [helper.make_node("QLinearMatMul", names, ["y"])], {"a": a}, constants)
        (layer,) = layers_of(tmp_path / "m.onnx")
        design = [*REQUANTIZED, f"drain.requantize={np.dtype(kind).name}"]
        found = product(layer, present(layer.act).of_codes(a.view(np.uint8)), "hawqv3_w8a8", design)
        np.testing.assert_array_equal(found, ran(tmp_path / "m.onnx", {"a": a}))


CONVOLUTIONS = [
    ({"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, (2, 4, 6, 5), (6, 4, 3, 3)),
    ({"strides": [2, 1], "pads": [0, 2, 1, 0], "dilations": [2, 1]}, (1, 3, 8, 7), (5, 3, 3, 2)),
    ({"group": 4}, (1, 4, 5, 5), (8, 1, 3, 3)),
    ({"group": 2, "strides": [3, 2], "auto_pad": "VALID"}, (1, 4, 7, 6), (2, 2, 2, 2)),
    ({"auto_pad": "SAME_UPPER"}, (1, 2, 5, 6), (3, 2, 2, 2)),
    ({"auto_pad": "SAME_LOWER"}, (1, 2, 5, 6), (3, 2, 2, 4)),
    ({"strides": [2], "pads": [2, 1]}, (2, 3, 9), (4, 3, 4)),
    ({}, (1, 1, 1, 1), (1, 1, 1, 1)),
]


def convolved(layers, image, design, settings):
    """The result of a convolution, group by group, and back in images."""
    found = []
    for layer in layers:
        rows = layer.convolution.rows(image, padding=present(layer.act).zero_point)
        act = present(layer.act).of_codes(rows.astype(layer_kind(layer)).view(np.uint8))
        found.append(layer.convolution.images(product(layer, act, design, settings), image.shape[2:]))
    return np.concatenate(found, axis=1)


def layer_kind(layer):
    return np.int8 if present(layer.act).format.signed else np.uint8


@pytest.mark.parametrize(("attributes", "image", "kernel"), CONVOLUTIONS)
def test_qlinear_conv(attributes, image, kernel, tmp_path):
    random = np.random.default_rng(3)
    x, w = integers(np.uint8, image), integers(np.int8, kernel, 1, 64)
    constants = {
        "xs": np.float32(0.03),
        "xz": np.uint8(130),
        "w": w,
        "ws": random.uniform(0.001, 0.02, len(w)).astype(np.float32),
        "wz": np.zeros(len(w), np.int8),
        "ys": np.float32(0.04),
        "yz": np.uint8(120),
        "b": random.integers(-3000, 3000, len(w)).astype(np.int32),
    }
    node = helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], **attributes)
    write_onnx(tmp_path / "m.onnx", [node], {"x": x}, constants)
    layers = layers_of(tmp_path / "m.onnx")
    assert len(layers) == attributes.get("group", 1)
    found = convolved(layers, x, "hawqv3_w8a8", [*REQUANTIZED, "drain.requantize=uint8"])
    np.testing.assert_array_equal(found, ran(tmp_path / "m.onnx", {"x": x}))


@pytest.mark.parametrize(("attributes", "image", "kernel"), CONVOLUTIONS[:3])
def test_conv_integer(attributes, image, kernel, tmp_path):
    x, w = integers(np.uint8, image), integers(np.int8, kernel, 1, 64)
    node = helper.make_node("ConvInteger", ["x", "w", "xz"], ["y"], **attributes)
    write_onnx(tmp_path / "m.onnx", [node], {"x": x}, {"w": w, "xz": np.uint8(255)})
    found = convolved(layers_of(tmp_path / "m.onnx"), x, "w8a8_os", [])
    np.testing.assert_array_equal(found, ran(tmp_path / "m.onnx", {"x": x}))


@pytest.mark.parametrize(
    ("bits", "k", "n", "block", "zeros"),
    [
        (bits, k, n, block, zeros)
        for bits, k, n, block in [(4, 70, 5, 32), (4, 16, 1, 16), (8, 64, 3, 32), (2, 100, 3, 32)]
        for zeros in ("packed", "none", "floats")
        # which onnxruntime has of few bits alone
        if zeros != "floats" or bits < 8
    ],
)
def test_matmul_nbits(bits, k, n, block, zeros, tmp_path):
    random, blocks = np.random.default_rng(bits), -(-k // block)
    scale = random.integers(-64, 64, (n, blocks)).astype(np.float32) / 256
    constants = {
        "b": random.integers(0, 256, (n, blocks, block * bits // 8)).astype(np.uint8),
        "s": scale,
        "packed": random.integers(0, 256, (n, -(-blocks * bits // 8))).astype(np.uint8),
        "floats": random.integers(0, 1 << bits, (n, blocks)).astype(np.float32),
    }
    names = ["a", "b", "s", *([] if zeros == "none" else [zeros])]
    act = np.eye(k, dtype=np.float32)
    sizes = {"K": k, "N": n, "bits": bits, "block_size": block}
    node = helper.make_node("MatMulNBits", names, ["y"], domain="com.microsoft", **sizes)
    write_onnx(tmp_path / "m.onnx", [node], {"a": act}, {name: constants[name] for name in names[1:]})
    (layer,) = layers_of(tmp_path / "m.onnx")
    expected = ran(tmp_path / "m.onnx", {"a": act})
    np.testing.assert_array_equal(layer.dequantized().astype(np.float32), expected)
    if zeros == "floats":
        design, settings = "w4a8_q4_1", [f"weight=uint{bits}"]
    else:
        design, settings = "w8a8_os", []
    program, reason = compile_stored_layer(load_design(design, settings), layer)
    assert reason is None
    np.testing.assert_array_equal(rows_of(program, k), expected)


def test_quantized_operands_and_results_around_gemm(tmp_path):
    """Activations, weights, bias and results as a static quantizer leaves them."""
    random = np.random.default_rng(6)
    x = random.normal(size=(4, 24)).astype(np.float32)
    # beyond both ends of the codes, and between two of them
    x[0, :4] = -100, 100, 0.045, -0.045
    constants = {
        "xs": np.float32(0.03),
        "xz": np.uint8(120),
        "w": integers(np.int8, (9, 24), 1, 64),
        "ws": random.uniform(0.001, 0.02, 9).astype(np.float32),
        "wz": np.zeros(9, np.int8),
        "b": random.integers(-500, 500, 9).astype(np.int32),
        "ys": np.float32(0.05),
        "yz": np.uint8(100),
    }
    constants["bs"] = constants["ws"] * constants["xs"]
    constants["bz"] = np.zeros(9, np.int32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs", "bz"], ["bd"], axis=0),
        helper.make_node("Gemm", ["xd", "wd", "bd"], ["yf"], transB=1),
        helper.make_node("QuantizeLinear", ["yf", "ys", "yz"], ["y"]),
    ]
    write_onnx(tmp_path / "m.onnx", nodes, {"x": x}, constants)
    (layer,) = layers_of(tmp_path / "m.onnx")
    settings, expected = [*REQUANTIZED, "drain.requantize=uint8"], ran(tmp_path / "m.onnx", {"x": x})
    np.testing.assert_array_equal(product(layer, present(layer.act).quantize(x), "hawqv3_w8a8", settings), expected)
    # a program has the scales and zero points of the file, also once it is one itself
    program, _ = compile_stored_layer(load_design("hawqv3_w8a8", settings), layer)
    save_program(program, tmp_path / "layer.safetensors")
    found = run_program(load_program(tmp_path / "layer.safetensors"), x, engine="ref").product
    np.testing.assert_array_equal(np.rint(found / present(layer.result).scale) + 100, expected)


@pytest.mark.parametrize("transposed", [False, True])
def test_quantize_linear_around_matmul_and_conv(transposed, tmp_path):
    random = np.random.default_rng(7)
    x = random.normal(size=(2, 3, 6, 6)).astype(np.float32)
    constants = {
        "xs": np.float32(0.03),
        "xz": np.int8(-5),
        "wf": random.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "ws": random.uniform(0.01, 0.02, 4).astype(np.float32),
        "wz": np.zeros(4, np.int8),
        "ys": np.float32(0.07),
        "yz": np.int8(11),
        "m": integers(np.int8, (5, 6) if transposed else (6, 5), 1),
        "ms": np.float32(0.011),
        "mz": np.int8(0),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        # the file holds floats, which are quantized whenever it is run
        helper.make_node("QuantizeLinear", ["wf", "ws", "wz"], ["wq"], axis=0),
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("Conv", ["xd", "wd"], ["yf"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("QuantizeLinear", ["yf", "ys", "yz"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "ys", "yz"], ["yd"]),
        helper.make_node("DequantizeLinear", ["m", "ms", "mz"], ["md"]),
        *([helper.make_node("Transpose", ["md"], ["mt"], perm=[1, 0])] if transposed else []),
        helper.make_node("MatMul", ["yd", "mt" if transposed else "md"], ["pf"], name="product"),
        helper.make_node("QuantizeLinear", ["pf", "ys", "yz"], ["p"]),
    ]
    write_onnx(tmp_path / "m.onnx", nodes, {"x": x}, constants, ("yq", "p"))
    conv, matrix = layers_of(tmp_path / "m.onnx")
    assert (conv.name, matrix.name, matrix.k, matrix.n) == ("conv", "product", 6, 5)
    settings = [*REQUANTIZED, "drain.requantize=int8"]
    codes = present(conv.act).quantize(x.reshape(1, -1)).codes.astype(np.uint8).view(np.int8).reshape(x.shape)
    expected = ran(tmp_path / "m.onnx", {"x": x})
    found = convolved([conv], codes, "hawqv3_w8a8", settings)
    np.testing.assert_array_equal(found, expected)
    act = present(matrix.act).of_codes(expected.view(np.uint8).reshape(-1, 6))
    reals = (expected.astype(int) - 11).reshape(-1, 6) @ matrix.dequantized() * np.float64(np.float32(0.07))
    wanted = np.clip(np.rint(reals / np.float64(np.float32(0.07))) + 11, -128, 127)
    np.testing.assert_array_equal(product(matrix, act, "hawqv3_w8a8", settings), wanted)
