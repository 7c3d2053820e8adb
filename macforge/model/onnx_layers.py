"""Operators of ONNX that are linear layers, one reader each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import NodeProto

from macforge.model.convolution import Convolution
from macforge.model.layer import StoredAct, StoredLayer, StoredResult
from macforge.model.onnx_graph import Graph, reals_of
from macforge.model.onnx_weights import Coded, act_of, coded, matrix_shape, plain, quantizes, unquantized
from sw_ref.formats.base import Int
from sw_ref.quantize.stored import Factors

__all__ = ["OPERATORS"]

_MOST_GROUPS = 1 << 16
_NO_CONSTANT = "its weight is no constant, or not quantized by constants"


def _matrix_layer(graph: Graph, node: NodeProto, weight: Coded | None, k_axis: int, **more: Any) -> StoredLayer:
    """The layer of a matrix; ValueError if there is none."""
    if weight is None:
        raise ValueError(_NO_CONSTANT)
    if len(weight.shape) != 2 or 0 in weight.shape:
        raise ValueError(f"its weight is of shape {weight.shape}")
    k, n = matrix_shape(weight.shape, k_axis)
    return StoredLayer(
        name=graph.name_of(node),
        kind=node.op_type,
        k=k,
        n=n,
        format=weight.format,
        group_size=weight.group_size(k_axis),
        read_codes=lambda: weight.codes(k_axis),
        read_factors=lambda: weight.factors(k_axis),
        **more,
    )


def _matmul_integer(graph: Graph, node: NodeProto) -> Iterator[StoredLayer]:
    weight = plain(graph, node.input[1], "", graph.input(node, 3), 1)
    yield _matrix_layer(graph, node, weight, 0, act=_integer_act(graph, node))


def _integer_act(graph: Graph, node: NodeProto) -> StoredAct | None:
    """Codes without a scale: 1 if the zero point is known, and else what DynamicQuantizeLinear computes."""
    form, zero = graph.format_of(node.input[0]), graph.input(node, 2)
    known = graph.scalar(zero) if zero else 0.0
    if not isinstance(form, Int):
        return None
    if graph.producer(node.input[0], "DynamicQuantizeLinear"):
        return StoredAct(format=form)
    return None if known is None else StoredAct(format=form, scale=1.0, zero_point=int(known))


def _qlinear(graph: Graph, node: NodeProto) -> tuple[StoredAct | None, StoredResult | None]:
    """Activations and results of an operator with the inputs of QLinearMatMul and QLinearConv."""
    scale, zero = graph.scalar(node.input[1]), graph.scalar(node.input[2])
    form = graph.format_of(node.input[2])
    act = result = None
    if isinstance(form, Int) and scale is not None and zero is not None:
        act = StoredAct(format=form, scale=scale, zero_point=int(zero))
    scale, zero = graph.scalar(node.input[6]), graph.scalar(node.input[7])
    form = graph.format_of(node.input[7])
    if isinstance(form, Int) and scale is not None and zero is not None:
        result = StoredResult(format=form, scale=scale, zero_point=int(zero))
    return act, result


def _qlinear_matmul(graph: Graph, node: NodeProto) -> Iterator[StoredLayer]:
    act, result = _qlinear(graph, node)
    weight = plain(graph, node.input[3], node.input[4], node.input[5], 1)
    yield _matrix_layer(graph, node, weight, 0, act=act, result=result)


def _result(graph: Graph, node: NodeProto) -> StoredResult | None:
    found = quantizes(graph, node.output[0])
    if found is None or not isinstance(found[0], Int):
        return None
    return StoredResult(format=found[0], scale=found[1], zero_point=found[2])


def _matmul(graph: Graph, node: NodeProto) -> Iterator[StoredLayer]:
    weight = coded(graph, node.input[1]) or unquantized(graph, node.input[1])
    yield _matrix_layer(graph, node, weight, 0, act=act_of(graph, node.input[0]), result=_result(graph, node))


def _gemm(graph: Graph, node: NodeProto) -> Iterator[StoredLayer]:
    attributes = graph.attributes(node)
    if attributes.get("transA") or attributes.get("alpha", 1) != 1 or attributes.get("beta", 1) != 1:
        raise ValueError("it has transA, alpha or beta")
    weight = coded(graph, node.input[1]) or unquantized(graph, node.input[1])
    k_axis = 1 if attributes.get("transB") else 0
    layer = _matrix_layer(graph, node, weight, k_axis, act=act_of(graph, node.input[0]), result=_result(graph, node))
    yield replace(layer, bias=_bias(graph, graph.input(node, 2), layer.n))


def _bias(graph: Graph, name: str, n: int) -> np.ndarray | None:
    """A bias (N,) that is a constant, of floats or of integers with a scale."""
    if not name:
        return None
    found = coded(graph, name) or unquantized(graph, name)
    if found is None or int(np.prod(found.shape)) not in (1, n):
        raise ValueError("its bias is no constant with a number for each column")
    values = found.format.decode(found.read().reshape(-1))
    reals = (values - found.zero_point.reshape(-1)) * found.scale.reshape(-1)
    return np.broadcast_to(reals, (n,)).astype(np.float64)


def _matmul_nbits(graph: Graph, node: NodeProto) -> Iterator[StoredLayer]:
    attributes = graph.attributes(node)
    k, n, block, bits = (int(attributes[name]) for name in ("K", "N", "block_size", "bits"))
    weight, scales = graph.constant(node.input[1]), graph.constant(node.input[2])
    if weight is None or scales is None:
        raise ValueError(_NO_CONSTANT)
    if graph.input(node, 4):
        raise ValueError("its channels have an order, g_idx")
    if bits not in (2, 4, 8):
        raise ValueError(f"its codes have {bits} bits")
    if min(k, n, block) < 1:
        raise ValueError(f"its K, N and block_size are {k}, {n} and {block}")
    blocks, zeros = -(-k // block), graph.input(node, 3)

    def codes() -> np.ndarray:
        packed = weight.read().reshape(n, blocks * (block * bits // 8))
        return np.ascontiguousarray(_fields(packed, bits)[:, :k].T)

    def factors() -> Factors:
        scale = reals_of(scales.read()).reshape(n, blocks).T
        zero = graph.array(zeros)
        if zeros and zero is None:
            raise ValueError("Zero points of MatMulNBits must be a constant")
        if zero is None:
            return Factors.of(scale, zero_point=np.array(1 << bits - 1))
        if zero.dtype == np.uint8:
            packed = zero.reshape(n, -(-blocks * bits // 8))
            return Factors.of(scale, zero_point=_fields(packed, bits)[:, :blocks].T)
        return Factors.of(scale, offset=-scale * reals_of(zero).reshape(n, blocks).T)

    yield StoredLayer(
        name=graph.name_of(node),
        kind=node.op_type,
        k=k,
        n=n,
        format=Int(bits, signed=False),
        group_size=block,
        read_codes=codes,
        read_factors=factors,
        bias=_bias(graph, graph.input(node, 5), n),
    )


def _fields(packed: np.ndarray, bits: int) -> np.ndarray:
    """(N, bytes) to codes (N, bytes * 8 / bits), the lowest bits first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return (packed[:, :, None] >> shifts & np.uint8((1 << bits) - 1)).reshape(len(packed), -1).astype(np.uint32)


