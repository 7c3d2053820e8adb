"""QONNX's Quant against the operators of ONNX that it is defined by, and ONNX files that are not what they seem."""

import re
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from macforge.design.design import load_design
from macforge.model.files import open_model
from macforge.model.fit import fit
from macforge.model.layer import StoredAct
from sw_ref.formats.base import Int
from tests.macforge.model.onnx_files import layers_of, product, ran, write_onnx
from tests.typed import present

ROUNDED = {"ROUND": "Round", "CEIL": "Ceil", "FLOOR": "Floor"}


def bounds(bits, signed, narrow):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return (low + narrow, high) if signed else (low, high - narrow)


@pytest.mark.parametrize("mode", ROUNDED)
@pytest.mark.parametrize("narrow", [0, 1])
@pytest.mark.parametrize(("bits", "signed"), [(4, 1), (3, 0), (8, 1), (2, 1)])
@pytest.mark.parametrize("scales", ["tensor", "column"])
def test_quant_is_what_its_definition_says(bits, signed, narrow, mode, scales, tmp_path):
    random, low_high = np.random.default_rng(bits), bounds(bits, signed, narrow)
    weight = random.normal(size=(20, 6)).astype(np.float32)
    # halves, which are rounded either way
    weight[:5] = np.arange(-15, 15).reshape(5, 6) / 8
    scale = np.float32(0.25) if scales == "tensor" else random.choice([0.25, 0.5, 0.3], (1, 6)).astype(np.float32)
    zero = np.float32(0 if signed else 2)
    constants = {"w": weight, "s": scale, "z": zero, "b": np.float32(bits)}
    # which onnxruntime runs
    formula = [
        helper.make_node("Div", ["w", "s"], ["t0"]),
        helper.make_node("Add", ["t0", "z"], ["t1"]),
        helper.make_node("Clip", ["t1", "low", "high"], ["t2"]),
        helper.make_node(ROUNDED[mode], ["t2"], ["t3"]),
        helper.make_node("Sub", ["t3", "z"], ["t4"]),
        helper.make_node("Mul", ["t4", "s"], ["y"]),
    ]
    ends = dict(zip(("low", "high"), map(np.float32, low_high), strict=True))
    write_onnx(tmp_path / "formula.onnx", formula, {}, {**constants, **ends})
    kind = {"signed": signed, "narrow": narrow, "rounding_mode": mode}
    nodes = [
        helper.make_node("Quant", ["w", "s", "z", "b"], ["d"], domain="qonnx.custom_op.general", **kind),
        helper.make_node("MatMul", ["x", "d"], ["y"], name="product"),
    ]
    write_onnx(tmp_path / "m.onnx", nodes, {"x": np.zeros((1, 20), np.float32)}, constants)
    (layer,) = layers_of(tmp_path / "m.onnx")
    assert layer.format == Int(bits, signed=bool(signed))
    np.testing.assert_array_equal(layer.dequantized().astype(np.float32), ran(tmp_path / "formula.onnx", {}))
    assert fit(load_design("w8a8_os").target, layer) is None


def test_quantized_activations_of_qonnx(tmp_path):
    random = np.random.default_rng(0)
    constants = {
        "w": random.normal(size=(4, 3, 2, 2)).astype(np.float32),
        "ws": np.full((4, 1, 1, 1), 0.5, np.float32),
        "s": np.float32(0.125),
        "z": np.float32(0),
        "four": np.float32(4),
        "bias": np.arange(4, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Quant", ["x", "s", "z", "four"], ["a"], domain="onnx.brevitas", signed=0),
        helper.make_node("Quant", ["w", "ws", "z", "four"], ["d"], domain="onnx.brevitas", signed=1, narrow=1),
        helper.make_node("Conv", ["a", "d", "bias"], ["y"], name="conv"),
    ]
    image = np.zeros((1, 3, 4, 4), np.float32)
    write_onnx(tmp_path / "m.onnx", nodes, {"x": image}, constants)
    (layer,) = layers_of(tmp_path / "m.onnx")
    assert layer.act == StoredAct(format=Int(4, signed=False), scale=0.125)
    np.testing.assert_array_equal(layer.bias, np.arange(4))
    act = present(layer.act).quantize(np.array([[-1, 0.0625, 0.1875, 9]]))
    np.testing.assert_array_equal(act.codes, [[0, 0, 2, 15]])
    # codes of a convolution are its kernel's, row by row
    expected = np.clip(np.rint(constants["w"].astype(np.float64) / 0.5), -7, 7) * 0.5
    np.testing.assert_array_equal(layer.dequantized(), expected.reshape(4, -1).T)


def test_operators_without_constants_are_named(tmp_path):
    random = np.random.default_rng(0)
    names = ["a", "b", "s", "", "g"]
    sizes: dict[str, Any] = {"K": 32, "N": 2, "bits": 4, "block_size": 32}
    nodes = [
        helper.make_node("MatMul", ["x", "x"], ["scores"], name="scores"),
        helper.make_node("Gemm", ["x", "w"], ["gemm"], name="gemm", alpha=0.5),
        helper.make_node("MatMulNBits", names, ["q"], name="order", domain="com.microsoft", **sizes),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="floats"),
        helper.make_node("QLinearMatMul", ["x"], ["z"], name="short"),
        helper.make_node("Conv", ["x", "c"], ["v"], name="strides", strides=[1]),
        helper.make_node("Conv", ["x", "c"], ["u"], name="padding", auto_pad="SAME_UPPER", strides=[2, 2]),
        helper.make_node("Conv", ["x", "c"], ["t"], name="groups", group=3),
    ]
    constants = {
        "w": random.normal(size=(4, 4)).astype(np.float32),
        "b": np.zeros((2, 1, 16), np.uint8),
        "s": np.ones((2, 1), np.float32),
        "g": np.zeros(32, np.int32),
        "c": np.ones((4, 1, 3, 3), np.float32),
    }
    write_onnx(tmp_path / "m.onnx", nodes, {"x": np.zeros((4, 4), np.float32)}, constants)
    model = open_model(tmp_path / "m.onnx")
    assert [(layer.name, layer.format.name) for layer in model.layers()] == [("floats", "fp32")]
    assert dict(model.passed_over()) == {
        "scores": "MatMul: its weight is no constant, or not quantized by constants",
        "gemm": "Gemm: it has transA, alpha or beta",
        "order": "MatMulNBits: its channels have an order, g_idx",
        "strides": "Conv: its strides, dilations or pads do not fit its kernel",
        "padding": "Conv: its padding, SAME_UPPER with strides, depends on the image",
        "groups": "Conv: its weight is of shape (4, 1, 3, 3) in 3 groups",
        "short": "QLinearMatMul: an input or attribute is missing or of another kind",
    }


