"""ONNX files: every operator that multiplies by a constant matrix or kernel is a layer."""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from macforge.model.files import ListedModel
from macforge.model.onnx_graph import Graph
from macforge.model.onnx_layers import OPERATORS

__all__ = ["ONNXModel", "read_onnx"]

# Protocol buffers hold no more.
_MOST = 1 << 31


class ONNXModel(ListedModel):
    """An ONNX file. Tensors with files of their own are read when they are asked for.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        If it is no ONNX file, or is damaged or cut off.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        wrong = f"Model must be a whole ONNX file, which {path} is not"
        if path.stat().st_size >= _MOST:
            raise ValueError(f"{wrong}: it has more than 2 GB")
        try:
            model = onnx.load_model_from_string(path.read_bytes())
        except (DecodeError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"{wrong}: {reason}") from None
        if not model.HasField("graph") or not model.graph.node:
            raise ValueError(f"{wrong}: it has no graph")
        self._graph = Graph(model.graph, path.parent)
        for node in self._graph.nodes:
            self._read(node)

    def _read(self, node: onnx.NodeProto) -> None:
        if node.op_type not in OPERATORS or not node.output:
            return
        try:
            self._layers += OPERATORS[node.op_type](self._graph, node)
        except ValueError as error:
            self._passed_over.append((self._graph.name_of(node), f"{node.op_type}: {error}"))
        except (IndexError, KeyError, TypeError, AttributeError):
            reason = f"{node.op_type}: an input or attribute is missing or of another kind"
            self._passed_over.append((self._graph.name_of(node), reason))


def read_onnx(path: Path) -> ONNXModel:
    """The model of an ONNX file."""
    return ONNXModel(path)
