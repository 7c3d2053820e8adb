"""Decoders of the architecture ``llama`` in NumPy, whose linear layers are computed by something else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from macforge.model.layer import StoredLayer

__all__ = ["Compute", "Decoder", "Dequantized", "KVCache", "Shape", "attend", "gated", "rms_norm", "rotate"]

Compute = Callable[[StoredLayer, np.ndarray], np.ndarray]
"""What a linear layer gives for activations (M, K): ``act @ weight`` (M, N), in float32."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a decoder.

    Parameters
    ----------
    blocks, hidden, inner, vocabulary : int
        Blocks, width of the states, width of the feed-forward layers, number of tokens.
    heads, kv_heads : int
        Heads of queries, and of keys and values; each of the latter serves ``heads / kv_heads`` of the former.
    context : int
        Tokens that the model was made for, at most.
    rope_base : float
        Of the angles, see `rotate`.
    epsilon : float
        See `rms_norm`.
    """

    blocks: int
    hidden: int
    inner: int
    vocabulary: int
    heads: int
    kv_heads: int
    context: int
    rope_base: float
    epsilon: float

    @property
    def head_size(self) -> int:
        """Width of a head."""
        return self.hidden // self.heads

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """Linear layers of a block in the order of computation: K and N of each, by the names of GGUF."""
        hidden, inner, narrow = self.hidden, self.inner, self.kv_heads * self.head_size
        return {
            "attn_q": (hidden, hidden),
            "attn_k": (hidden, narrow),
            "attn_v": (hidden, narrow),
            "attn_output": (hidden, hidden),
            "ffn_gate": (hidden, inner),
            "ffn_up": (hidden, inner),
            "ffn_down": (inner, hidden),
        }


@dataclass(kw_only=True)
class KVCache:
    """Keys and values (tokens, kv_heads, head_size) of the tokens that a decoder has read, block by block."""

    keys: list[np.ndarray]
    values: list[np.ndarray]

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.keys[0])

    def append(self, block: int, key: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add those of further tokens, and give all of the block."""
        self.keys[block] = np.concatenate([self.keys[block], key])
        self.values[block] = np.concatenate([self.values[block], value])
        return self.keys[block], self.values[block]


@dataclass(frozen=True, eq=False, kw_only=True)
class Decoder:
    """A decoder: states of tokens, and the logits of the tokens that come next.

    ::

        h = h + attn_output(attend(rotate(attn_q(x)), rotate(attn_k(x)), attn_v(x)))    # x = rms_norm(h)
        h = h + ffn_down(gated(ffn_gate(x), ffn_up(x)))                                 # x = rms_norm(h)

    States, keys and values are float32. What lies between the linear layers is computed in float64, and each function
    named here rounds once: quantizers make a step of what differs by a last bit, and after a few layers results of
    another order of sums would differ as much as those of other scales.

    Source: Touvron et al., LLaMA, arXiv 2302.13971; grouped queries: Ainslie et al., GQA, arXiv 2305.13245. Names of
    tensors and keys: the GGUF specification.

    Parameters
    ----------
    shape : Shape
    norms : mapping of str to float32 array
        Weights of the normalizations, by the names of their tensors.
    layers : mapping of str to StoredLayer
        The linear layers and the embedding, by the names of their tensors.
    """

    shape: Shape
    norms: Mapping[str, np.ndarray]
    layers: Mapping[str, StoredLayer]

    @property
    def head(self) -> StoredLayer:
        """The layer of the logits: the embedding, if the file has none of its own."""
        return self.layers.get("output.weight", self.layers["token_embd.weight"])

    @property
    def linear_layers(self) -> tuple[StoredLayer, ...]:
        """The layers that `Compute` is asked for, in the order of computation."""
        blocks = range(self.shape.blocks)
        return (*(self.layers[f"blk.{i}.{part}.weight"] for i in blocks for part in self.shape.linear), self.head)

    def start(self) -> KVCache:
        """An empty cache."""
        empty = np.zeros((0, self.shape.kv_heads, self.shape.head_size), np.float32)
        return KVCache(keys=[empty] * self.shape.blocks, values=[empty] * self.shape.blocks)

    def hidden(self, tokens: Sequence[int], cache: KVCache, compute: Compute) -> np.ndarray:
        """Last states (tokens, hidden), normalized, of tokens that follow those of the cache, which takes them in.

        Raises
        ------
        ValueError
            If there is no token, one is none of the vocabulary's, or they are more than the context.
        """
        self._check_tokens(tokens, cache.length)
        embedding = self.layers["token_embd.weight"].columns(np.asarray(tokens))
        x = embedding.dequantized().T.astype(np.float32)
        positions = np.arange(cache.length, cache.length + len(x))
        for block in range(self.shape.blocks):
            x = x + self._attention(block, x, positions, cache, compute)
            x = x + self._feed_forward(block, x, compute)
        return self._normalized("output_norm", x)

    def logits(self, states: np.ndarray, compute: Compute) -> np.ndarray:
        """Logits (tokens, vocabulary) of the tokens that follow, out of last states."""
        return compute(self.head, states)

    def _attention(
        self, block: int, x: np.ndarray, positions: np.ndarray, cache: KVCache, compute: Compute
    ) -> np.ndarray:
        name = f"blk.{block}"
        x = self._normalized(f"{name}.attn_norm", x)
        query, key, value = (
            compute(self.layers[f"{name}.{part}.weight"], x).reshape(len(x), -1, self.shape.head_size)
            for part in ("attn_q", "attn_k", "attn_v")
        )
        query, key = (rotate(each, positions, base=self.shape.rope_base) for each in (query, key))
        context = attend(query, *cache.append(block, key, value))
        return compute(self.layers[f"{name}.attn_output.weight"], context)

    def _feed_forward(self, block: int, x: np.ndarray, compute: Compute) -> np.ndarray:
        name = f"blk.{block}"
        x = self._normalized(f"{name}.ffn_norm", x)
        gate, up = (compute(self.layers[f"{name}.{part}.weight"], x) for part in ("ffn_gate", "ffn_up"))
        return compute(self.layers[f"{name}.ffn_down.weight"], gated(gate, up))

    def _normalized(self, name: str, x: np.ndarray) -> np.ndarray:
        return rms_norm(x, self.norms[f"{name}.weight"], epsilon=self.shape.epsilon)

    def _check_tokens(self, tokens: Sequence[int], before: int) -> None:
        if not len(tokens):
            raise ValueError("Tokens must be at least one")
        for token in tokens:
            if not 0 <= token < self.shape.vocabulary:
                raise ValueError(f"Tokens must be from 0 to {self.shape.vocabulary - 1}, not {token}")
        if before + len(tokens) > self.shape.context:
            raise ValueError(f"Tokens must be at most {self.shape.context} in all, not {before + len(tokens)}")