def integer_file(path, *, external=False):
    weight = np.arange(-32, 32, dtype=np.int8).reshape(16, 4)
    node = helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    write_onnx(path, [node], {"a": np.zeros((2, 16), np.uint8)}, {"b": weight})
    if external:
        model = onnx.load(path)
        onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return weight


def test_tensors_in_files_of_their_own_are_read_when_asked_for(tmp_path):
    weight = integer_file(tmp_path / "m.onnx", external=True)
    (layer,) = layers_of(tmp_path / "m.onnx")
    np.testing.assert_array_equal(layer.dequantized(), weight)
    act = np.arange(32, dtype=np.uint8).reshape(2, 16)
    np.testing.assert_array_equal(product(layer, present(layer.act).of_codes(act), "w8a8_os"), act.astype(int) @ weight)
    (tmp_path / "weights.bin").write_bytes(b"12345")
    with pytest.raises(ValueError, match=r"^Tensor b must have the elements that its shape says: .+$"):
        layer.dequantized()
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ValueError, match=r"^Tensor b must have the elements that its shape says: .+$"):
        layer.dequantized()


def test_tensors_outside_of_the_folder_are_refused(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(64))
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "m.onnx"
    integer_file(path)
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    path.write_bytes(model.SerializeToString())
    (layer,) = layers_of(path)
    with pytest.raises(ValueError, match=r"^Tensor b must have the elements that its shape says: .+$"):
        layer.dequantized()


def test_damaged_files_end_in_one_line(tmp_path):
    path, damaged, random = tmp_path / "m.onnx", tmp_path / "damaged.onnx", np.random.default_rng(0)
    integer_file(path)
    whole = path.read_bytes()
    cases = [whole[:size] for size in range(1, len(whole), 9)]
    for _ in range(100):
        data = bytearray(whole)
        data[random.integers(1, len(data))] = random.choice([0, 1, 0x7F, 0x80, 0xFF])
        cases.append(bytes(data))
    refused = 0
    for data in cases:
        damaged.write_bytes(data)
        try:
            for layer in open_model(damaged).layers():
                layer.dequantized()
        except ValueError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1
    assert refused > 20


def test_a_tensor_without_its_elements_is_refused(tmp_path):
    integer_file(tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    del model.graph.initializer[:]
    tensor = numpy_helper.from_array(np.zeros((4, 4), np.int8), "b")
    tensor.dims[:] = [1 << 40, 1 << 20]
    model.graph.initializer.append(tensor)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    (layer,) = layers_of(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=r"^Tensor b must have the elements that its shape says: .+$"):
        layer.dequantized()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", ": it is empty"),
        (b"\x89HDF\r\n", ": it is an HDF5 file"),
        (b"PK\x03\x04rest", ": it is a ZIP archive, as .npz files and checkpoints of PyTorch are"),
        (b"nothing at all", ""),
    ],
)
def test_other_files_are_refused(data, reason, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    kinds = "GGUF (.gguf), safetensors (.safetensors), ONNX (.onnx)"
    message = f"Model must be a file of {kinds}, which {path} is not{reason}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        open_model(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^Model must be a file that exists, not .+none\.onnx$"):
        open_model(tmp_path / "none.onnx")
