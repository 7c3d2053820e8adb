"""Weights split by how large they are."""

import numpy as np

from sw_ref.transform.base import Transformed

__all__ = ["split_weights"]

_PARTS, _ROUNDS = 3, 20


def split_weights(weight: np.ndarray, act: np.ndarray) -> Transformed:
    """Three weights whose sum is the weight: its low, middle and high ones, each with 0 in place of the others.

    Which is which is told by k-means in one dimension over all weights, started from the quantiles 1/6, 1/2 and 5/6.
    Each part has scales of its own, of a smaller range; the layer takes three products.

    Source: Song and Lin, SplitQuant, arXiv 2501.12428; its split of activations is left out.
    """
    values = np.sort(weight.astype(np.float64), axis=None)
    centres = np.quantile(values, (np.arange(_PARTS) + 0.5) / _PARTS)
    for _round in range(_ROUNDS):
        cuts = np.searchsorted(values, (centres[1:] + centres[:-1]) / 2)
        parts = np.split(values, cuts)
        centres = np.array([part.mean() if part.size else old for part, old in zip(parts, centres, strict=True)])
    part_of = np.searchsorted((centres[1:] + centres[:-1]) / 2, weight)
    return Transformed(weights=tuple(np.where(part_of == part, weight, 0) for part in range(_PARTS)))
