"""Weights of ONNX operators: codes with the scales and zero points of QuantizeLinear, of blocks, or of QONNX."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from macforge.model.layer import StoredAct
from macforge.model.onnx_graph import Graph, codes_of, reals_of
from sw_ref.formats.base import Format, Int
from sw_ref.formats.minifloat import Float
from sw_ref.quantize.stored import Factors

__all__ = ["Coded", "act_of", "coded", "plain", "quantizes", "unquantized"]

QUANT = ("Quant", "IntQuant")
_ROUNDINGS = {"ROUND": np.rint, "CEIL": np.ceil, "FLOOR": np.floor}


@dataclass(frozen=True, eq=False, kw_only=True)
class Coded:
    """A quantized constant of any shape.

    Parameters
    ----------
    shape : tuple of int
    format : Format
    read : callable
        Gives codes of that shape.
    scale : float64 array
        One; one for each index of ``axis``; or blocks of ``block`` along it, of the shape otherwise.
    zero_point : int64 array
        Shaped as ``scale``, or one.
    axis, block : int
    """

    shape: tuple[int, ...]
    format: Format
    read: Callable[[], np.ndarray]
    scale: np.ndarray
    zero_point: np.ndarray
    axis: int = 0
    block: int = 0

    def codes(self, k_axis: int | None) -> np.ndarray:
        """Codes (K, N) of a matrix, or of a kernel whose first axis is N if ``k_axis`` is None."""
        codes = self.read()
        if k_axis is None:
            codes = codes.reshape(len(codes), -1)
        return np.ascontiguousarray(codes if k_axis == 0 else codes.T, np.uint32)

    def group_size(self, k_axis: int | None) -> int:
        """Neighbours along K that share a scale."""
        if self.scale.size == 1:
            return 0
        if self.block:
            return self.block if self.axis == k_axis else 1
        return 1 if self.axis == k_axis else 0

    def factors(self, k_axis: int | None) -> Factors:
        """Scales and zero points of groups.

        Raises
        ------
        ValueError
            If they do not have the shape that they must.
        """
        k, n = matrix_shape(self.shape, k_axis)
        if self.scale.size == 1:
            scale, zero = self.scale.reshape(-1)[0], self.zero_point.reshape(-1)[0]
            return Factors.of(np.full((1, n), scale), zero_point=zero)
        scale, zero = (np.broadcast_to(x, self.scale.shape) for x in (self.scale, self.zero_point))
        if not self.block:
            along_n = self.axis != k_axis and (k_axis is not None or self.axis == 0)
            if scale.size != (n if along_n else k) or (k_axis is None and not along_n):
                raise ValueError(f"Scales must be one for each of N = {n} columns, not {scale.size}")
            scale, zero = (x.reshape((1, n) if along_n else (k, 1)) for x in (scale, zero))
        elif k_axis == 1:
            scale, zero = scale.T, zero.T
        if self.block and self.axis != k_axis:
            scale, zero = (np.repeat(x, self.block, axis=1)[:, :n] for x in (scale, zero))
        groups = -(-k // (self.group_size(k_axis) or k))
        if scale.shape not in ((groups, n), (groups, 1)):
            raise ValueError(f"Scales of blocks must have the shape {(groups, n)}, not {scale.shape}")
        return Factors.of(np.broadcast_to(scale, (groups, n)), zero_point=np.broadcast_to(zero, (groups, n)))


def matrix_shape(shape: tuple[int, ...], k_axis: int | None) -> tuple[int, int]:
    """K and N of a matrix, or of a kernel (N, ...)."""
    if k_axis is None:
        return int(np.prod(shape[1:], dtype=np.int64)), shape[0]
    return shape[k_axis], shape[1 - k_axis]


def coded(graph: Graph, name: str) -> Coded | None:
    """A constant that is quantized in front of an operator, and perhaps transposed; None if it is not."""
    node = graph.producer(name, "DequantizeLinear", *QUANT)
    return _transposed(graph, name) if node is None else _coded(graph, node)


def _coded(graph: Graph, node: NodeProto) -> Coded | None:
    if node.op_type in QUANT:
        return _of_qonnx(graph, node)
    made = graph.producer(node.input[0], "QuantizeLinear")
    weight = graph.constant(made.input[0] if made else node.input[0])
    form = graph.format_of(node.input[0])
    scale, zero = graph.array(graph.input(node, 1)), graph.array(graph.input(node, 2))
    if weight is None or form is None or scale is None or not isinstance(form, Int | Float):
        return None
    attributes = graph.attributes(node)
    axis = attributes.get("axis", 1)
    found = Coded(
        shape=weight.shape,
        format=form,
        read=lambda: codes_of(weight.read(), form),
        scale=reals_of(scale),
        zero_point=_integers(zero),
        axis=axis % max(len(weight.shape), 1),
        block=attributes.get("block_size", 0) if scale.ndim > 1 else 0,
    )
    if made is None:
        return found
    # the file holds the reals, and quantizes them again whenever it is run
    return Coded(**{**vars(found), "read": lambda: _quantized(weight.read(), found)})


def _integers(zero: np.ndarray | None) -> np.ndarray:
    """Zero points; of a float format it must be 0."""
    return np.zeros((), np.int64) if zero is None else reals_of(zero).astype(np.int64)


def _transposed(graph: Graph, name: str) -> Coded | None:
    node = graph.producer(name, "Transpose")
    below = graph.producer(node.input[0], "DequantizeLinear", *QUANT) if node is not None else None
    found = None if below is None else _coded(graph, below)
    if node is None or found is None or len(found.shape) != 2:
        return None
    if list(graph.attributes(node).get("perm", (1, 0))) != [1, 0]:
        return found
    turned = {"shape": found.shape[::-1], "read": lambda: found.read().T, "axis": 1 - found.axis}
    if found.block:
        turned |= {"scale": found.scale.T, "zero_point": found.zero_point.T}
    return Coded(**{**vars(found), **turned})


def _quantized(reals: np.ndarray, like: Coded) -> np.ndarray:
    """QuantizeLinear: ``saturate(round_half_even(x / scale) + zero_point)`` in float32."""
    scale, zero = (_along(np.broadcast_to(x, like.scale.shape), like) for x in (like.scale, like.zero_point))
    scaled = reals.astype(np.float32) / scale.astype(np.float32)
    if isinstance(like.format, Int):
        return like.format.encode(np.rint(scaled).astype(np.float64) + zero)
    return like.format.encode(scaled)


def _along(x: np.ndarray, like: Coded) -> np.ndarray:
    """Scales as they broadcast over the codes."""
    if x.size == 1:
        return x.reshape(())
    if like.block:
        size = like.shape[like.axis]
        return np.repeat(x, like.block, axis=like.axis).take(range(size), axis=like.axis)
    return x.reshape([-1 if axis == like.axis else 1 for axis in range(len(like.shape))])


def _of_qonnx(graph: Graph, node: NodeProto) -> Coded | None:
    """QONNX's Quant of a constant: ``clip(round(x / scale + zero_point))``, whose result is dequantized."""
    weight = graph.constant(node.input[0])
    scale, zero, form = graph.array(node.input[1]), graph.array(node.input[2]), _qonnx_format(graph, node)
    if weight is None or scale is None or zero is None or form is None:
        return None
    axes = [axis for axis, size in enumerate(scale.shape) if size > 1]
    axis = axes[0] + len(weight.shape) - scale.ndim if axes else 0
    if len(axes) > 1:
        raise ValueError(f"Quant {graph.name_of(node)} must have scales along one axis, not of shape {scale.shape}")
    return Coded(
        shape=weight.shape,
        format=form,
        read=lambda: _qonnx_codes(weight.read(), scale, zero, form, graph.attributes(node)),
        scale=reals_of(scale).reshape(-1),
        zero_point=_integers(zero).reshape(-1),
        axis=axis,
    )


