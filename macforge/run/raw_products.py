"""Products of codes that no quantizer has made: of any distribution, with any parameters of the drain edge."""

import dataclasses

import numpy as np

from macforge.design.design import Design
from macforge.run.distributions import DISTRIBUTIONS, CodesOf
from sw_ref.drain.step import Parameter
from sw_ref.engine.product import Product, expected_results
from sw_ref.engine.spec import EngineSpec
from sw_ref.fields import one_of
from sw_ref.formats.base import Format, Int
from sw_ref.formats.minifloat import Float
from sw_ref.formats.nonfinite import zeroed
from sw_ref.groups import group_slices
from sw_ref.interval import Interval
from tb.draw import draw

__all__ = ["raw_products"]


def raw_products(
    design: Design, random: np.random.Generator, *, m: int, n: int, k: int, act: str, weight: str
) -> tuple[Product, ...]:
    """A product in each mode, of as many passes and as long groups as chance has it.

    Parameters of the drain edge are random as well, small and large; but small, or 0, where a sum with them is one that
    the drain edge's accumulator refuses.

    Parameters
    ----------
    design : Design
    random : Generator
    m, n, k : int
        Sizes, at least 1; K of a mode is less where the engine has no room for it.
    act, weight : str
        Keys of `macforge.run.distributions.DISTRIBUTIONS`.
    """
    for side, name in (("act", act), ("weight", weight)):
        one_of(f"Distribution of {side}", name, DISTRIBUTIONS)
    spec = design.engine.spec
    found = []
    for index, mode in enumerate(spec.modes):
        depth = min(k, spec.max_k * mode.lanes // spec.lanes)
        passes = int(random.integers(1, spec.max_passes, endpoint=True))
        codes = _codes(random, mode.act, act, (m, depth))
        planes = np.stack([_codes(random, mode.weight, weight, (depth, n)) for _ in range(passes)])
        product = Product(act=codes, weight=planes, group=_group(spec, random, depth, index, passes), mode=index)
        found.append(_with_parameters(spec, product, random))
    return tuple(found)


def _codes(random: np.random.Generator, form: Format, distribution: str, shape: tuple[int, int]) -> np.ndarray:
    return DISTRIBUTIONS[distribution](CodesOf(form), random, shape)


def _group(spec: EngineSpec, random: np.random.Generator, k: int, mode: int, passes: int) -> int:
    """Products of a sum that a command can ask for; 0 for what the tiling says."""
    group = int(random.integers(1, k, endpoint=True))
    product = Product(act=np.zeros((1, k), int), weight=np.zeros((passes, k, 1), int), group=group, mode=mode)
    try:
        product.schedule(spec)
    except ValueError:
        return 0
    return group


def _with_parameters(spec: EngineSpec, product: Product, random: np.random.Generator) -> Product:
    if spec.drain is None:
        return product
    for most in (1 << 53, 1 << 8, 0):
        given = {each.name: _parameter(spec, each, product, random, most) for each in spec.drain.parameters}
        product = dataclasses.replace(product, parameters=given)
        try:
            expected_results(spec, product)
        except ValueError:
            # the accumulator refuses a sum
            continue
        return product
    raise ValueError("Drain edge must take parameters that are 0, and does not")


def _parameter(
    spec: EngineSpec, parameter: Parameter, product: Product, random: np.random.Generator, most: int
) -> np.ndarray:
    """Random values, integers of a size of ``most`` at most; half of them are as near to 0 as can be."""
    schedule = product.schedule(spec)
    if parameter.form is None:
        return _column_sums(spec, product)
    shape = {"column": (schedule.sums, schedule.n), "row": (schedule.sums, schedule.m), "output": (schedule.n,)}
    whole = (parameter.terms,) * (parameter.terms > 1) + shape[parameter.kind]
    if isinstance(parameter.form, Int):
        held = parameter.form.interval
        least = max(held.lo, -most) if parameter.least is None else parameter.least
        reach = Interval(least, max(least, min(held.hi, most)))
        ends = random.choice(np.array([reach.lo, reach.hi]), whole)
        values = np.where(random.random(whole) < 0.3, ends, draw(random, reach, whole))
        return np.where(random.random(whole) < 0.5, values, max(least, 0))
    if isinstance(parameter.form, Float):
        return _float_codes(parameter.form, random, whole)
    return random.integers(0, 1 << parameter.form.bits, whole)


def _float_codes(form: Float, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Finite codes, most of a size near 1, and some of any size: what is too large for the edge becomes infinite."""
    exponents = random.normal(scale=4, size=shape)
    spread = np.log2(form.bounds[1])
    far = random.uniform(-spread, spread, shape)
    sizes = 2.0 ** np.where(random.random(shape) < 0.2, far, exponents)
    ends = random.choice([0.0, *form.bounds, 2.0**-spread], shape)
    values = np.where(random.random(shape) < 0.1, ends, sizes * random.choice([-1.0, 1.0], shape))
    return form.encode(values if form.bounds[0] < 0 else np.abs(values))


def _column_sums(spec: EngineSpec, product: Product) -> np.ndarray:
    """Of each pass and group, the sum of each column's weights (sums, N)."""
    form = spec.modes[product.mode].weight
    integers = form.to_fixed(zeroed(form, product.planes))
    groups = group_slices(integers.shape[1], product.schedule(spec).group)
    return np.stack([plane[k].sum(axis=0) for plane in integers for k in groups])
