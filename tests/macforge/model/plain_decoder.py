"""A decoder evaluated apart from macforge: the library's reader, codes and scales as their bytes say, and float64."""

from dataclasses import dataclass, field

import gguf
import numpy as np

__all__ = ["PlainDecoder", "coded"]

_Matrix = np.ndarray


def coded(x: np.ndarray, size: int = 32) -> np.ndarray:
    """What activations (M, K) are once they are int8, with a scale for each group: as Q8_1 says.

    The scale is ``max(abs(x)) / 127`` in float32, and multiplies with 11 bits, as FP16 has.
    """
    groups = x.astype(np.float32).reshape(len(x), -1, size)
    scale = np.abs(groups).max(axis=2, keepdims=True) / np.float32(127)
    codes = np.rint(groups / np.where(scale == 0, np.float32(1), scale))
    mantissa, exponent = np.frexp(scale.astype(np.float64))
    return (codes * np.ldexp(np.rint(mantissa * 2048) / 2048, exponent)).reshape(x.shape)


@dataclass
class PlainDecoder:
    """A GGUF file; ``quantized`` says whether activations are, in groups of that size."""

    path: str
    quantized: int = 0
    weights: dict[str, _Matrix] = field(default_factory=dict)

    def __post_init__(self):
        reader = gguf.GGUFReader(self.path)
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        get = lambda key: reader.fields[f"llama.{key}"].contents()  # noqa: E731
        self.blocks, self.heads, self.kv_heads = (
            get("block_count"),
            get("attention.head_count"),
            get("attention.head_count_kv"),
        )
        self.base, self.epsilon = get("rope.freq_base"), get("attention.layer_norm_rms_epsilon")

    def weight(self, name: str) -> _Matrix:
        """The real weight (N, K), exact."""
        if name not in self.weights:
            tensor = self.tensors[f"{name}.weight"]
            weight = self.weights[name] = real_weight(tensor.tensor_type.name, tensor.data)
            theirs = gguf.quants.dequantize(tensor.data[:4], tensor.tensor_type)
            np.testing.assert_allclose(weight[:4], theirs, rtol=1e-6, atol=1e-7)
        return self.weights[name]

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        taken = coded(x, self.quantized) if self.quantized else x.astype(np.float64)
        return taken @ self.weight(name).T

    def normal(self, name: str, x: np.ndarray) -> np.ndarray:
        mean = (x**2).sum(axis=1, keepdims=True) / x.shape[1]
        return x / (mean + self.epsilon) ** 0.5 * self.tensors[f"{name}.weight"].data

    def turned(self, head: np.ndarray) -> np.ndarray:
        """A head (tokens, size) as complex numbers, each turned by its position."""
        tokens, size = head.shape
        numbers = head[:, 0::2] + 1j * head[:, 1::2]
        for i in range(size // 2):
            numbers[:, i] *= np.exp(1j * np.arange(tokens) * self.base ** (-2 * i / size))
        return numbers

    def attention(self, name: str, x: np.ndarray) -> np.ndarray:
        query, key, value = (self.linear(f"{name}.attn_{part}", x) for part in "qkv")
        size, found = query.shape[1] // self.heads, []
        for head in range(self.heads):
            of = head // (self.heads // self.kv_heads)
            mine, theirs = slice(head * size, (head + 1) * size), slice(of * size, (of + 1) * size)
            scores = np.real(self.turned(query[:, mine]) @ self.turned(key[:, theirs]).conj().T) / size**0.5
            # a token sees none that comes later
            powers = np.tril(np.exp(scores - scores.max()))
            found.append(powers / powers.sum(axis=1, keepdims=True) @ value[:, theirs])
        return self.linear(f"{name}.attn_output", np.concatenate(found, axis=1))

    def logits(self, tokens: list[int]) -> np.ndarray:
        """Logits (tokens, vocabulary) after each token, all computed anew."""
        x = self.weight("token_embd")[tokens]
        for block in range(self.blocks):
            name = f"blk.{block}"
            x = x + self.attention(name, self.normal(f"{name}.attn_norm", x))
            y = self.normal(f"{name}.ffn_norm", x)
            gate = self.linear(f"{name}.ffn_gate", y)
            y = gate / (1 + np.exp(-gate)) * self.linear(f"{name}.ffn_up", y)
            x = x + self.linear(f"{name}.ffn_down", y)
        return self.linear("token_embd", self.normal("output_norm", x))

    def greedy(self, tokens: list[int], count: int) -> list[int]:
        """The tokens that follow."""
        tokens = list(tokens)
        for _ in range(count):
            tokens.append(int(self.logits(tokens)[-1].argmax()))
        return tokens[len(tokens) - count :]


def real_weight(kind: str, data: np.ndarray) -> np.ndarray:
    """``d * q + m`` of Q4_1's blocks, ``d * q`` of Q8_0's, in float64."""
    n = len(data)
    halves = {"Q4_1": 2, "Q8_0": 1}[kind]
    blocks = data.reshape(n, -1, {"Q4_1": 20, "Q8_0": 34}[kind])
    factors = np.ascontiguousarray(blocks[:, :, : 2 * halves]).view(np.float16).astype(np.float64)
    if kind == "Q8_0":
        return (factors * blocks[:, :, 2:].view(np.int8)).reshape(n, -1)
    codes = np.concatenate([blocks[:, :, 4:] % 16, blocks[:, :, 4:] // 16], axis=2)
    return (factors[:, :, :1] * codes + factors[:, :, 1:]).reshape(n, -1)
