"""A decoder whose linear layers are transformed and quantized again for a design."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from macforge.model.compiled import compile_stored_layer
from macforge.model.decoder import Decoder, Dequantized
from macforge.model.fit import fit
from macforge.model.layer import StoredLayer
from macforge.run.transformed import TransformedLayer, compile_transformed, find_transform
from sw_ref.transform.base import Transformed

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = ["Requantized", "activations"]


def activations(decoder: Decoder, texts: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """What the linear layers of all blocks are given (M, K) while texts are read in floats, by their names.

    Each text is read by itself, and its rows follow those of the one before. Layers that are given the same share one
    array.
    """
    exact, found = Dequantized(), dict[str, list[np.ndarray]]()

    def compute(layer: StoredLayer, act: np.ndarray) -> np.ndarray:
        found.setdefault(layer.name, []).append(act)
        return exact(layer, act)

    for text in texts:
        decoder.hidden(text, decoder.start(), compute)
    joined: dict[int, np.ndarray] = {}
    for parts in found.values():
        if id(parts[0]) not in joined:
            joined[id(parts[0])] = np.concatenate(parts)
    return {name: joined[id(parts[0])] for name, parts in found.items()}


class Requantized:
    """Linear layers of all blocks on one design, from the real numbers of the file; the head stays in floats.

    Parameters
    ----------
    design : Design
        There is room made for longer sums, if layers need it.
    calibration : mapping of str to array (M, K)
        As `activations` gives it.
    transform : str
        See `macforge.run.transformed.find_transform`; empty for none.
    keep_stored : bool
        Whether layers that the design takes as they are stored stay so; not with a transform.
    wide : mapping of str to bool array (N,), optional
        By the names of layers: columns that get more bits, see `macforge.compile.compiler.compile_layer`.

    Attributes
    ----------
    requantized : int
        Layers that have been quantized again so far.
    """

    def __init__(
        self,
        design: "Design",
        calibration: Mapping[str, np.ndarray],
        *,
        transform: str = "",
        keep_stored: bool = False,
        wide: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        if transform and keep_stored:
            raise ValueError("Layers that are transformed must be quantized again")
        self._design = design.with_depth(max(act.shape[1] for act in calibration.values()))
        self._calibration = calibration
        self._transform = transform
        self._layers: dict[str, TransformedLayer] = {}
        self._keep_stored = keep_stored
        self._wide = wide or {}
        self._exact = Dequantized()
        self.requantized = 0

    def __call__(self, layer: StoredLayer, act: np.ndarray) -> np.ndarray:
        """The product (M, N), as the model of the design's hardware computes it."""
        if layer.name not in self._calibration:
            return self._exact(layer, act)
        if layer.name not in self._layers:
            self._layers[layer.name] = self._compiled(layer)
        return self._layers[layer.name].product(act)

    def _compiled(self, layer: StoredLayer) -> TransformedLayer:
        if self._keep_stored and fit(self._design.target, layer) is None:
            program, _reason = compile_stored_layer(self._design, layer, calibration=self._calibration[layer.name])
            return TransformedLayer(form=Transformed(weights=(layer.stored(),)), programs=(program,))
        self.requantized += 1
        transform = find_transform(self._transform, self._design.target)
        calibration, wide = self._calibration[layer.name], self._wide.get(layer.name)
        return compile_transformed(self._design, layer.dequantized(), calibration, transform, wide=wide)
