"""Tensors of a file of safetensors, of any type, read when they are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sw_ref.formats.base import Format, Int
from sw_ref.formats.minifloat import BF16, FLOATS, FP16, FP32

__all__ = ["Tensor"]

_FORMATS: dict[str, Format] = {
    "F32": FP32,
    "F16": FP16,
    "BF16": BF16,
    "F8_E4M3": FLOATS["fp8_e4m3"],
    "F8_E5M2": FLOATS["fp8_e5m2"],
    "I8": Int(8),
    "U8": Int(8, signed=False),
}
_WHOLE = {"I32": np.dtype("<i4"), "I64": np.dtype("<i8"), "I8": np.dtype("i1"), "U8": np.dtype("u1")}


@dataclass(frozen=True, eq=False, kw_only=True)
class Tensor:
    """One tensor.

    Parameters
    ----------
    name, dtype : str
        As the file has them.
    shape : tuple of int
    data : uint8 array
        Its bytes, in the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: np.ndarray

    @classmethod
    def of(cls, name: str, entry: Mapping[str, Any], data: np.ndarray) -> "Tensor":
        """The tensor of an entry of a header that has been checked."""
        start, end = entry["data_offsets"]
        return cls(name=name, dtype=entry["dtype"], shape=tuple(entry["shape"]), data=data[start:end])

    @property
    def format(self) -> Format | None:
        """Of its elements, if a layer takes them."""
        return _FORMATS.get(self.dtype)

    def codes(self) -> np.ndarray:
        """Bit patterns of its elements, uint32; ValueError if its type has no format."""
        form = self.format
        if form is None:
            raise ValueError(f"{self.name} is of type {self.dtype}")
        return self.data.view(f"<u{form.bits // 8}").reshape(self.shape).astype(np.uint32)

    def reals(self) -> np.ndarray:
        """Its elements, float64; ValueError if its type has no format."""
        codes = self.codes()
        assert self.format is not None
        return self.format.decode(codes)

    def integers(self) -> np.ndarray:
        """Its elements, of an integer type; ValueError if it is of another."""
        if self.dtype not in _WHOLE:
            raise ValueError(f"{self.name} is of type {self.dtype}, and no integer")
        return self.data.view(_WHOLE[self.dtype]).reshape(self.shape)

    def fields(self, bits: int, order: tuple[int, ...] | None = None) -> np.ndarray:
        """Codes in 32-bit words, side by side along the last axis: uint32 (..., words * 32 / bits).

        Parameters
        ----------
        bits : int
        order : tuple of int, optional
            Which code of a word lies in each field, the lowest field first; by default the first in the lowest.
        """
        words = self.integers().astype(np.uint32)
        fields = words[..., None] >> np.arange(0, 32, bits, dtype=np.uint32) & np.uint32((1 << bits) - 1)
        if order is not None:
            fields = fields[..., np.argsort(order)]
        return fields.reshape(*self.shape[:-1], -1)