def _qonnx_format(graph: Graph, node: NodeProto) -> Int | None:
    bits = graph.scalar(node.input[3])
    if bits is None or bits != int(bits) or not 1 <= bits <= 32:
        return None
    return Int(int(bits), signed=bool(graph.attributes(node).get("signed", 1)))


def _qonnx_codes(
    reals: np.ndarray, scale: np.ndarray, zero: np.ndarray, form: Int, attributes: dict[str, object]
) -> np.ndarray:
    mode = attributes.get("rounding_mode", b"ROUND")
    rounded = _ROUNDINGS.get(mode.decode() if isinstance(mode, bytes) else str(mode))
    if rounded is None:
        raise ValueError(f"Quant must round by one of {', '.join(_ROUNDINGS)}, not {mode!r}")
    low, high = form.interval.lo, form.interval.hi
    if attributes.get("narrow", 0):
        low, high = (low + 1, high) if form.signed else (low, high - 1)
    steps = reals.astype(np.float32) / scale.astype(np.float32) + zero.astype(np.float32)
    # clipped first, as the bounds are integers
    return form.encode(rounded(np.clip(steps, low, high)).astype(np.float64))


def plain(graph: Graph, name: str, scale: str, zero: str, axis: int) -> Coded | None:
    """A constant of codes, with the names of its scale and zero point, which may be empty: 1 and 0."""
    weight = graph.constant(name)
    if weight is None or not isinstance(weight.format, Int | Float):
        return None
    form, scales = weight.format, graph.array(scale)
    zeros = graph.array(zero)
    if (scale and scales is None) or (zero and zeros is None):
        return None
    zeros = _integers(zeros)
    found = np.ones(1) if scales is None else reals_of(scales)
    return Coded(
        shape=weight.shape,
        format=form,
        read=lambda: codes_of(weight.read(), form),
        scale=np.broadcast_to(found.reshape(-1), np.broadcast_shapes((found.size,), (zeros.size,))),
        zero_point=zeros.reshape(-1),
        axis=axis,
    )


def act_of(graph: Graph, name: str) -> StoredAct | None:
    """How a tensor is quantized in front of an operator, with one scale that is known; None if it is not."""
    node = graph.producer(name, "DequantizeLinear", *QUANT)
    if node is None:
        return None
    scale, zero = graph.scalar(graph.input(node, 1)), graph.scalar(graph.input(node, 2))
    form = _qonnx_format(graph, node) if node.op_type in QUANT else graph.format_of(node.input[0])
    if scale is None or not isinstance(form, Int | Float):
        return None
    return StoredAct(format=form, scale=scale, zero_point=int(zero or 0))


def quantizes(graph: Graph, name: str) -> tuple[Format, float, int] | None:
    """Format, scale and zero point of the one QuantizeLinear that takes a tensor."""
    node = graph.sole_consumer(name, "QuantizeLinear")
    if node is None:
        return None
    scale, zero = graph.scalar(graph.input(node, 1)), graph.scalar(graph.input(node, 2))
    form = graph.format_of(node.output[0])
    return None if scale is None or form is None else (form, scale, int(zero or 0))


def unquantized(graph: Graph, name: str) -> Coded | None:
    """A constant of floats, which is what it is."""
    return plain(graph, name, "", "", 0)
