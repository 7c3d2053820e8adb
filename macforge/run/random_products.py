"""Products of random operands, for simulations."""

import dataclasses

import numpy as np

from macforge.compile.compiler import compile_layer
from macforge.design.design import Design
from macforge.run.job import job_of
from sw_ref.arith.float_sum import FloatSum
from sw_ref.engine.product import Product
from sw_ref.engine.spec import Mode
from sw_ref.formats.base import Format
from sw_ref.formats.nonfinite import nonfinite_pattern, zeroed
from tb.draw import draw_near

__all__ = ["random_products"]

_ROWS_OF_ANY_CODE = 0.2


def random_products(
    design: Design,
    random: np.random.Generator,
    *,
    m: int,
    n: int,
    k: int,
    finite: bool = False,
    extremes: bool = False,
) -> tuple[Product, ...]:
    """Random codes in each mode; where there is a drain edge, random numbers, quantized as the design does.

    Floats of any code add up to what is not finite. Where sums are floats, most are near each other, and some rows of
    activations are of any codes.
    Where there are codes that are not finite, a row and a column get one each, unless all are to be ``finite``. With
    ``extremes``, the first row of activations and column of weights hold the largest number, the last ones the
    smallest. The sizes, at least 1, are those of activations (m, k) and weights (k, n).
    """
    for name, size in (("M", m), ("N", n), ("K", k)):
        if size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")
    modes = design.pe.modes
    if design.edge:
        act, weight, bias = random.standard_t(5, (m, k)), random.normal(size=(k, n)), random.normal(size=n)
        bias = bias if design.drain.adds_bias else None
        if extremes:
            _put_extremes(act, np.array([act.max(), act.min()]), weight, np.array([weight.max(), weight.min()]))
        products = job_of(compile_layer(design, weight, bias, calibration=act), act).products
    else:
        products = []
        for index, mode in enumerate(modes):
            act, weight = _codes(random, mode.act, (m, k)), _codes(random, mode.weight, (k, n))
            if isinstance(design.sums, FloatSum):
                act, weight = _nearer(random, mode.act, act), draw_near(random, mode.weight, (k, n))
            if extremes:
                of_act, of_weight = (form.encode(np.array(form.bounds[::-1])) for form in (mode.act, mode.weight))
                _put_extremes(act, of_act, weight, of_weight)
            products.append(Product(act=act, weight=weight, mode=index))
    if finite:
        return tuple(products)
    return tuple(_with_nonfinite(product, modes[product.mode], random) for product in products)


def _put_extremes(act: np.ndarray, of_act: np.ndarray, weight: np.ndarray, of_weight: np.ndarray) -> None:
    """Overwrite the first and last row of activations, and column of weights, with the two extremes of each."""
    act[0], act[-1] = of_act
    weight[:, 0], weight[:, -1] = of_weight


def _codes(random: np.random.Generator, form: Format, shape: tuple[int, int]) -> np.ndarray:
    return zeroed(form, random.integers(0, 1 << form.bits, shape, np.uint32))


def _nearer(random: np.random.Generator, form: Format, codes: np.ndarray) -> np.ndarray:
    return np.where(random.random((len(codes), 1)) < _ROWS_OF_ANY_CODE, codes, draw_near(random, form, codes.shape))


def _with_nonfinite(product: Product, mode: Mode, random: np.random.Generator) -> Product:
    """One activation and one weight of the product become infinite or NaN, if their formats can say so."""
    act, weight = product.act.copy(), product.weight.copy()
    for form, codes in ((mode.act, act), (mode.weight, weight)):
        if pattern := nonfinite_pattern(form):
            codes[tuple(random.integers(0, codes.shape))] = pattern.value
    return dataclasses.replace(product, act=act, weight=weight)
