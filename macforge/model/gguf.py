"""GGUF files: every matrix is a layer, its codes, scales and offsets those of the file."""

import math
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from macforge.model.gguf_types import TYPES, BlockType
from macforge.model.layer import StoredLayer
from sw_ref.quantize.stored import Factors

__all__ = ["GGUFModel", "read_gguf"]

# Tensors and keys of a file, at most; the largest models have some thousand.
_MOST = 1 << 16
_STRING, _ARRAY = gguf.GGUFValueType.STRING, gguf.GGUFValueType.ARRAY


class _Reader(gguf.GGUFReader):
    """The library's reader, which stops where the file does, and takes an array of the header as one part."""

    def _get(self, offset: Any, dtype: Any, count: Any = 1, override_order: Any = None) -> Any:
        if int(offset) + np.dtype(dtype).itemsize * int(count) > len(self.data):
            raise ValueError("it ends too early")
        return super()._get(offset, dtype, count, override_order)

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
        if raw_type != _ARRAY:
            return super()._get_field_parts(orig_offs, raw_type)
        kind, count = self._get(orig_offs, np.uint32), self._get(orig_offs + 4, np.uint64)
        item, start = gguf.GGUFValueType(int(kind[0])), orig_offs + 12
        if item == _STRING:
            end, order = start, "little" if self.byte_order == "I" else "big"
            # slices of what is mapped are slow
            data = self.data.view(np.ndarray)
            for _ in range(int(count[0])):
                if end + 8 > len(data):
                    raise ValueError("it ends too early")
                end += 8 + int.from_bytes(data[end : end + 8].tobytes(), order)
            values = self._get(start, np.uint8, end - start)
        elif (scalar := self.gguf_scalar_to_np.get(item)) is not None:
            values = self._get(start, scalar, count[0])
        else:
            raise ValueError(f"its header has an array of {item.name}")
        return 12 + values.nbytes, [kind, count, values], [2], [_ARRAY, item]

    def _build_fields(self, offs: int, count: int) -> int:
        return super()._build_fields(offs, self._counted(count, "keys"))

    def _build_tensor_info(self, offs: int, count: int) -> Any:
        return super()._build_tensor_info(offs, self._counted(count, "tensors"))

    @staticmethod
    def _counted(count: int, what: str) -> int:
        if int(count) > _MOST:
            raise ValueError(f"it says that it has {count} {what}")
        return int(count)


class GGUFModel:
    """A GGUF file, mapped into memory.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        If it is no GGUF file, is damaged or cut off, or of the other byte order.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._reader = _Reader(path)
        except (ValueError, KeyError, IndexError, OverflowError, struct.error) as error:
            reason = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"Model must be a whole GGUF file, which {path} is not: {reason}") from None
        if self._reader.byte_order != "I":
            raise ValueError(f"Model must be a GGUF file of this machine's byte order, which {path} is not")
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}

    @property
    def keys(self) -> list[str]:
        """Keys of the header."""
        return [key for key in self._reader.fields if not key.startswith("GGUF.")]

    def value(self, key: str) -> Any:
        """What the header has for a key: a number, text, an array of numbers, or a list of texts.

        Raises
        ------
        KeyError
            If it has no such key.
        """
        field = self._reader.fields[key]
        if field.types[0] != _ARRAY:
            return field.contents()
        values = field.parts[field.data[0]]
        if field.types[1] != _STRING:
            return np.array(values)
        data, texts, at = values.tobytes(), [], 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            texts.append(data[at + 8 : at + 8 + size].decode("utf-8", "replace"))
            at += 8 + size
        return texts

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all tensors by their names: K first, as the file has them."""
        return {name: tuple(int(size) for size in tensor.shape) for name, tensor in self._tensors.items()}

    def tensor(self, name: str) -> np.ndarray:
        """A tensor of floats or integers as its own shape; KeyError if there is none."""
        return self._tensors[name].data

    def layers(self) -> Iterator[StoredLayer]:
        """Every matrix, in the order of the file; of a stack of matrices, such as experts', each."""
        for tensor in self._reader.tensors:
            shape = [int(size) for size in tensor.shape[::-1]]
            kind = tensor.tensor_type.name
            if len(shape) not in (2, 3) or 0 in shape or kind not in TYPES:
                continue
            data = tensor.data.view(np.uint8).reshape(math.prod(shape[:-2]), shape[-2], -1)
            if len(shape) == 2:
                bias = self._tensors.get(tensor.name.removesuffix("weight") + "bias")
                yield _layer(tensor.name, kind, shape[-1], data[0], bias=_bias(bias, shape[-2]))
                continue
            for index, rows in enumerate(data):
                yield _layer(f"{tensor.name}[{index}]", kind, shape[-1], rows, of=tensor.name)

    def passed_over(self) -> list[tuple[str, str]]:
        """Names of matrices that are not among the layers, and why."""
        return [
            (tensor.name, f"type {tensor.tensor_type.name} is not read")
            for tensor in self._reader.tensors
            if len(tensor.shape) in (2, 3) and tensor.tensor_type.name not in TYPES
        ]


def read_gguf(path: Path) -> GGUFModel:
    """The model of a GGUF file."""
    return GGUFModel(path)


def _layer(
    name: str, kind: str, k: int, rows: np.ndarray, *, bias: np.ndarray | None = None, of: str = ""
) -> StoredLayer:
    """The layer of the bytes of N rows."""
    block = TYPES[kind]

    def select(chosen: slice | np.ndarray) -> StoredLayer:
        return _layer(name, kind, k, rows[chosen], bias=None if bias is None else bias[chosen], of=of)

    return StoredLayer(
        name=name,
        kind=kind,
        k=k,
        n=len(rows),
        format=block.format,
        group_size=block.group_size,
        read_codes=partial(_codes, block, rows),
        read_factors=partial(_factors, block, rows, k),
        bias=bias,
        of=of,
        select=select,
    )


def _codes(block: BlockType, rows: np.ndarray) -> np.ndarray:
    """Codes (K, N) of the bytes of N rows."""
    codes = block.codes(rows.reshape(-1, block.size))
    return np.ascontiguousarray(codes.reshape(len(rows), -1).T, np.uint32)


def _factors(block: BlockType, rows: np.ndarray, k: int) -> Factors:
    if block.factors is None:
        return Factors.of(np.ones((1, len(rows))))
    # of infinity by 0, which the layer refuses
    with np.errstate(invalid="ignore"):
        scale, offset = block.factors(rows.reshape(-1, block.size))
    shape = len(rows), k // block.group_size
    return Factors.of(scale.reshape(shape).T, offset=None if offset is None else offset.reshape(shape).T)


def _bias(tensor: Any, n: int) -> np.ndarray | None:
    if tensor is None or list(tensor.shape) != [n] or tensor.data.dtype.kind != "f":
        return None
    return tensor.data.astype(np.float64)
