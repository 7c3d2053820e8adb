"""A decoder evaluated apart from macforge: the library's reader, codes and scales as their bytes say."""

from dataclasses import dataclass, field

import gguf
import numpy as np

__all__ = ["PlainDecoder", "coded"]


def coded(x: np.ndarray, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Codes (M, K) and scales (M, K / size) of activations as int8, with a scale for each group, as Q8_1 says.

    The scale is ``max(abs(x)) / 127`` in float32, and multiplies with 11 bits, as FP16 has.
    """
    groups = x.astype(np.float32).reshape(len(x), -1, size)
    scale = np.abs(groups).max(axis=2) / np.float32(127)
    codes = np.rint(groups / np.where(scale == 0, np.float32(1), scale)[:, :, None])
    mantissa, exponent = np.frexp(scale.astype(np.float64))
    return codes.reshape(x.shape), np.ldexp(np.rint(mantissa * 2048) / 2048, exponent)


@dataclass
class PlainDecoder:
    """A GGUF file; ``quantized`` says whether activations are, in groups of 32: products are then added in FP32.

    What lies between the linear layers is rounded to float32 where the real one rounds.
    """

    path: str
    quantized: bool = False
    weights: dict[str, tuple[np.ndarray, ...]] = field(default_factory=dict)

    def __post_init__(self):
        reader = gguf.GGUFReader(self.path)
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        names = "block_count", "attention.head_count", "attention.head_count_kv"
        self.blocks, self.heads, self.kv_heads = (reader.fields[f"llama.{name}"].contents() for name in names)
        names = "rope.freq_base", "attention.layer_norm_rms_epsilon"
        self.base, self.epsilon = (reader.fields[f"llama.{name}"].contents() for name in names)

    def weight(self, name: str) -> tuple[np.ndarray, ...]:
        """Codes (N, K), scales and offsets (N, groups), and the real weight, in float64."""
        if name not in self.weights:
            tensor = self.tensors[f"{name}.weight"]
            codes, scale, offset = stored(tensor.tensor_type.name, tensor.data)
            real = np.repeat(scale, 32, axis=1) * codes + np.repeat(offset, 32, axis=1)
            theirs = gguf.quants.dequantize(tensor.data[:4], tensor.tensor_type)
            np.testing.assert_allclose(real[:4], theirs, rtol=1e-6, atol=1e-7)
            self.weights[name] = codes, scale.astype(np.float32), offset.astype(np.float32), real
        return self.weights[name]

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        codes, scale, offset, real = self.weight(name)
        if not self.quantized:
            return (x @ real.T).astype(np.float32)
        taken, scales = coded(x)
        total = None
        for group in range(scale.shape[1]):
            at = slice(32 * group, 32 * group + 32)
            # sums of integers, which are exact
            sums = (taken[:, at] @ codes[:, at].T).astype(np.float32) * scale[:, group]
            sums += taken[:, at].sum(axis=1, keepdims=True) * offset[:, group]
            sums *= scales[:, group, None].astype(np.float32)
            total = sums if total is None else total + sums
        assert total is not None
        return total

    def normal(self, name: str, x: np.ndarray) -> np.ndarray:
        mean = (x.astype(np.float64) ** 2).sum(axis=1, keepdims=True) / x.shape[1]
        return (x / (mean + self.epsilon) ** 0.5 * self.tensors[f"{name}.weight"].data).astype(np.float32)

    def turned(self, head: np.ndarray) -> np.ndarray:
        """A head (tokens, size) as complex numbers, each turned by its position."""
        tokens, size = head.shape
        numbers = head[:, 0::2] + 1j * head[:, 1::2].astype(np.float64)
        for i in range(size // 2):
            numbers[:, i] *= np.exp(1j * np.arange(tokens) * self.base ** (-2 * i / size))
        return numbers.astype(np.complex64).astype(np.complex128)

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
        return self.linear(f"{name}.attn_output", np.concatenate(found, axis=1).astype(np.float32))

    def logits(self, tokens: list[int]) -> np.ndarray:
        """Logits (tokens, vocabulary) after each token, all computed anew."""
        x = self.weight("token_embd")[-1][tokens].astype(np.float32)
        for block in range(self.blocks):
            name = f"blk.{block}"
            x = x + self.attention(name, self.normal(f"{name}.attn_norm", x))
            y = self.normal(f"{name}.ffn_norm", x)
            gate = self.linear(f"{name}.ffn_gate", y).astype(np.float64)
            y = gate / (1 + np.exp(-gate)) * self.linear(f"{name}.ffn_up", y)
            x = x + self.linear(f"{name}.ffn_down", y.astype(np.float32))
        return self.linear("token_embd", self.normal("output_norm", x))

    def greedy(self, tokens: list[int], count: int) -> list[int]:
        """The tokens that follow."""
        tokens = list(tokens)
        for _ in range(count):
            tokens.append(int(self.logits(tokens)[-1].argmax()))
        return tokens[len(tokens) - count :]


def stored(kind: str, data: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes (N, K), scales and offsets (N, groups) of the bytes of Q4_1 and Q8_0: ``d * q + m``, in float64."""
    n = len(data)
    blocks = data.reshape(n, -1, {"Q4_1": 20, "Q8_0": 34}[kind])
    scale = np.ascontiguousarray(blocks[:, :, :2]).view(np.float16)[:, :, 0].astype(np.float64)
    if kind == "Q8_0":
        return blocks[:, :, 2:].view(np.int8).reshape(n, -1).astype(np.float32), scale, np.zeros(scale.shape)
    offset = np.ascontiguousarray(blocks[:, :, 2:4]).view(np.float16)[:, :, 0].astype(np.float64)
    codes = np.concatenate([blocks[:, :, 4:] % 16, blocks[:, :, 4:] // 16], axis=2)
    return codes.reshape(n, -1).astype(np.float32), scale, offset
