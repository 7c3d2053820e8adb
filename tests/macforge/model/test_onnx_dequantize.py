"""DequantizeLinear and QuantizeLinear around products, against onnxruntime: every type, and every place of scales."""

from typing import Any, cast

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from macforge.model.layer import StoredAct
from sw_ref.formats.catalog import parse_format
from tests.macforge.model.onnx_files import layers_of, packed, ran, write_onnx

KINDS = ["INT8", "UINT8", "INT4", "UINT4", "FLOAT8E4M3FN", "FLOAT8E5M2", "FLOAT4E2M1"]


def outcome(path):
    """What onnx itself computes."""
    (found,) = cast(list, ReferenceEvaluator(str(path)).run(None, {}))
    return found


# Each operator with the shape of its weight, and how that becomes a matrix (K, N).
OPERATORS = {
    "MatMul": ((44, 6), lambda weight: weight),
    "Gemm": ((6, 44), lambda weight: weight.T),
    "Conv": ((6, 4, 3, 2), lambda weight: weight.reshape(6, -1).T),
}
# Shapes of scales, and the attributes that go with them; in the last blocks the third is shorter.
PLACES: dict[str, dict[str, tuple[tuple[int, ...], dict[str, Any]]]] = {
    "MatMul": {
        "tensor": ((), {}),
        "column": ((6,), {"axis": 1}),
        "row": ((44,), {"axis": 0}),
        "columns in blocks": ((44, 2), {"axis": 1, "block_size": 3}),
        "block": ((3, 6), {"axis": 0, "block_size": 16}),
    },
    "Gemm": {
        "tensor": ((1,), {"axis": 0}),
        "column": ((6,), {"axis": 0}),
        "block": ((6, 3), {"axis": 1, "block_size": 16}),
    },
    "Conv": {"tensor": ((), {}), "column": ((6,), {"axis": 0})},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("operator", "place"), [(name, place) for name, places in PLACES.items() for place in places])
def test_dequantize_linear_in_front_of_a_product(operator, place, kind, tmp_path):
    random, (shape, matrix) = np.random.default_rng(5), OPERATORS[operator]
    scales, attributes = PLACES[operator][place]
    codes, floats = random.integers(0, 256, shape), kind.startswith("FLOAT")
    if floats:
        # finite, and every one of them
        codes = codes & (0xF7 if kind == "FLOAT8E4M3FN" else 0xBF)
    scale = random.choice([0.0, 2.0**-126, 0.37, -1.9, 3e-39], scales).astype(np.float32)
    constants = {"w": packed("w", kind, codes), "s": scale}
    if not floats:
        constants["z"] = packed("z", kind, np.asarray(random.choice([0, 255, 128, 3], scales)))
    inputs = ["w", "s", *(["z"] if "z" in constants else [])]
    path = tmp_path / "m.onnx"
    write_onnx(path, [helper.make_node("DequantizeLinear", inputs, ["y"], **attributes)], {}, constants)
    # onnxruntime has no FP4 on a processor
    expected = outcome(path) if kind == "FLOAT4E2M1" else ran(path, {})
    more: dict[str, Any] = {"transB": 1} if operator == "Gemm" else {}
    nodes = [
        helper.make_node("DequantizeLinear", inputs, ["d"], **attributes),
        helper.make_node(operator, ["a", "d"], ["y"], **more),
    ]
    write_onnx(path, nodes, {"a": np.zeros((1, 44), np.float32)}, constants)
    (layer,) = layers_of(path)
    np.testing.assert_array_equal(layer.dequantized().astype(np.float32), matrix(expected))


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        *(("INT8", "int8"), ("UINT8", "uint8"), ("INT4", "int4"), ("UINT4", "uint4"), ("INT16", "int16")),
        *(("FLOAT8E4M3FN", "fp8_e4m3"), ("FLOAT8E5M2", "fp8_e5m2")),
    ],
)
@pytest.mark.parametrize("scale", [0.25, 0.013, 2.0**-130])
@pytest.mark.parametrize("zero", [0, -128, 7])
def test_activations_are_quantized_as_onnxruntime_does(kind, form, scale, zero, tmp_path):
    parsed, floats = parse_format(form), kind.startswith("FLOAT")
    if floats or not parsed.bounds[0] <= zero <= parsed.bounds[1]:
        zero = 0
    random = np.random.default_rng(1)
    steps = np.concatenate([random.normal(size=200) * 100, np.arange(-20, 20) / 2, [1e6, -1e6, 0]])
    x = (steps * scale).astype(np.float32)[None]
    element = getattr(TensorProto, kind)
    constants = {"s": np.float32(scale), "z": helper.make_tensor("z", element, (), [zero])}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    write_onnx(tmp_path / "m.onnx", nodes, {"x": x}, constants)
    act = StoredAct(format=parsed, scale=float(np.float32(scale)), zero_point=zero)
    np.testing.assert_array_equal(act.quantize(x).dequantize(), ran(tmp_path / "m.onnx", {"x": x}))