def _convolutions(
    graph: Graph, node: NodeProto, weight: Coded | None, bias: np.ndarray | None, **more: Any
) -> Iterator[StoredLayer]:
    """A layer for each group of channels of a convolution."""
    if weight is None:
        raise ValueError(_NO_CONSTANT)
    attributes = graph.attributes(node)
    kernel, groups = tuple(weight.shape[2:]), int(attributes.get("group", 1))
    if not kernel or not 1 <= groups <= _MOST_GROUPS or weight.shape[0] % groups or 0 in weight.shape:
        raise ValueError(f"its weight is of shape {weight.shape} in {groups} groups")
    ones = (1,) * len(kernel)
    strides, dilations = (tuple(attributes.get(name, ones)) for name in ("strides", "dilations"))
    pads = _pads(attributes, kernel, strides, dilations)
    sizes = len(strides), len(dilations), len(pads) / 2
    if sizes != (len(kernel),) * 3 or min(strides + dilations) < 1 or min(pads) < 0:
        raise ValueError("its strides, dilations or pads do not fit its kernel")
    k, outputs = matrix_shape(weight.shape, None)
    n = outputs // groups
    for group in range(groups):
        chosen = slice(group * n, (group + 1) * n)
        yield StoredLayer(
            name=graph.name_of(node) if groups == 1 else f"{graph.name_of(node)}[{group}]",
            kind=node.op_type,
            k=k,
            n=n,
            format=weight.format,
            group_size=weight.group_size(None),
            read_codes=lambda chosen=chosen: np.ascontiguousarray(weight.codes(None)[:, chosen]),
            read_factors=lambda chosen=chosen: weight.factors(None).columns(chosen),
            bias=None if bias is None else bias[chosen],
            of="" if groups == 1 else graph.name_of(node),
            convolution=Convolution(
                kernel=kernel, strides=strides, dilations=dilations, pads=pads, groups=groups, group=group
            ),
            **more,
        )


