"""Small designs and the products that their benches run."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from dataflow.engine.job import SIZE_BITS
from macforge.compile.compiler import compile_layer
from macforge.design.design import Design
from macforge.run.job import job_of
from macforge.run.random_products import random_products
from sw_ref.engine.product import Product
from tb.parameters import random_parameters
from tb.sizes import ragged, sizes

__all__ = ["control_products", "drain_products", "extreme_products", "small"]

_CELLS = 2
_PANEL_ROWS, _DEPTH = 4, 40


def small(design: Design) -> Design:
    """The design with few cells, short panels, and no deeper than two groups: counters then come to their ends."""
    tiling = design.tiling
    depth = min(tiling.max_k, max(2 * tiling.group_size, _DEPTH))
    tiling = dataclasses.replace(tiling, panel_rows=min(tiling.panel_rows, _PANEL_ROWS), max_k=depth)
    return dataclasses.replace(design, tiling=tiling).resized(_CELLS)


def extreme_products(design: Design, random: np.random.Generator, *, m: int, n: int, k: int) -> tuple[Product, ...]:
    """Zeros in a row, a column and a group, and what is small times what is large."""
    act, weight = random.standard_t(5, (m, k)) * 1e-25, random.normal(size=(k, n)) * 1e20
    act[0], weight[:, 1] = 0, 0
    act[:, : k // 2] *= act[:, : k // 2] > 0
    weight[: k // 2, 2] = 0
    return tuple(job_of(compile_layer(design, weight, calibration=act), act).products)


def drain_products(design: Design) -> list[Product]:
    """Random operands and extreme ones, without stalls and with them."""
    random = np.random.default_rng(0)
    size = ragged(design.engine.spec)
    products = []
    for any_code in (None, 0.0, 0.1, 0.5):
        drawn = [*random_products(design, random, **size), *extreme_products(design, random, **size)]
        if any_code is not None:
            drawn = [_with_random_parameters(design, product, random, any_code) for product in drawn]
        products += drawn
    return [*products, *(product.under(0.3) for product in products)]


def _with_random_parameters(design: Design, product: Product, random: np.random.Generator, any_code: float) -> Product:
    """With scales, zero points and biases of all signs and sizes, which what a layer comes with is not."""
    engine = design.engine
    if engine.drain is None:
        return product
    schedule = product.schedule(engine.spec)
    parameters = random_parameters(engine, random, sums=schedule.sums, m=schedule.m, n=schedule.n, any_code=any_code)
    return dataclasses.replace(product, parameters=parameters)


def control_products(design: Design) -> list[Product]:
    """Every size around tiles, panels and groups, without stalls and with few and many, and given up at any time.

    At the end the most rows and columns that a command can ask for, which run through every bit of the counters.
    """
    return list(_control_products(design, np.random.default_rng(1)))


def _control_products(design: Design, random: np.random.Generator) -> Iterator[Product]:
    chosen = sizes(design.engine.spec)
    for size in chosen:
        yield from _products(design, random, size)
    for stalls in (0.1, 0.5, 0.9):
        for index, size in enumerate(chosen):
            for product in _products(design, random, size):
                yield dataclasses.replace(product.under(stalls), abandon_after=7 * index + 3)
            yield from (product.under(stalls) for product in _products(design, random, size))
    most = (1 << SIZE_BITS) - 1
    for size in ((1, most, 1), (most, 1, 1), (design.engine.panel_rows + 1, most >> 4, 1)):
        yield from _products(design, random, size)[:1]


def _products(design: Design, random: np.random.Generator, size: tuple[int, int, int]) -> tuple[Product, ...]:
    """Of a size, each as the design's tiling says and in a number of passes and groups of K of any length."""
    m, n, k = size
    products = random_products(design, random, m=m, n=n, k=k)
    return (*products, *(_in_groups(design, product, random) for product in products))


def _in_groups(design: Design, product: Product, random: np.random.Generator) -> Product:
    """The product as a command may ask for it; as it is if the engine does not take it so."""
    engine = design.engine
    group = random.integers(1, product.act.shape[1], endpoint=True)
    planes = np.repeat(product.planes, random.integers(1, design.tiling.max_passes, endpoint=True), axis=0)
    found = dataclasses.replace(product, group=int(group), weight=planes[: design.tiling.max_passes])
    try:
        found.schedule(engine.spec)
    except ValueError:
        return product
    return _with_random_parameters(design, found, random, 0.0)
