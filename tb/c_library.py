"""Libraries of C functions, and what such a library has opened."""

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

__all__ = ["Functions", "OpenedModel", "bytes_at", "c_library"]

Functions = Mapping[str, tuple[object, Sequence[object]]]
"""What functions return and take, as types of ctypes, by their names."""


def c_library(path: Path, functions: Functions) -> ctypes.CDLL:
    """The library at a path, of which these functions can be called."""
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def bytes_at(address: int, count: int) -> np.ndarray:
    """The memory of a model, as uint8 (count,): the bytes themselves, and no copy."""
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8)), (count,))


class OpenedModel:
    """A model of a library's that is closed at the end of a ``with`` block, or by `close`."""

    closes: ClassVar[str]
    """The function of the library that frees the model."""

    _library: ctypes.CDLL
    _model: int | None

    def close(self) -> None:
        """Free what it holds; its memory is gone then."""
        if self._model:
            getattr(self._library, self.closes)(self._model)
            self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
