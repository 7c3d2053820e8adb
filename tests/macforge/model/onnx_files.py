"""Small ONNX files, and what onnxruntime computes of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper

from macforge.design.design import load_design
from macforge.model.compiled import compile_stored_layer
from macforge.model.files import open_model
from macforge.model.layer import StoredLayer
from macforge.run.executor import run_program
from sw_ref.quantize.uniform import Quantized

__all__ = ["REQUANTIZED", "layers_of", "packed", "product", "ran", "write_onnx"]

# Zero points of both sides and of results, in front of a dyadic requantization.
REQUANTIZED = ["drain.out_zero=true", "drain.act_zero=int9", "drain.weight_zero=int9"]


def packed(name: str, kind: str, codes: np.ndarray) -> TensorProto:
    """A tensor of four bits or fewer, or of another type that NumPy lacks, of its codes."""
    bits = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}.get(kind, 8)
    flat = codes.reshape(-1).astype(np.uint8) & (1 << bits) - 1
    flat = np.pad(flat, (0, -len(flat) % (8 // bits))).reshape(-1, 8 // bits)
    raw = np.bitwise_or.reduce(flat << np.arange(0, 8, bits, dtype=np.uint8), axis=1).astype(np.uint8)
    return helper.make_tensor(name, getattr(TensorProto, kind), codes.shape, raw.tobytes(), raw=True)


def write_onnx(
    path: Path,
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, np.ndarray],
    constants: Mapping[str, np.ndarray | np.generic | TensorProto],
    results: Sequence[str] = ("y",),
) -> None:
    """A file of these nodes."""
    tensors = [
        value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), name)
        for name, value in constants.items()
    ]
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in inputs.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in results]
    graph = helper.make_graph(nodes, "graph", values, outputs, initializer=tensors)
    domains = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=11), path)


def ran(path: Path, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The first result of onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, dict(inputs))[0])


def layers_of(path: Path) -> list[StoredLayer]:
    """The layers of a file, of which nothing is passed over."""
    model = open_model(path)
    assert model.passed_over() == []
    return list(model.layers())


def product(layer: StoredLayer, act: Quantized, design: str, settings: Sequence[str] = ()) -> np.ndarray:
    """A layer in a design, which must take it as it is: integers, or codes where the file requantizes results."""
    program, reason = compile_stored_layer(load_design(design, settings), layer)
    assert reason is None
    found = run_program(program, act, engine="ref").product
    if layer.result is None:
        return found
    codes = np.rint(found.astype(np.float64) / layer.result.scale) + layer.result.zero_point
    return codes.astype(np.int64)
