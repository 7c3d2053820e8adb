"""Files of safetensors: layers of the checkpoints that quantizers write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from macforge.files import kind_of
from macforge.model.checkpoints import SCHEMES
from macforge.model.files import ListedModel
from macforge.model.tensors import Tensor

__all__ = ["SafetensorsModel", "read_safetensors"]

# Where quantizers say how they have packed, beside the tensors.
_CONFIGS = {"config.json": "quantization_config", "quantize_config.json": None, "quant_config.json": None}
_MOST_CONFIG = 1 << 24
# Tensors of a module.
_OF_MODULE = (
    "weight",
    "weight_packed",
    "weight_scale",
    "weight_scale_2",
    "weight_scale_inv",
    "weight_global_scale",
    "input_scale",
    "qweight",
    "qzeros",
    "scales",
    "g_idx",
    "bias",
)


class SafetensorsModel(ListedModel):
    """A file of safetensors, mapped into memory, with the quantizer's configuration beside it.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        If it is no file of safetensors, or is damaged or cut off.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            # the library checks the header, and that the tensors fill the file
            with safe_open(path, framework="np") as file:
                names = list(file.keys())
        except SafetensorError as error:
            kind = kind_of(path)
            reason = f"it is {kind}" if kind else str(error).splitlines()[0]
            raise ValueError(f"Model must be a whole file of safetensors, which {path} is not: {reason}") from None
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        whole = path.stat().st_size - 8 - size
        data = np.memmap(path, np.uint8, "r", offset=8 + size) if whole else np.zeros(0, np.uint8)
        self._tensors = {name: Tensor.of(name, header[name], data) for name in names}
        self._config = _config(path.parent)
        for name in names:
            self._read(name)

    def _read(self, name: str) -> None:
        prefix, _, last = name.rpartition(".")
        start = f"{prefix}." if prefix else ""
        below = {each: self._tensors[start + each] for each in _OF_MODULE if start + each in self._tensors}
        for scheme in SCHEMES:
            if scheme.weight != last or not scheme.fits(below, self._config):
                continue
            try:
                self._layers.append(scheme.read(prefix or last, below, self._config))
            except (ValueError, KeyError) as error:
                reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
                self._passed_over.append((prefix or last, f"{scheme.name}: {reason}"))
            return


def read_safetensors(path: Path) -> SafetensorsModel:
    """The model of a file of safetensors."""
    return SafetensorsModel(path)


def _config(folder: Path) -> dict[str, Any]:
    """The quantizer's configuration beside the file; empty if there is none.

    Raises
    ------
    ValueError
        If it is no JSON.
    """
    for name, key in _CONFIGS.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size > _MOST_CONFIG:
            continue
        try:
            found = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            raise ValueError(f"Configuration {path} must be JSON, which it is not") from None
        if isinstance(found, dict) and key is not None:
            found = found.get(key)
        if isinstance(found, dict):
            return found
    return {}
