"""Real matrices to multiply: a transformer's own layers, or a user's weight."""

import dataclasses
import json
import math
import struct
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError, safe_open

from macforge.files import kind_of, read_npy
from macforge.measure.minilm import Layer, MiniLM, float_result
from sw_ref.locate import first_where

__all__ = ["Layer", "load_layer", "load_tensor", "load_weight"]

Layout = Literal["kn", "nk"]
"""How a file holds a weight: (K, N), or (N, K) as torch does."""

DEFAULT_LAYER = "encoder.layer.0.intermediate.dense"

SENTENCES = (
    "A systolic array passes its operands from cell to cell, so that each is read from memory only once.",
    "The ferry leaves at six in the morning and reaches the island before noon if the sea is calm.",
    "She wrote the proof on a napkin, lost the napkin, and spent a year finding the proof again.",
    "Prices rose faster than wages for the third quarter in a row, the central bank said on Tuesday.",
    "Stir the rice until it has taken up the stock, then add the butter and a little lemon.",
    "Most of what we know about the early universe comes from light that is thirteen billion years old.",
)

# Heavy tails, as activations of transformers have.
_DEGREES_OF_FREEDOM = 5


def load_layer(name: str = DEFAULT_LAYER, *, tokens: int = 16) -> Layer:
    """A linear layer of all-MiniLM-L6-v2 and what it multiplies when the model reads :data:`SENTENCES`.

    ``name`` is one of :attr:`MiniLM.linear_layers`, without it the first feed-forward's (K = 384, N = 1536).
    ``tokens`` is M: the activations are those of the first tokens, sentence after sentence.
    """
    model = MiniLM.load()
    if name not in model.linear_layers:
        raise ValueError(f"Layer must be a linear layer of the encoder, such as {DEFAULT_LAYER}, not {name!r}")
    most = sum(len(model.token_ids(sentence)) for sentence in SENTENCES)
    if not 1 <= tokens <= most:
        raise ValueError(f"Tokens must be from 1 to {most}, not {tokens}")
    acts: list[np.ndarray] = []

    def record(layer: Layer) -> np.ndarray:
        if layer.name == name:
            acts.append(layer.act)
        return float_result(layer)

    for sentence in SENTENCES:
        if sum(map(len, acts)) < tokens:
            model.hidden([sentence], record)
    found = model.layer(name, np.concatenate(acts)[:tokens])
    return dataclasses.replace(found, name=f"all-MiniLM-L6-v2 {name}")


def load_weight(
    path: str | Path, tensor: str | None = None, *, layout: Layout = "kn", tokens: int = 16, seed: int = 0
) -> Layer:
    """A user's weight, found as by :func:`load_tensor`, with M = ``tokens`` rows of stand-in activations.

    They are drawn from Student's t distribution, seeded; the layer's name says so.
    """
    if tokens < 1:
        raise ValueError(f"Tokens must be at least 1, not {tokens}")
    weight = load_tensor(path, tensor, layout=layout)
    shape = (tokens, weight.shape[0])
    act = np.random.default_rng(seed).standard_t(_DEGREES_OF_FREEDOM, shape).astype(np.float32)
    source = Path(path).name + (f" {tensor}" if tensor else "")
    stand_in = f"stand-in activations: Student-t, {_DEGREES_OF_FREEDOM} degrees of freedom, seed {seed}"
    return Layer(name=f"{source} ({stand_in})", act=act, weight=weight)


def load_tensor(path: str | Path, tensor: str | None = None, *, layout: Layout = "kn") -> np.ndarray:
    """A matrix from a .safetensors or .npy file, as float32 (K, N).

    Parameters
    ----------
    path : path
    tensor : str, optional
        Name of a matrix in a .safetensors file; may be left out if there is only one.
    layout : {"kn", "nk"}
        How the file holds it: (K, N), or (N, K) as torch does the weight of a linear layer.

    Raises
    ------
    ValueError
        If the file is of another kind or broken, the tensor is not a matrix of finite floats, or ``tensor`` is none
        of the file's matrices, which are then listed.
    """
    path = Path(path)
    if layout not in ("kn", "nk"):
        raise ValueError(f"Layout must be kn or nk, not {layout!r}")
    if path.suffix in (".safetensors", ".npy") and not path.is_file():
        raise FileNotFoundError(f"Tensor file must be one that exists, not {path}")
    if path.suffix == ".safetensors":
        matrix = _read_safetensors(path, tensor)
    elif path.suffix == ".npy":
        matrix = _read_npy(path, tensor)
    else:
        raise ValueError(f"Tensor file must be .safetensors or .npy, not {path.name!r}")
    if not matrix.size:
        raise ValueError(f"Tensor must have an element, which {tensor or path.name} of shape {matrix.shape} has not")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{first_where(~np.isfinite(matrix), matrix, what=tensor or path.name)}, no finite float32")
    return matrix if layout == "kn" else matrix.T


def _read_safetensors(path: Path, tensor: str | None) -> np.ndarray:
    try:
        with safe_open(path, framework="np") as file:
            names = file.keys()  # the file itself is no mapping
            matrices = [name for name in names if len(file.get_slice(name).get_shape()) == 2]
            if tensor is None and len(matrices) == 1:
                tensor = matrices[0]
            if tensor is None or tensor not in matrices:
                listing = ", ".join(matrices)
                raise ValueError(f"Tensor must be a matrix of {path.name} ({listing}), not {tensor!r}")
            dtype = file.get_slice(tensor).get_dtype()
            if dtype == "BF16":
                return _read_bfloat16(path, tensor)
            if dtype not in ("F16", "F32", "F64"):
                raise ValueError(f"Tensor {tensor} must be F16, BF16, F32 or F64, not {dtype}")
            return file.get_tensor(tensor).astype(np.float32)
    except SafetensorError as error:
        kind = kind_of(path)
        reason = f"it is {kind}" if kind else error
        raise ValueError(f"{path.name} is not a safetensors file: {reason}") from error


def _read_bfloat16(path: Path, tensor: str) -> np.ndarray:
    """A tensor of a file that safetensors has checked; NumPy has no bfloat16 for it to return."""
    with path.open("rb") as file:
        (header_size,) = struct.unpack("<Q", file.read(8))
        entry = json.loads(file.read(header_size))[tensor]
        file.seek(8 + header_size + entry["data_offsets"][0])
        upper_halves = np.fromfile(file, dtype="<u2", count=math.prod(entry["shape"]))
    return (upper_halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def _read_npy(path: Path, tensor: str | None) -> np.ndarray:
    if tensor is not None:
        raise ValueError(f"Tensor must not be named in a .npy file, which holds one, not {tensor!r}")
    matrix = read_npy(path, "Tensor file")
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise ValueError(f"{path.name} must hold a float matrix, not {matrix.dtype} of shape {matrix.shape}")
    return matrix.astype(np.float32)
