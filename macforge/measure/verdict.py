"""Whether the hardware of a design computes a layer as its model does: simulated once, and kept."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from macforge.design.design import Design
from macforge.provenance import cached_figures, substance
from sw_ref.engine.product import Product
from tb.engine import simulate_engine

__all__ = ["verdict"]


def verdict(design: Design, operands: Sequence[np.ndarray | None], products: Sequence[Product]) -> dict[str, Any]:
    """What the simulator says of a design's hardware, given a layer.

    Parameters
    ----------
    design : Design
    operands : sequence of ndarray
        Real activations (M, K) and weights (K, N), and the bias (N,) or None.
    products : sequence of Product
        What `macforge.run.job.job_of` makes of these.

    Returns
    -------
    dict
        ``failure``: what differs from the model, or None; ``cycles`` that all products took, or None if some did not
        come to their end.
    """

    def simulated() -> dict[str, Any]:
        outcome, done = simulate_engine(design.engine, products)
        return {"failure": outcome.failure, "cycles": sum(one.cycles for one in done) if done else None}

    return cached_figures("verdict", substance(design.to_table()), *operands, compute=simulated)
