"""What a decoder's loss of a text changes by when results of its linear layers change: gradients, in NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from macforge.model.decoder import Decoder, Dequantized, rotate
from macforge.model.layer import StoredLayer

__all__ = ["TracedLayer", "attend_back", "gated_back", "gradients", "rms_norm_back"]


@dataclass(frozen=True, eq=False, kw_only=True)
class TracedLayer:
    """A linear layer while a text was read.

    Parameters
    ----------
    act : float32 array (M, K)
    result : float32 array (M, N)
    gradient : float64 array (M, N)
        Of the text's loss, by ``result``.
    """

    act: np.ndarray
    result: np.ndarray
    gradient: np.ndarray


def gradients(decoder: Decoder, tokens: Sequence[int], exact: Dequantized) -> dict[str, TracedLayer]:
    """The linear layers of all blocks while a text is read in floats, and the gradients of the text's loss.

    The loss is ``mean(-log p)`` of the tokens behind the first, each given those before it.

    Parameters
    ----------
    decoder : Decoder
    tokens : sequence of int
        2 at least.
    exact : Dequantized
        Keeps the weights.

    Returns
    -------
    dict of str to TracedLayer
        By the names of layers.
    """
    if len(tokens) < 2:
        raise ValueError(f"Tokens must be at least two for a loss, not {len(tokens)}")
    back = _Backward(decoder, tokens, exact)
    back.head()
    for block in reversed(range(decoder.shape.blocks)):
        back.feed_forward(f"blk.{block}")
        back.attention(f"blk.{block}")
    return back.found


class _Backward:
    """From the loss back to the first block: ``change`` is the loss's gradient by the states (tokens, hidden)."""

    def __init__(self, decoder: Decoder, tokens: Sequence[int], exact: Dequantized) -> None:
        self._decoder, self._tokens, self._exact = decoder, tokens, exact
        self._acts: dict[str, np.ndarray] = {}
        self._results: dict[str, np.ndarray] = {}
        self._last = decoder.hidden(tokens, decoder.start(), self._compute)
        self._states = decoder.layers["token_embd.weight"].columns(np.asarray(tokens)).dequantized().T
        for name, result in self._results.items():
            if name.endswith((".attn_output.weight", ".ffn_down.weight")):
                self._states = self._states + result
        self._change = np.zeros(self._states.shape)
        self.found: dict[str, TracedLayer] = {}

    def _compute(self, layer: StoredLayer, act: np.ndarray) -> np.ndarray:
        self._acts[layer.name], self._results[layer.name] = act, self._exact(layer, act)
        return self._results[layer.name]

    def head(self) -> None:
        """From the logits to the last states: ``d loss / d logits = (softmax - 1 at the wanted token) / count``."""
        head, wanted = self._decoder.head, np.asarray(self._tokens[1:])
        logits = self._exact(head, self._last[:-1]).astype(np.float64)
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        chances[np.arange(len(wanted)), wanted] -= 1
        change = np.zeros(self._last.shape)
        change[:-1] = chances.astype(np.float32) @ self._exact.weights[head.name].T / len(wanted)
        self._change = self._normalized_back("output_norm", change)

    def feed_forward(self, name: str) -> None:
        """``h + ffn_down(gated(ffn_gate(x), ffn_up(x)))``, where ``x = rms_norm(h)``."""
        self._states = self._states - self._results[f"{name}.ffn_down.weight"]
        inner = self._layer_back(f"{name}.ffn_down", self._change)
        parts = [f"{name}.ffn_gate", f"{name}.ffn_up"]
        gate, up = (self._results[f"{part}.weight"] for part in parts)
        changes = zip(parts, gated_back(gate, up, inner), strict=True)
        x = np.sum([self._layer_back(part, each) for part, each in changes], axis=0)
        self._change = self._change + self._normalized_back(f"{name}.ffn_norm", x)

    def attention(self, name: str) -> None:
        """``h + attn_output(attend(rotate(attn_q(x)), rotate(attn_k(x)), attn_v(x)))``, where ``x = rms_norm(h)``."""
        self._states = self._states - self._results[f"{name}.attn_output.weight"]
        context = self._layer_back(f"{name}.attn_output", self._change)
        positions, base = np.arange(len(context)), self._decoder.shape.rope_base
        parts = [f"{name}.{part}" for part in ("attn_q", "attn_k", "attn_v")]
        query, key, value = (
            self._results[f"{part}.weight"].reshape(len(context), -1, self._decoder.shape.head_size) for part in parts
        )
        query, key = (rotate(each, positions, base=base) for each in (query, key))
        query, key, value = attend_back(query, key, value, context)
        # what turns back is the transpose
        query, key = (rotate(each, -positions, base=base) for each in (query, key))
        changes = zip(parts, (each.reshape(len(context), -1) for each in (query, key, value)), strict=True)
        x = np.sum([self._layer_back(part, each) for part, each in changes], axis=0)
        self._change = self._change + self._normalized_back(f"{name}.attn_norm", x)

    def _layer_back(self, name: str, change: np.ndarray) -> np.ndarray:
        """The gradient by a layer's activations (M, K), given that by its results, which is kept."""
        name = f"{name}.weight"
        self.found[name] = TracedLayer(act=self._acts[name], result=self._results[name], gradient=change)
        return change @ self._exact.weights[name].T

    def _normalized_back(self, name: str, change: np.ndarray) -> np.ndarray:
        weight = self._decoder.norms[f"{name}.weight"]
        return rms_norm_back(self._states, weight, change, epsilon=self._decoder.shape.epsilon)


