"""What the columns of two small models' weights lose, by which some get more bits over all layers."""

import numpy as np
from threadpoolctl import threadpool_limits

from macforge.compile.weights import check_two_precisions
from macforge.design.design import Design
from macforge.measure.accuracy import SENTENCES
from macforge.measure.minilm import Layer, MiniLM, float_result
from macforge.measure.perplexity import opened, reading
from macforge.model.columns import ColumnLosses, column_losses, of_layer

__all__ = ["decoder_losses", "encoder_losses"]


def decoder_losses(design: Design, *, texts: int = 8) -> dict[str, ColumnLosses]:
    """What each column adds to the loss of SmolLM2-135M-Instruct, see `macforge.model.columns.column_losses`.

    Parameters
    ----------
    design : Design
        With two precisions of columns of weights.
    texts : int
        How many of the texts that calibrate `macforge.measure.perplexity.perplexity`.
    """
    return column_losses(opened()[0], reading(1)[0][:texts], design.target)


# the order of these sums also depends on how many threads share them
@threadpool_limits.wrap(limits=1)
def encoder_losses(design: Design, *, sentences: int = 8) -> dict[str, ColumnLosses]:
    """What each column adds to its layer's squared relative error, with the activations of the float model.

    ``sum(error[:, n]**2) / sum(result**2)``, with biases in the results: an encoder has no loss of a text whose change
    a column could be held responsible for, as `macforge.model.columns.column_losses` does for a decoder.

    Parameters
    ----------
    design : Design
        With two precisions of columns of weights.
    sentences : int
        How many of `macforge.measure.accuracy.SENTENCES` give the activations.
    """
    check_two_precisions(design.target)
    model, found = MiniLM.load(), dict[str, ColumnLosses]()

    def compute(layer: Layer) -> np.ndarray:
        result = float_result(layer)
        whole = np.square(result, dtype=np.float64).sum()

        def losses(delta: np.ndarray) -> np.ndarray:
            return np.square(layer.act @ delta, dtype=np.float64).sum(axis=0) / whole

        found[layer.name] = of_layer(design.target, layer.weight, losses)
        return result

    model.hidden(SENTENCES[:sentences], compute)
    return found
