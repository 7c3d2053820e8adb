"""Small GGUF files, written by the library."""

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

from macforge.model.gguf_types import TYPES

__all__ = ["FLOATS_AT", "blocks", "reference", "write_gguf"]

# Where a block has its numbers in FP16.
FLOATS_AT = {
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q8_0": (0,),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "IQ4_NL": (0,),
    "TQ1_0": (52,),
    "TQ2_0": (64,),
}
# 0, the least subnormal, one, the largest, and their negatives.
_EXTREME = np.array([0x0000, 0x0001, 0x3C00, 0x7BFF, 0x8000, 0x8001, 0xBC00, 0xFBFF, 0x03FF], "<u2")


def blocks(kind: str, n: int, count: int, seed: int = 0) -> np.ndarray:
    """Any bytes (n, count * size) that are blocks of a type; scales are extreme in half of them."""
    random = np.random.default_rng(seed)
    block = TYPES[kind]
    found = random.integers(0, 256, (n * count, block.size)).astype(np.uint8)
    for at in FLOATS_AT.get(kind, ()):
        halves = random.normal(size=len(found)).astype("<f2").view("<u2")
        extreme = random.choice(_EXTREME, len(found))
        halves = np.where(random.random(len(found)) < 0.5, extreme, halves).astype("<u2")
        found[:, at : at + 2] = halves.view(np.uint8).reshape(-1, 2)
    if kind == "TQ2_0":
        # no two bits are 3
        found[:, :64] &= ~(found[:, :64] << 1 & 0xAA)
    if kind in ("F32", "F16", "BF16"):
        shape, bits = (n, count), 16 if kind == "BF16" else 0
        dtype = {"F32": "<f4", "F16": "<f2", "BF16": "<f4"}[kind]
        values = random.normal(size=shape).astype(dtype)
        values.flat[:4] = [0.0, -0.0, np.finfo(dtype).smallest_subnormal * 1.0, np.finfo(dtype).min]
        return (values.view("<u4") >> bits).astype("<u2").view(np.uint8) if bits else values.view(np.uint8)
    return found.reshape(n, -1)


def reference(kind: str, data: np.ndarray) -> np.ndarray:
    """The real weight (K, N) that the library makes of bytes (N, ...)."""
    dtype = {"F32": "<f4", "F16": "<f2"}.get(kind)
    data = data if dtype is None else data.view(dtype)
    return gguf.quants.dequantize(data, gguf.GGMLQuantizationType[kind]).T


def write_gguf(path: Path, tensors: Mapping[str, tuple[str, np.ndarray]], **metadata: str | list) -> None:
    """A file of tensors, each a type and its bytes (..., N, size of a row); ``metadata`` are texts and lists."""
    writer = gguf.GGUFWriter(str(path), "test")
    for key, value in metadata.items():
        if isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_array(key, value)
    for name, (kind, data) in tensors.items():
        dtype = {"F32": "<f4", "F16": "<f2"}.get(kind)
        if dtype is None:
            writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType[kind])
        else:
            writer.add_tensor(name, data.view(dtype))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
