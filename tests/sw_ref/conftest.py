"""An independent implementation of quantized operators, and a format unlike integers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper

from sw_ref.formats.base import FixedPoint, Format
from sw_ref.interval import Interval


@pytest.fixture(scope="session")
def onnx_run() -> Callable[..., list[np.ndarray]]:
    """``onnx_run(nodes, inputs, outputs, constants)``: the named outputs of a graph of ``nodes``."""

    def run(
        nodes: Sequence[NodeProto],
        inputs: dict[str, np.ndarray],
        outputs: Sequence[str],
        constants: Sequence[TensorProto] = (),
    ) -> list[np.ndarray]:
        graph = helper.make_graph(
            nodes,
            "graph",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
                for name, x in inputs.items()
            ],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            initializer=constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return [np.asarray(each) for each in session.run(list(outputs), inputs)]

    return run


@dataclass(frozen=True)
class Halves(Format):
    """Two bits: 0, 0.5, NaN and -0.5."""

    bits = 2

    @property
    def name(self):
        return "halves"

    @property
    def bounds(self):
        return -0.5, 0.5

    @property
    def fixed(self):
        return FixedPoint(Interval(-1, 1), lsb=-1)

    def encode(self, real):
        return (np.clip(np.rint(2 * np.asarray(real)), -1, 1).astype(np.int64) & 3).astype(np.uint32)

    def decode(self, codes):
        return np.array([0, 0.5, np.nan, -0.5])[self.check_codes(codes)]


@pytest.fixture(scope="session")
def halves() -> Format:
    """A format with a fraction and a code that is no number."""
    return Halves()
