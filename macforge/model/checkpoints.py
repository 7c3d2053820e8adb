"""How quantizers pack weights into checkpoints: GPTQ, AWQ, compressed-tensors, ModelOpt, BitNet, or plain floats.

The names of a module's tensors and the configuration beside them say which it is. Each way is one entry of `SCHEMES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from macforge.model.layer import StoredAct, StoredLayer
from macforge.model.tensors import Tensor
from sw_ref.formats.base import Int
from sw_ref.formats.minifloat import FLOATS, Float
from sw_ref.formats.signs import Ternary
from sw_ref.quantize.stored import Factors

__all__ = ["SCHEMES", "Scheme"]

_Tensors = Mapping[str, Tensor]
_Config = Mapping[str, Any]
# AWQ's field i of a word holds the column with this number of its eight.
_AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
_FLOATS = ("F32", "F16", "BF16")


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """One way of packing.

    Parameters
    ----------
    name : str
    weight : str
        The tensor that a module is known by.
    fits : callable
        Whether the tensors of a module, and the configuration, are those of this way.
    read : callable
        The layer of a module's name, tensors and configuration. Raises ValueError with what is wrong with it.
    """

    name: str
    weight: str
    fits: Callable[[_Tensors, _Config], bool]
    read: Callable[[str, _Tensors, _Config], StoredLayer]


def _matrix(tensor: Tensor, what: str) -> tuple[int, int]:
    """The shape of a matrix that has elements."""
    if len(tensor.shape) != 2 or 0 in tensor.shape:
        raise ValueError(f"its {what} is of shape {tensor.shape}")
    return tensor.shape[0], tensor.shape[1]


def _must_have(tensor: Tensor, what: str, shape: tuple[int, ...]) -> Tensor:
    if tensor.shape != shape:
        raise ValueError(f"its {what} is of shape {tensor.shape}, not {shape}")
    return tensor


def _bias(tensors: _Tensors, n: int) -> np.ndarray | None:
    return None if "bias" not in tensors else _must_have(tensors["bias"], "bias", (n,)).reals()


def _number(tensors: _Tensors, name: str) -> float:
    """A tensor of one element."""
    found = tensors[name].reals().reshape(-1)
    if found.size != 1:
        raise ValueError(f"its {name} has {found.size} numbers")
    return float(found[0])


def _group_size(config: _Config, k: int, groups: int) -> int:
    """Neighbours along K in a group, as the configuration says, or as the number of groups does."""
    given = config.get("group_size", 0)
    size = given if isinstance(given, int) and given > 0 else -(-k // groups)
    if -(-k // size) != groups:
        raise ValueError(f"its K = {k} has {groups} groups, not of {size}")
    return size


def _gptq(prefix: str, tensors: _Tensors, config: _Config) -> StoredLayer:
    """Codes packed along K, zero points along N and less by one, but in the second version of the format.

    GPTQ (arXiv 2210.17323) as AutoGPTQ and GPTQModel write it; ``g_idx[k]`` is the group of channel k, which is not
    ``k // group_size`` where groups follow the order in which columns were quantized (act-order).
    """
    packed, scales = tensors["qweight"], tensors["scales"]
    (words, n), (groups, _) = _matrix(packed, "qweight"), _matrix(scales, "scales")
    columns = _matrix(tensors["qzeros"], "qzeros")[1]
    bits = 32 * columns // n
    if bits not in (2, 4, 8) or 32 * columns != bits * n:
        raise ValueError(f"its codes have {32 * columns / n:g} bits")
    k = words * 32 // bits
    _must_have(tensors["qzeros"], "qzeros", (groups, columns))
    _must_have(scales, "scales", (groups, n))
    size = _group_size(config, k, groups)
    less = 0 if config.get("checkpoint_format") == "gptq_v2" else 1
    order = _order(tensors, k, size)

    def codes() -> np.ndarray:
        fields = packed.integers().astype(np.uint32)[:, None, :] >> np.arange(0, 32, bits, dtype=np.uint32)[:, None]
        found = (fields & np.uint32((1 << bits) - 1)).reshape(k, n)
        return found if order is None else found[order]

    return StoredLayer(
        name=prefix,
        kind="GPTQ",
        k=k,
        n=n,
        format=Int(bits, signed=False),
        group_size=size if groups > 1 else 0,
        read_codes=codes,
        read_factors=lambda: Factors.of(scales.reals(), zero_point=tensors["qzeros"].fields(bits) + less),
        order=order,
        bias=_bias(tensors, n),
    )


def _order(tensors: _Tensors, k: int, size: int) -> np.ndarray | None:
    """Channels of activations in the order of their groups; None if that is their own."""
    if "g_idx" not in tensors:
        return None
    group = _must_have(tensors["g_idx"], "g_idx", (k,)).integers()
    order = np.argsort(group, kind="stable")
    if (group[order] != np.arange(k) // size).any():
        raise ValueError(f"its g_idx has groups that are not of {size} channels")
    return None if (order == np.arange(k)).all() else order


def _awq(prefix: str, tensors: _Tensors, config: _Config) -> StoredLayer:
    """Codes and zero points packed along N, eight columns of a word in an order of their own.

    AWQ (arXiv 2306.00978) as AutoAWQ writes it for matrix products (version GEMM).
    """
    packed, scales = tensors["qweight"], tensors["scales"]
    (k, words), (groups, n) = _matrix(packed, "qweight"), _matrix(scales, "scales")
    if str(config.get("version", "gemm")).lower() != "gemm":
        raise ValueError(f"it is of version {config['version']}")
    if words * 8 != n:
        raise ValueError(f"its codes have {32 * words / n:g} bits")
    zeros = _must_have(tensors["qzeros"], "qzeros", (groups, words))
    size = _group_size(config, k, groups)
    return StoredLayer(
        name=prefix,
        kind="AWQ",
        k=k,
        n=n,
        format=Int(4, signed=False),
        group_size=size if groups > 1 else 0,
        read_codes=lambda: packed.fields(4, _AWQ_ORDER),
        read_factors=lambda: Factors.of(scales.reals(), zero_point=zeros.fields(4, _AWQ_ORDER)),
        bias=_bias(tensors, n),
    )


def _fp8(prefix: str, tensors: _Tensors, config: _Config) -> StoredLayer:
    """FP8 weights (N, K) with a scale of the tensor, of each row, or of square blocks: compressed-tensors."""
    weight = tensors["weight"]
    n, k = _matrix(weight, "weight")
    name = next(each for each in ("weight_scale", "weight_scale_inv") if each in tensors)
    scale = tensors[name]
    form = weight.format
    assert form is not None
    size = 0
    if scale.shape not in ((), (1,), (1, 1), (n,), (n, 1)):
        size = _block_of(scale.shape, n, k, config)

    def factors() -> Factors:
        found = scale.reals()
        if not size:
            return Factors.of(np.broadcast_to(found.reshape(1, -1), (1, n)))
        return Factors.of(np.repeat(found.T, size, axis=1)[:, :n])

    act = None
    if "input_scale" in tensors:
        act = StoredAct(format=form, scale=_number(tensors, "input_scale"))
    return StoredLayer(
        name=prefix,
        kind="FP8",
        k=k,
        n=n,
        format=form,
        group_size=size,
        read_codes=lambda: np.ascontiguousarray(weight.codes().T),
        read_factors=factors,
        bias=_bias(tensors, n),
        act=act,
    )


def _block_of(shape: tuple[int, ...], n: int, k: int, config: _Config) -> int:
    """The size of square blocks: the configuration's, or 128."""
    given = config.get("weight_block_size", [128, 128])
    size = given[0] if isinstance(given, list) and len(given) == 2 and given[0] == given[1] else 0
    if not isinstance(size, int) or size < 1 or shape != (-(-n // size), -(-k // size)):
        raise ValueError(f"its scales are of shape {shape}, for a weight of {(n, k)}")
    return size


def _nvfp4(prefix: str, tensors: _Tensors, config: _Config) -> StoredLayer:
    """Two FP4 codes a byte along K, an E4M3 scale for each 16 of them, and a scale of the tensor.

    compressed-tensors keeps the reciprocal of the tensor's scale, ``weight_global_scale``; it is divided once, in
    float32. ModelOpt keeps the scale itself, ``weight_scale_2``.
    """
    packed = tensors["weight_packed" if "weight_packed" in tensors else "weight"]
    n, half = _matrix(packed, "weight")
    k, scales = 2 * half, tensors["weight_scale"]
    _must_have(scales, "weight_scale", (n, -(-k // 16)))
    if packed.dtype != "U8" or scales.dtype != "F8_E4M3":
        raise ValueError(f"it is of types {packed.dtype} and {scales.dtype}, not U8 and F8_E4M3")
    if "weight_scale_2" in tensors:
        overall = _number(tensors, "weight_scale_2")
    else:
        divisor = np.float32(_number(tensors, "weight_global_scale"))
        if not divisor:
            raise ValueError("its weight_global_scale is 0")
        overall = float(np.float32(1) / divisor)

    def codes() -> np.ndarray:
        bytes_ = packed.integers()
        return np.ascontiguousarray(np.stack([bytes_ & 15, bytes_ >> 4], axis=2).reshape(n, k).T, np.uint32)

    return StoredLayer(
        name=prefix,
        kind="NVFP4",
        k=k,
        n=n,
        format=FLOATS["fp4_e2m1"],
        group_size=16,
        read_codes=codes,
        read_factors=lambda: Factors.of(scales.reals().T, channel=np.array(overall)),
        bias=_bias(tensors, n),
    )


def _bitnet(prefix: str, tensors: _Tensors, config: _Config) -> StoredLayer:
    """Four ternary rows of a weight (N, K) a byte: field i of row r is row ``i * N / 4 + r``, plus 1.

    BitNet b1.58 (arXiv 2402.17764) as Transformers reads it: results are divided by ``weight_scale``, unless the
    configuration's ``linear_class`` is ``autobitlinear``, where they are multiplied by it.
    """
    packed = tensors["weight"]
    rows, k = _matrix(packed, "weight")
    scale = np.float32(_number(tensors, "weight_scale"))
    if config.get("linear_class") != "autobitlinear":
        if not scale:
            raise ValueError("its weight_scale is 0")
        scale = np.float32(1) / scale

    def codes() -> np.ndarray:
        fields = packed.integers()[None] >> np.arange(0, 8, 2, dtype=np.uint8)[:, None, None] & 3
        if (fields == 3).any():
            raise ValueError(f"Layer {prefix} must hold -1, 0 and 1, and a code of 3 stands for none: damaged")
        return np.ascontiguousarray(Ternary().encode(fields.reshape(4 * rows, k).T.astype(np.float64) - 1))

    return StoredLayer(
        name=prefix,
        kind="BitNet",
        k=k,
        n=4 * rows,
        format=Ternary(),
        read_codes=codes,
        read_factors=lambda: Factors.of(np.full((1, 4 * rows), scale)),
        bias=_bias(tensors, 4 * rows),
    )


def _plain(prefix: str, tensors: _Tensors, config: _Config) -> StoredLayer:
    """Floats (N, K)."""
    weight = tensors["weight"]
    n, k = _matrix(weight, "weight")
    assert weight.format is not None
    return StoredLayer(
        name=prefix,
        kind=weight.dtype,
        k=k,
        n=n,
        format=weight.format,
        read_codes=lambda: np.ascontiguousarray(weight.codes().T),
        read_factors=lambda: Factors.of(np.ones((1, n))),
        bias=_bias(tensors, n),
    )


def _is_packed(tensors: _Tensors, _config: _Config) -> bool:
    return {"qweight", "qzeros", "scales"} <= tensors.keys()


def _along_n(tensors: _Tensors, config: _Config) -> bool:
    """Whether codes are packed along N: there are fewer words in a row than columns."""
    if not _is_packed(tensors, config) or len(tensors["qweight"].shape) != 2:
        return False
    return tensors["qweight"].shape[1:] != tensors["scales"].shape[1:]


def _is_nvfp4(tensors: _Tensors, _config: _Config) -> bool:
    return "weight_scale" in tensors and ("weight_packed" in tensors or "weight_scale_2" in tensors)


def _is_fp8(tensors: _Tensors, _config: _Config) -> bool:
    has_scale = "weight_scale" in tensors or "weight_scale_inv" in tensors
    return has_scale and isinstance(tensors["weight"].format, Float) and tensors["weight"].dtype not in _FLOATS


def _is_bitnet(tensors: _Tensors, _config: _Config) -> bool:
    return "weight_scale" in tensors and tensors["weight"].dtype == "U8"


def _is_plain(tensors: _Tensors, _config: _Config) -> bool:
    return tensors["weight"].dtype in _FLOATS and len(tensors["weight"].shape) == 2


SCHEMES = (
    Scheme(name="AWQ", weight="qweight", fits=_along_n, read=_awq),
    Scheme(name="GPTQ", weight="qweight", fits=_is_packed, read=_gptq),
    Scheme(name="NVFP4", weight="weight_packed", fits=_is_nvfp4, read=_nvfp4),
    Scheme(name="NVFP4", weight="weight", fits=_is_nvfp4, read=_nvfp4),
    Scheme(name="FP8", weight="weight", fits=_is_fp8, read=_fp8),
    Scheme(name="BitNet", weight="weight", fits=_is_bitnet, read=_bitnet),
    Scheme(name="floats", weight="weight", fits=_is_plain, read=_plain),
)
"""The ways that are read; the first that fits counts."""
