"""What the layers of a decoder lose and take on designs, with the activations that a text gives them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from macforge.compile.cost import cost
from macforge.model.compiled import compile_stored_layer
from macforge.model.cost import check_bus
from macforge.model.decoder import Decoder, Dequantized
from macforge.model.layer import StoredLayer
from macforge.model.tune import Option
from macforge.run.executor import run_program

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = ["layer_options"]


# products of groups are small, and threads that wait for each other take longer
@threadpool_limits.wrap(limits=1)
def layer_options(
    decoder: Decoder, tokens: Sequence[int], designs: "Sequence[Design]", *, rows: int
) -> dict[str, list[Option]]:
    """What each layer may go to: all designs that can have it, as it is stored or else re-quantized.

    The loss is ``|result - exact|**2 / |exact|**2`` over the tokens of a text. The activations are those of the
    dequantized file in float32, whatever the layers before lose. Cycles and bytes are of so many rows of activations,
    and of one for the head.

    Returns
    -------
    dict of str to list of Option
        By the names of layers, in the order of computation.

    Raises
    ------
    ValueError
        As `macforge.model.cost.check_bus`.
    """
    check_bus(designs)
    exact, found = Dequantized(), dict[str, list[Option]]()

    def compute(layer: StoredLayer, act: np.ndarray) -> np.ndarray:
        wanted = exact(layer, act)
        count = 1 if layer.name == decoder.head.name else rows
        options = (_option(design, layer, act, wanted, count) for design in designs)
        found[layer.name] = [option for option in options if option]
        return wanted

    states = decoder.hidden(tokens, decoder.start(), compute)
    decoder.logits(states[-1:], compute)
    return found


def _option(design: "Design", layer: StoredLayer, act: np.ndarray, wanted: np.ndarray, rows: int) -> Option | None:
    """A layer on a design; None if the design cannot have it, such as for a K beyond its own."""
    try:
        program, reason = compile_stored_layer(design, layer, calibration=act, requantize=True)
    except ValueError:
        return None
    lost = run_program(program, act, engine="ref").product.astype(np.float64) - wanted
    costs = cost(program, rows)
    return Option(
        design=design.name,
        loss=float(np.square(lost).sum() / np.square(wanted, dtype=np.float64).sum()),
        costs={"cycles": costs.bound_cycles, "bytes": costs.bytes},
        is_requantized=reason is not None,
    )
