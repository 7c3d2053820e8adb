"""Decoders out of GGUF files of the architecture ``llama``: what is not supported is refused."""

from pathlib import Path

import numpy as np

from macforge.model.decoder import Decoder, Shape
from macforge.model.files import model_path, open_model
from macforge.model.gguf import GGUFModel
from macforge.model.tokenizer import Vocabulary, vocabulary_of

__all__ = ["decoder_of", "open_decoder"]

# Keys of what is not supported, and the values that leave it out.
_DEFAULTS = {
    "rope.scaling.type": "none",
    "rope.scaling.factor": 1,
    "rope.scale_linear": 1,
    "expert_count": 0,
    "attention.scale": 0,
    "attention.sliding_window": 0,
    "logit_scale": 0,
    "residual_scale": 0,
    "embedding_scale": 0,
}


def open_decoder(given: str | Path) -> tuple[Decoder, Vocabulary]:
    """The decoder and the vocabulary of a file, or of a package, see `macforge.model.files.model_path`.

    Raises
    ------
    ValueError
        As `decoder_of` and `macforge.model.tokenizer.vocabulary_of`; or if it is another kind of file.
    """
    model = open_model(model_path(given))
    if not isinstance(model, GGUFModel):
        raise ValueError(f"Decoder must be a GGUF file of the architecture llama, not another file as {given}")
    return decoder_of(model), vocabulary_of(model)


def decoder_of(model: GGUFModel) -> Decoder:
    """The decoder of a file.

    Raises
    ------
    ValueError
        If it is of another architecture or asks for what is not supported; if a key or tensor is missing, or a tensor
        is of another shape or none of this architecture's.
    """
    shape = _shape(model)
    found = {layer.name: layer for layer in model.layers()}
    linear = {f"blk.{i}.{part}.weight": size for i in range(shape.blocks) for part, size in shape.linear.items()}
    linear["token_embd.weight"] = shape.hidden, shape.vocabulary
    if "output.weight" in found:
        linear["output.weight"] = shape.hidden, shape.vocabulary
    norms = [f"blk.{i}.{part}_norm.weight" for i in range(shape.blocks) for part in ("attn", "ffn")]
    norms.append("output_norm.weight")
    for name in model.tensors:
        if name not in linear and name not in norms:
            raise ValueError(f"Decoder must have the tensors of a plain llama alone, not {name}")
    for name, size in linear.items():
        if name not in found:
            raise ValueError(f"Decoder must have the tensor {name}, of a type that is read")
        if (given := (found[name].k, found[name].n)) != size:
            raise ValueError(f"Decoder must have {name} of {size[0]} x {size[1]}, not {given[0]} x {given[1]}")
    return Decoder(
        shape=shape,
        norms={name: _norm(model, name, shape.hidden) for name in norms},
        layers={name: found[name] for name in linear},
    )


def _shape(model: GGUFModel) -> Shape:
    architecture = model.value("general.architecture") if "general.architecture" in model.keys else "unknown"
    if architecture != "llama":
        raise ValueError(f"Decoder must be of the architecture llama, not {architecture}")
    for key, usual in _DEFAULTS.items():
        if f"llama.{key}" in model.keys and (given := model.value(f"llama.{key}")) != usual:
            raise ValueError(f"Decoder must leave {key} out or have {usual}, not {given}")
    heads, hidden = int(_key(model, "attention.head_count")), int(_key(model, "embedding_length"))
    # before their names are made, of which a damaged number may ask for billions
    if (blocks := int(_key(model, "block_count"))) > len(model.tensors):
        raise ValueError(f"Decoder must have the tensors of {blocks} blocks, not {len(model.tensors)} tensors in all")
    shape = Shape(
        blocks=blocks,
        hidden=hidden,
        inner=int(_key(model, "feed_forward_length")),
        vocabulary=_vocabulary(model),
        heads=heads,
        kv_heads=int(_key(model, "attention.head_count_kv", heads)),
        context=int(_key(model, "context_length")),
        rope_base=float(_key(model, "rope.freq_base", 10000.0)),
        epsilon=float(_key(model, "attention.layer_norm_rms_epsilon")),
    )
    if hidden % heads or heads % shape.kv_heads or shape.head_size % 2:
        raise ValueError(
            f"Decoder must have a hidden size that is an even multiple of the heads, and these a multiple of those of "
            f"keys, not {hidden}, {heads} and {shape.kv_heads}"
        )
    for key in ("rope.dimension_count", "attention.key_length", "attention.value_length"):
        if (size := _key(model, key, shape.head_size)) != shape.head_size:
            raise ValueError(f"Decoder must have {key} {shape.head_size} as wide as a head, not {size}")
    return shape


def _key(model: GGUFModel, key: str, default: float | None = None) -> float:
    """A number of the header."""
    if (name := f"llama.{key}") in model.keys:
        value = model.value(name)
        if not isinstance(value, int | float) or value <= 0:
            raise ValueError(f"Decoder must have a positive number for {name}, not {value}")
        return value
    if default is None:
        raise ValueError(f"Decoder must have the key {name}")
    return default


def _vocabulary(model: GGUFModel) -> int:
    """Rows of the embedding."""
    if "token_embd.weight" not in model.tensors:
        raise ValueError("Decoder must have the tensor token_embd.weight")
    return int(model.tensors["token_embd.weight"][-1])


def _norm(model: GGUFModel, name: str, size: int) -> np.ndarray:
    if model.tensors.get(name) != (size,) or (norm := model.tensor(name)).dtype.kind != "f":
        raise ValueError(f"Decoder must have the tensor {name}, of {size} floats")
    return norm.astype(np.float32)
