"""A graph of ONNX as the readers of its operators see it: constants, and which node makes what."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.checker import ValidationError

from sw_ref.formats.base import Format, Int
from sw_ref.formats.minifloat import BF16, FLOATS, FP16, FP32

__all__ = ["Constant", "Graph", "codes_of", "reals_of"]

_FORMATS: dict[str, Format] = {
    "INT2": Int(2),
    "UINT2": Int(2, signed=False),
    "INT4": Int(4),
    "UINT4": Int(4, signed=False),
    "INT8": Int(8),
    "UINT8": Int(8, signed=False),
    "INT16": Int(16),
    "UINT16": Int(16, signed=False),
    "INT32": Int(32),
    "FLOAT4E2M1": FLOATS["fp4_e2m1"],
    "FLOAT8E4M3FN": FLOATS["fp8_e4m3"],
    "FLOAT8E5M2": FLOATS["fp8_e5m2"],
    "FLOAT16": FP16,
    "BFLOAT16": BF16,
    "FLOAT": FP32,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Constant:
    """A tensor that is known, read when it is asked for.

    Parameters
    ----------
    shape : tuple of int
    format : Format or None
        Of its elements; None of those that no layer takes, such as text.
    read : callable
        Gives the array.
    """

    shape: tuple[int, ...]
    format: Format | None
    read: Callable[[], np.ndarray]

    def transposed(self, order: Sequence[int]) -> "Constant":
        """With its axes in another order."""
        shape = tuple(self.shape[axis] for axis in order)
        return replace(self, shape=shape, read=lambda: np.transpose(self.read(), order))


def codes_of(array: np.ndarray, form: Format) -> np.ndarray:
    """Bit patterns of an array of a format, as ONNX has it: one element in its own bytes."""
    bits = array.view(f"u{array.dtype.itemsize}").astype(np.uint32)
    return bits & np.uint32((1 << form.bits) - 1)


def reals_of(array: np.ndarray) -> np.ndarray:
    """An array of any type of numbers as float64."""
    return array.astype(np.float32).astype(np.float64) if array.dtype.kind == "V" else array.astype(np.float64)


class Graph:
    """Nodes and constants of a graph.

    Parameters
    ----------
    graph : GraphProto
    folder : Path
        Where tensors lie that have files of their own.
    """

    def __init__(self, graph: GraphProto, folder: Path) -> None:
        self.nodes = list(graph.node)
        self._folder = folder
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._producers = {name: node for node in self.nodes for name in node.output if name}
        self._consumers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self._consumers.setdefault(name, []).append(node)
        self._outputs = {value.name for value in graph.output}
        declared = [*graph.input, *graph.value_info, *graph.output]
        self._types = {value.name: value.type.tensor_type.elem_type for value in declared}
        self._names = Counter(node.name for node in self.nodes)

    def name_of(self, node: NodeProto) -> str:
        """The name of a node; that of its result, if it has none or another node the same."""
        return node.name if node.name and self._names[node.name] == 1 else node.output[0]

    def input(self, node: NodeProto, index: int) -> str:
        """The name of an input; empty if it is left out."""
        return node.input[index] if index < len(node.input) else ""

    def producer(self, name: str, *kinds: str) -> NodeProto | None:
        """The node of one of these operators that makes a tensor."""
        node = self._producers.get(name)
        return node if node is not None and node.op_type in kinds else None

    def sole_consumer(self, name: str, *kinds: str) -> NodeProto | None:
        """The one node that takes a tensor, if it is of one of these operators and the tensor is no result."""
        nodes = self._consumers.get(name, [])
        return nodes[0] if len(nodes) == 1 and name not in self._outputs and nodes[0].op_type in kinds else None

    def attributes(self, node: NodeProto) -> dict[str, Any]:
        """Attributes of a node."""
        return {each.name: helper.get_attribute_value(each) for each in node.attribute}

    def constant(self, name: str) -> Constant | None:
        """A tensor that no input decides: an initializer, a Constant, or one of these transposed."""
        tensor = self._tensors.get(name)
        node = self._producers.get(name)
        seen = 0
        while tensor is None and node is not None and node.op_type == "Identity" and seen < len(self.nodes):
            name, seen = node.input[0], seen + 1
            tensor, node = self._tensors.get(name), self._producers.get(name)
        if tensor is None and node is not None and node.op_type == "Constant":
            tensor = self.attributes(node).get("value")
        if isinstance(tensor, TensorProto):
            return self._of(tensor)
        if node is not None and node.op_type == "Transpose" and node.input[0] != name:
            below = self._tensors.get(node.input[0])
            if below is not None:
                found = self._of(below)
                return found.transposed(self.attributes(node).get("perm", range(len(found.shape))[::-1]))
        return None

    def array(self, name: str) -> np.ndarray | None:
        """The elements of a small constant; None if it is none, or left out."""
        found = self.constant(name) if name else None
        return None if found is None else found.read()

    def scalar(self, name: str) -> float | None:
        """The one real number of a constant; None if it has several, or is none."""
        array = self.array(name)
        return float(reals_of(array).reshape(-1)[0]) if array is not None and array.size == 1 else None

    def format_of(self, name: str) -> Format | None:
        """The format of a tensor's elements, if it is known."""
        found = self.constant(name)
        if found is not None:
            return found.format
        kind = self._types.get(name, 0)
        node = self._producers.get(name)
        if not kind and node is not None and node.op_type == "QuantizeLinear":
            zero = self.input(node, 2)
            return self.format_of(zero) if zero else _FORMATS["UINT8"]
        if not kind and node is not None and node.op_type == "DynamicQuantizeLinear":
            return _FORMATS["UINT8"]
        return _FORMATS.get(TensorProto.DataType.Name(kind)) if kind else None

    def _of(self, tensor: TensorProto) -> Constant:
        return Constant(
            shape=tuple(tensor.dims),
            format=_FORMATS.get(TensorProto.DataType.Name(tensor.data_type)),
            read=lambda: self._read(tensor),
        )

    def _read(self, tensor: TensorProto) -> np.ndarray:
        if tensor.data_location == TensorProto.EXTERNAL:
            # reading it in place would keep it
            copy = TensorProto()
            copy.CopyFrom(tensor)
            tensor = copy
        try:
            return numpy_helper.to_array(tensor, str(self._folder))
        except (ValueError, TypeError, OSError, ValidationError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"Tensor {tensor.name} must have the elements that its shape says: {reason}") from None
