"""How many activations quantization makes 0, with scales of rows and with those of rows and columns together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from docs.tables import markdown_table
from macforge.measure.accuracy import SENTENCES
from macforge.measure.minilm import Layer, MiniLM, float_result
from macforge.measure.perplexity import opened, reading
from macforge.model.transformed import activations
from sw_ref.formats.base import Int
from sw_ref.quantize.uniform import Quantizer
from sw_ref.transform.channels import cross_quant, kernel_share

__all__ = ["MODELS", "Kernel", "Operands", "kernel_of", "kernel_table", "kernels"]

MODELS = ("all-MiniLM-L6-v2", "SmolLM2-135M-Instruct")
# Of activations, which the paper calls W8A8 and W4A4.
_BITS = (8, 4)
# Sentences whose activations are taken, as those of MiniLM's layers are in the other table.
_SENTENCES = 8


@dataclass(frozen=True, kw_only=True)
class Operands:
    """A layer's weight (K, N), activations that scales of columns follow from, and those that are quantized (M, K)."""

    weight: np.ndarray
    calibration: np.ndarray
    act: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Share of the elements other than 0 that become 0, mean over layers, with integers of so many bits."""

    model: str
    bits: int
    rows: float
    cross: float


def kernel_of(model: str, bits: int, layers: Iterable[Operands]) -> Kernel:
    """The kernel of some layers' activations: with a scale for each row, and with CrossQuant's."""
    quantizer = Quantizer(Int(bits), "symmetric", "channel")
    found = []
    for one in layers:
        # whatever its scale, an element is 0 if its quotient is
        quotients = one.act, cross_quant(one.weight, one.calibration).before(one.act)
        found.append([kernel_share(one.act, quantizer.quantize(each, k_axis=1).reals()) for each in quotients])
    rows, cross = np.mean(found, axis=0)
    return Kernel(model=model, bits=bits, rows=float(rows), cross=float(cross))


def kernels(tokens: int) -> list[Kernel]:
    """Of both models; of the decoder while so many tokens are read."""
    return [
        kernel_of(model, bits, operands)
        for model, operands in zip(MODELS, (list(_encoder()), list(_decoder(tokens))), strict=True)
        for bits in _BITS
    ]


def kernel_table(found: Iterable[Kernel]) -> str:
    """As a part of the page."""
    told = (
        "CrossQuant (2410.07505) explains what quantization of activations loses by its kernel, the elements that "
        "become 0, and says that scales of rows and columns together make it smaller. Share of the elements other than "
        "0 that become 0, mean over the linear layers; in SmolLM2 the columns' part of the scales is of the "
        "calibration, in MiniLM of the same activations."
    )
    head = ["model", "activations", "scales of rows, %", "rows and columns, %", "holds"]
    rows = [
        [one.model, f"int{one.bits}", f"{100 * one.rows:.2f}", f"{100 * one.cross:.2f}", _holds(one)] for one in found
    ]
    return f"{told}\n\n{markdown_table(head, rows).strip()}"


def _holds(one: Kernel) -> str:
    return "yes" if one.cross < one.rows else "no"


def _encoder() -> Iterator[Operands]:
    found: list[Operands] = []

    def compute(layer: Layer) -> np.ndarray:
        found.append(Operands(weight=layer.weight, calibration=layer.act, act=layer.act))
        return float_result(layer)

    MiniLM.load().hidden(SENTENCES[:_SENTENCES], compute)
    yield from found


def _decoder(tokens: int) -> Iterator[Operands]:
    decoder, (calibration, read) = opened()[0], reading(tokens)
    given, acts = activations(decoder, calibration), activations(decoder, [read[:-1]])
    for name, act in acts.items():
        weight = decoder.layers[name].dequantized().astype(np.float32)
        yield Operands(weight=weight, calibration=given[name], act=act)