def rms_norm_back(x: np.ndarray, weight: np.ndarray, change: np.ndarray, *, epsilon: float) -> np.ndarray:
    """The gradient by ``x`` (M, K) of `macforge.model.decoder.rms_norm`, given that by its result.

    ``r * (g - x * r**2 * mean(g * x))``, where ``r = 1 / sqrt(mean(x**2) + epsilon)`` and ``g = change * weight``.
    """
    x, scaled = x.astype(np.float64), change * weight
    factor = 1 / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + epsilon)
    return factor * (scaled - x * factor**2 * (scaled * x).mean(axis=-1, keepdims=True))


def gated_back(gate: np.ndarray, up: np.ndarray, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gradients by ``gate`` and ``up`` of `macforge.model.decoder.gated`, given that by its result."""
    gate = gate.astype(np.float64)
    sigmoid = 1 / (1 + np.exp(-gate))
    return change * up * sigmoid * (1 + gate * (1 - sigmoid)), change * gate * sigmoid


def attend_back(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, change: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients by all three of `macforge.model.decoder.attend`, given that by its result.

    Parameters
    ----------
    query : array (tokens, heads, size)
    key, value : array (tokens, kv_heads, size)
    change : array (tokens, heads * size)
    """
    tokens, heads, size = query.shape
    groups = key.shape[1]
    # (kv_heads, heads of each, tokens, size)
    query, change = (
        each.reshape(tokens, groups, heads // groups, size).transpose(1, 2, 0, 3).astype(np.float64)
        for each in (query, change)
    )
    key, value = (each.transpose(1, 0, 2)[:, None].astype(np.float64) for each in (key, value))
    scores = query @ key.swapaxes(2, 3) / np.sqrt(size)
    scores = np.where(np.tri(tokens, dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    of_weights = change @ value.swapaxes(2, 3)
    of_scores = weights * (of_weights - (weights * of_weights).sum(axis=-1, keepdims=True)) / np.sqrt(size)
    of_query = (of_scores @ key).transpose(2, 0, 1, 3).reshape(tokens, heads, size)
    of_key = (of_scores.swapaxes(2, 3) @ query).sum(axis=1).transpose(1, 0, 2)
    of_value = (weights.swapaxes(2, 3) @ change).sum(axis=1).transpose(1, 0, 2)
    return of_query, of_key, of_value
