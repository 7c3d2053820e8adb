"""Small decoders of the architecture llama in GGUF, with random weights and a vocabulary of bytes."""

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

__all__ = ["BYTES", "HEADER", "WORDS", "write_decoder"]

HEADER: dict[str, object] = {
    "block_count": 2,
    "context_length": 64,
    "embedding_length": 64,
    "feed_forward_length": 96,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "rope.freq_base": 100.0,
    "attention.layer_norm_rms_epsilon": 1e-5,
}
MARKS = ["<|start|>", "<|end|>"]
MERGES = ["a b", "ab c", "Ġ a"]
TEMPLATE = "{% for m in messages %}<|start|>{{ m['role'] }}: {{ m['content'] }}<|end|>{% endfor %}<|start|>"
_SHAPES = {
    "attn_q": (64, 64),
    "attn_k": (64, 32),
    "attn_v": (64, 32),
    "attn_output": (64, 64),
    "ffn_gate": (64, 96),
    "ffn_up": (64, 96),
    "ffn_down": (96, 64),
}


def _bytes() -> list[str]:
    """GPT-2's letters for all bytes: those that can be shown stand for themselves, the others come from 256 on."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [each for each in range(256) if each not in shown]
    return [chr(256 + others.index(each)) if each in others else chr(each) for each in range(256)]


# Tokens: two marks, all bytes, and what merges make.
BYTES = _bytes()
WORDS = [*MARKS, *BYTES, "ab", "abc", "Ġa"]
TENSORS: dict[str, tuple[str, int, int]] = {
    "token_embd.weight": ("Q8_0", 64, len(WORDS)),
    **{f"blk.{i}.{part}.weight": ("Q4_1", *size) for i in range(2) for part, size in _SHAPES.items()},
    **{f"blk.{i}.{part}_norm.weight": ("F32", 64, 1) for i in range(2) for part in ("attn", "ffn")},
    "output_norm.weight": ("F32", 64, 1),
}


def write_decoder(
    path: Path,
    *,
    header: Mapping[str, object | None] | None = None,
    tensors: Mapping[str, tuple[str, int, int] | None] | None = None,
    tokenizer: Mapping[str, object | None] | None = None,
    architecture: str = "llama",
) -> Path:
    """A decoder with other keys or tensors than those above; None leaves one out."""
    writer = gguf.GGUFWriter(str(path), architecture)
    words = {
        "ggml.model": "gpt2",
        "ggml.pre": "smollm",
        "ggml.tokens": WORDS,
        "ggml.merges": MERGES,
        "ggml.token_type": [3, 3, *[1] * (len(WORDS) - 2)],
        "ggml.eos_token_id": 1,
        "chat_template": TEMPLATE,
    }
    _add(writer, "llama.", {**HEADER, **(header or {})})
    _add(writer, "tokenizer.", {**words, **(tokenizer or {})})
    random = np.random.default_rng(5)
    for name, found in {**TENSORS, **(tensors or {})}.items():
        if found is None:
            continue
        kind, k, n = found
        if kind == "F32":
            writer.add_tensor(name, random.uniform(0.5, 1.5, k if n == 1 else (n, k)).astype(np.float32))
            continue
        # of an embedding no smaller than of layers, so that tokens differ
        weight = random.normal(size=(n, k)).astype(np.float32) / (1 if "embd" in name else 8)
        kind = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: gguf.GGUFWriter, prefix: str, values: Mapping[str, object | None]) -> None:
    adders = {str: writer.add_string, bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32}
    for key, value in values.items():
        if isinstance(value, list):
            writer.add_array(prefix + key, value)
        elif value is not None:
            adders[type(value)](prefix + key, value)
