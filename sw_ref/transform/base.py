"""A linear layer in another form."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sw_ref.quantize.stored import Stored

__all__ = ["Reals", "Transform", "Transformed", "scaled"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Transformed:
    """A linear layer in another form, whose products are to be quantized.

    ::

        act @ weight  ~  sum(before(act) @ each for each in weights) + (act @ side[0]) @ side[1]

    Without quantization both are the same but for rounding in float32, and for what ``weights`` are already.

    Parameters
    ----------
    weights : tuple of float32 array or Stored (K', N)
        Each is quantized by itself, if it is not yet.
    before : callable
        What becomes of activations (M, K): float32 (M, K').
    side : pair of float32 array, optional
        (K, r) and (r, N), which stay floats.
    """

    weights: tuple[np.ndarray | Stored, ...]
    before: Callable[[np.ndarray], np.ndarray] = field(default=lambda act: act)
    side: tuple[np.ndarray, np.ndarray] | None = None

    def joined(self, products: list[np.ndarray], act: np.ndarray) -> np.ndarray:
        """The result of the layer, of the products of all weights, in float32."""
        total = products[0]
        for product in products[1:]:
            total = total + product
        return total if self.side is None else total + act @ self.side[0] @ self.side[1]


Reals = Callable[[np.ndarray], np.ndarray]
"""The real numbers that quantized weights (K, N) stand for."""

Transform = Callable[[np.ndarray, np.ndarray], Transformed]
"""From a weight (K, N) and activations (M, K) of the kind that will come to another form of the layer."""


def scaled(weight: np.ndarray, scale: np.ndarray) -> Transformed:
    """``act / scale`` and ``scale * weight``, with a scale for each k; where it is 0 or not finite, 1."""
    factor = np.where((scale > 0) & np.isfinite(scale), scale, 1).astype(np.float32)
    return Transformed(weights=(weight * factor[:, np.newaxis],), before=lambda act: act / factor)
