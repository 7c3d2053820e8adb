"""What the layers of a decoder lose on designs, with the activations that a text gives them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from macforge.model.compiled import compile_stored_layer
from macforge.model.decoder import Decoder, Dequantized
from macforge.model.layer import StoredLayer
from macforge.run.executor import run_program

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = ["layer_losses"]


# products of groups are small, and threads that wait for each other take longer
@threadpool_limits.wrap(limits=1)
def layer_losses(decoder: Decoder, tokens: Sequence[int], designs: "Sequence[Design]") -> dict[str, dict[str, float]]:
    """``|result - exact|**2 / |exact|**2`` of each layer on each design that can have it, over the tokens of a text.

    The activations are those of the dequantized file in float32, whatever the layers before lose. A design that does
    not take a layer as it is stored has it re-quantized.

    Returns
    -------
    dict of str to dict of str to float
        By the names of layers, in the order of computation, and then of designs.
    """
    exact, found = Dequantized(), dict[str, dict[str, float]]()

    def compute(layer: StoredLayer, act: np.ndarray) -> np.ndarray:
        wanted = exact(layer, act)
        found[layer.name] = {}
        for design in designs:
            try:
                program, _ = compile_stored_layer(design, layer, calibration=act, requantize=True)
            except ValueError:
                # such as a K beyond the design's
                continue
            lost = run_program(program, act, engine="ref").product.astype(np.float64) - wanted
            found[layer.name][design.name] = float(np.square(lost).sum() / np.square(wanted, dtype=np.float64).sum())
        return wanted

    states = decoder.hidden(tokens, decoder.start(), compute)
    decoder.logits(states[-1:], compute)
    return found