def _pads(
    attributes: dict[str, Any], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    mode = attributes.get("auto_pad", b"NOTSET").decode()
    if mode == "NOTSET":
        return tuple(attributes.get("pads", (0,) * 2 * len(kernel)))
    if mode == "VALID":
        return (0,) * 2 * len(kernel)
    if any(step != 1 for step in strides):
        raise ValueError(f"its padding, {mode} with strides, depends on the image")
    both = [(size - 1) * step for size, step in zip(kernel, dilations, strict=True)]
    less = [each // 2 for each in both]
    more = [each - first for each, first in zip(both, less, strict=True)]
    return (*less, *more) if mode == "SAME_UPPER" else (*more, *less)


def _qlinear_conv(graph: Graph, node: NodeProto) -> Iterator[StoredLayer]:
    act, result = _qlinear(graph, node)
    weight = plain(graph, node.input[3], node.input[4], node.input[5], 0)
    bias = graph.input(node, 8)
    reals = None
    if bias and weight is not None:
        if act is None or act.scale is None or (integers := graph.array(bias)) is None:
            raise ValueError("its bias or the scale of its activations is no constant")
        # in units of the sums
        reals = integers.astype(np.float64) * act.scale * weight.scale
    yield from _convolutions(graph, node, weight, reals, act=act, result=result)


def _conv_integer(graph: Graph, node: NodeProto) -> Iterator[StoredLayer]:
    weight = plain(graph, node.input[1], "", graph.input(node, 3), 0)
    yield from _convolutions(graph, node, weight, None, act=_integer_act(graph, node))


def _conv(graph: Graph, node: NodeProto) -> Iterator[StoredLayer]:
    weight = coded(graph, node.input[1]) or unquantized(graph, node.input[1])
    bias = None if weight is None else _bias(graph, graph.input(node, 2), weight.shape[0])
    act, result = act_of(graph, node.input[0]), _result(graph, node)
    yield from _convolutions(graph, node, weight, bias, act=act, result=result)


OPERATORS: dict[str, Callable[[Graph, NodeProto], Iterator[StoredLayer]]] = {
    "MatMulInteger": _matmul_integer,
    "QLinearMatMul": _qlinear_matmul,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "MatMulNBits": _matmul_nbits,
    "QLinearConv": _qlinear_conv,
    "ConvInteger": _conv_integer,
    "Conv": _conv,
}
"""The operators that are layers; a reader raises ValueError with what it lacks, which begins with "its" or "it"."""