@dataclass(frozen=True, eq=False)
class Dequantized:
    """Linear layers with the real weights of the file, rounded to float32, which are kept."""

    weights: dict[str, np.ndarray] = field(default_factory=dict)

    def __call__(self, layer: StoredLayer, act: np.ndarray) -> np.ndarray:
        """``act @ weight`` in float32."""
        if layer.name not in self.weights:
            self.weights[layer.name] = layer.dequantized().astype(np.float32)
        return act @ self.weights[layer.name]


def rms_norm(x: np.ndarray, weight: np.ndarray, *, epsilon: float) -> np.ndarray:
    """``x / sqrt(mean(x**2) + epsilon) * weight`` along the last axis, in float64 and rounded to float32.

    Source: Zhang and Sennrich, Root Mean Square Layer Normalization, arXiv 1910.07467.
    """
    mean = np.square(x, dtype=np.float64).mean(axis=-1, keepdims=True)
    return (x / np.sqrt(mean + epsilon) * weight).astype(np.float32)


def rotate(x: np.ndarray, positions: np.ndarray, *, base: float) -> np.ndarray:
    """Rotary positions: each pair of neighbours ``(x[2i], x[2i+1])`` is turned by ``position * base**(-2i / size)``.

    In float64, and rounded to float32.
    A GGUF file of this architecture has the rows of ``attn_q`` and ``attn_k`` in the order that this takes.

    Source: Su et al., RoFormer, arXiv 2104.09864, section 3.2.2.

    Parameters
    ----------
    x : float32 array (tokens, heads, size)
    positions : integer array (tokens,)
    base : float
    """
    size = x.shape[-1]
    angles = positions[:, None] * base ** (-np.arange(0, size, 2) / size)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    even, odd = x[..., ::2], x[..., 1::2]
    turned = np.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)
    return turned.reshape(x.shape).astype(np.float32)


def attend(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Causal attention: ``softmax(query @ key.T / sqrt(size)) @ value`` in each head, in float64, rounded to float32.

    Parameters
    ----------
    query : float32 array (tokens, heads, size)
        Of the last tokens; each sees itself and those before it.
    key, value : float32 array (all tokens, kv_heads, size)

    Returns
    -------
    float32 array (tokens, heads * size)
    """
    tokens, heads, size = query.shape
    seen, groups, _ = key.shape
    # (kv_heads, heads of each, tokens, size)
    query = query.reshape(tokens, groups, heads // groups, size).transpose(1, 2, 0, 3).astype(np.float64)
    scores = query @ key.transpose(1, 2, 0)[:, None] / np.sqrt(size)
    late = np.arange(seen) > np.arange(seen - tokens, seen)[:, None]
    scores = np.where(late, -np.inf, scores)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    context = weights @ value.transpose(1, 0, 2)[:, None]
    return context.transpose(2, 0, 1, 3).reshape(tokens, -1).astype(np.float32)


def gated(gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    """``silu(gate) * up``, where ``silu(x) = x / (1 + exp(-x))``, in float64 and rounded to float32.

    Source: Elfwing et al., arXiv 1702.03118; as a gate: Shazeer, GLU Variants, arXiv 2002.05202.
    """
    return (gate / (1 + np.exp(-gate.astype(np.float64))) * up).astype(np.float32)
