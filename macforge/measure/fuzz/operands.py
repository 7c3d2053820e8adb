"""Operands of a design on trial: real numbers as it quantizes them, and codes of every distribution."""

from collections.abc import Sequence

import numpy as np

from macforge.design.design import Design
from macforge.run.distributions import DISTRIBUTIONS
from macforge.run.random_products import random_products
from macforge.run.raw_products import raw_products
from sw_ref.engine.product import Product

__all__ = ["products_of"]

# Pairs of distributions in a trial, besides the uniform ones.
_PAIRS = 3


def products_of(design: Design, random: np.random.Generator) -> list[Product]:
    """Products of sizes around the design's tiles, one quantized, the others of codes that are drawn.

    Operands that a quantizer refuses are left out.
    """
    spec = design.engine.spec
    sizes = [_sizes(random, spec.panel_rows, spec.cols, spec.max_k) for _ in range(1 + _PAIRS)]
    found: list[Product] = []
    m, n, k = sizes[0]
    try:
        found += random_products(design, random, m=m, n=n, k=min(k, _most(design)), extremes=True)
    except ValueError as error:
        # of the quantizer's, in one line as any
        if "\n" in str(error):
            raise RuntimeError(f"Refusal of operands must be one line, not {error}") from error
    pairs = [("uniform", "uniform"), *(_pair(random, list(DISTRIBUTIONS)) for _ in range(_PAIRS))]
    for (act, weight), (m, n, k) in zip(pairs, sizes, strict=True):
        found += raw_products(design, random, m=m, n=n, k=k, act=act, weight=weight)
    return found


def _most(design: Design) -> int:
    """K that all modes have room for."""
    return max(1, min(design.tiling.max_k * mode.lanes // design.pe.lanes for mode in design.pe.modes))


def _pair(random: np.random.Generator, names: Sequence[str]) -> tuple[str, str]:
    act, weight = random.choice(np.array(names), 2)
    return str(act), str(weight)


def _sizes(random: np.random.Generator, rows: int, cols: int, depth: int) -> tuple[int, int, int]:
    """M, N and K: the edges of a tile, or anything up to a little more than two."""
    m, n = (_one_of(random, 1, side, side + 1, random.integers(1, 2 * side + 2)) for side in (rows, cols))
    return m, n, _one_of(random, 1, depth, random.integers(1, depth, endpoint=True))


def _one_of(random: np.random.Generator, *sizes: int | np.int64) -> int:
    return int(random.choice(np.array(sizes)))
