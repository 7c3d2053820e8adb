"""Any operands through the model of every named design: the product within what its formats lose, or one clear line."""

import os
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from macforge.design.named import design_names
from macforge.run.product import matmul
from pe import FAMILIES
from sw_ref.drain.steps.requantize import Requantize
from tests.macforge.coarseness import coarseness, rounding
from tests.quick import named
from tests.typed import present

DESIGNS = {name: named(name).resized(2) for name in design_names()}
EXAMPLES = int(os.environ.get("MACFORGE_EXAMPLES", "40"))
"""For each family of processing elements; 2,000 take a quarter of an hour."""

# something else to pyright, since iterating over HealthCheck has no annotation
CHECKS: Any = list(HealthCheck)
PROPERTY = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=CHECKS)
FLOATS = [np.dtype(order + kind) for kind in ("f2", "f4", "f8", "g") for order in "<>"]
INTEGERS = [np.dtype(order + kind + size) for kind in "iu" for size in "1248" for order in "<>"]
REFUSALS = (
    r"product\[\d+, \d+\] must be a float32, which 10\*\*-?[\d.]+ is not: scale act or weight",
    r"(act\[\d+\]|weight\[:, \d+\]) must not vanish in float32 beside .*",
    r"Drain \w+ must hold .* which lie too far apart for .*",
    r"Drain arithmetic must hold results of .*",
    r"Accumulator shape must hold sums of .*",
)
KINDS = ("normal", "negative", "constant", "signs", "sparse", "zero", "rows", "columns")


def family_designs(family):
    return [name for name, design in DESIGNS.items() if design.family == family]


def matrix(kind, shape, random):
    """Reals of about 1."""
    x = random.normal(size=shape)
    match kind:
        case "negative":
            return -np.abs(x)
        case "constant":
            return np.full(shape, x[0, 0])
        case "signs":
            return np.sign(x)
        case "sparse":
            return np.where(random.random(shape) < 0.7, 0.0, x)
        case "zero":
            return np.zeros(shape)
        case "rows":
            return x * 10.0 ** random.uniform(-3, 3, (shape[0], 1))
        case "columns":
            return x * 10.0 ** random.uniform(-3, 3, (1, shape[1]))
    return x


def laid_out(x, layout):
    """The same matrix in another order of memory."""
    if layout == "strided":
        return np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3]
    return np.asarray(x, order=layout)


@st.composite
def sizes(draw, design):
    group = design.tiling.group_size or 16
    k = draw(st.sampled_from([1, 2, 5, group - 1, group, group + 1, 2 * group]))
    digits = design.quantizer.act.method == "mixed" or design.act_quantizer.format != design.pe.act
    if digits or design.quantizer.weight.axis == "group":
        # digits along K take whole groups
        k = k if k <= group else 2 * group
    return draw(st.integers(1, 3)), k, draw(st.integers(1, 3))


@st.composite
def reals(draw, shape):
    """Floats of any dtype, layout, magnitude and kind, with a row or a column of zeros or not."""
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    x = matrix(draw(st.sampled_from(KINDS)), shape, random)
    zeros = draw(st.sampled_from([None, 0, 1]))
    if zeros is not None:
        np.moveaxis(x, zeros, 0)[random.integers(shape[zeros])] = 0
    dtype = draw(st.sampled_from(FLOATS))
    half = dtype.itemsize == 2
    x = x * 10.0 ** draw(st.floats(-2, 2) if half else st.floats(-30, 30))
    x = (np.clip(x, -65504, 65504) if half else x).astype(dtype)
    return laid_out(x, draw(st.sampled_from(["C", "F", "strided"])))


@st.composite
def real_products(draw, family):
    name = draw(st.sampled_from(family_designs(family)))
    m, k, n = draw(sizes(DESIGNS[name]))
    return name, draw(reals((m, k))), draw(reals((k, n)))


def bound(design, act, weight):
    """What the quantizers and floats of a design may lose of ``act @ weight`` (M, N)."""
    depth = act.shape[1]
    a, w = np.linalg.norm(act, axis=1)[:, None], np.linalg.norm(weight, axis=0)
    a_most, w_most = (np.abs(x).max(axis=axis, keepdims=True) for x, axis in ((act, 1), (weight, 0)))
    if design.quantizer.act.granularity == "tensor":
        a_most = np.full_like(a_most, a_most.max())
    # a block's scale may be too small beside the tensor's largest
    a_most, w_most = (most + 2.0**-12 * most.max() for most in (a_most, w_most))
    a_lost, w_lost = (
        np.sqrt(depth) * coarseness(design, side) * most for side, most in (("act", a_most), ("weight", w_most))
    )
    lost = a * w_lost + a_lost * (w + w_lost) + rounding(design) * (a + a_lost) * (w + w_lost)
    if design.edge and design.edge.find(Requantize):
        most = np.abs(act @ weight).max()
        # half a step of the results, and what is clipped since the largest was thought to be smaller
        lost = lost + lost.max() + most / design.edge.find(Requantize).requantize.interval.hi
    return lost


def refused(error, act, weight):
    """Whether operands may be refused by this message: some lie too far apart, or the product leaves float32."""
    if not any(re.fullmatch(message, str(error)) for message in REFUSALS):
        return False
    with np.errstate(divide="ignore"):
        logs = np.log2(np.concatenate([np.abs(act).max(axis=1), np.abs(weight).max(axis=0)]))
    product = np.abs(act) @ np.abs(weight)
    most, least = product.max(), product[product > 0].min(initial=np.inf)
    return np.ptp(logs[np.isfinite(logs)]) > 12 or most > 1e37 or least < 1e-37


@pytest.mark.parametrize("family", FAMILIES)
def test_product_of_reals_is_within_what_formats_lose(family):
    @PROPERTY
    @given(real_products(family))
    def holds(drawn):
        name, act, weight = drawn
        exact_act, exact_weight = (x.astype(np.float64) for x in (act, weight))
        try:
            product = matmul(DESIGNS[name], act, weight, engine="ref").product
        except ValueError as error:
            assert refused(error, exact_act, exact_weight), error
            return
        assert product.dtype == np.float32 and np.isfinite(product).all()
        error = np.abs(product - exact_act @ exact_weight)
        assert (error <= bound(DESIGNS[name], exact_act, exact_weight) + 1e-44).all()

    holds()


@st.composite
def integer_products(draw, family):
    name = draw(st.sampled_from(family_designs(family)))
    design = DESIGNS[name]
    m, k, n = draw(sizes(design))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    operands = []
    for side, shape in (("act", (m, k)), ("weight", (k, n))):
        dtype = draw(st.sampled_from(INTEGERS))
        form = getattr(design, f"{side}_quantizer").format
        lo, hi = (int(max(min(bound, 127), -128)) for bound in form.bounds)
        values = np.arange(lo, hi + 1)
        # most that the format has, and some that it has not
        held = values[form.holds(values)]
        values = held if draw(st.booleans()) and len(held) else values
        values = values[(values >= 0) | (dtype.kind == "i")]
        x = random.choice([*values, 1], shape)
        operands.append(laid_out(x.astype(dtype), draw(st.sampled_from(["C", "F", "strided"]))))
    return name, *operands


@pytest.mark.parametrize("family", FAMILIES)
def test_integers_are_the_values_themselves_or_refused(family):
    @PROPERTY
    @given(integer_products(family))
    def holds(drawn):
        name, act, weight = drawn
        design = DESIGNS[name]
        exact = act.astype(np.int64) @ weight.astype(np.int64)
        try:
            product = matmul(design, act, weight, engine="ref").product
        except ValueError as error:
            assert re.match(r"(act|weight)\[\d+, \d+\] is -?\d+, ", str(error)), error
            for side, x in (("act", act), ("weight", weight)):
                uniform = getattr(design.quantizer, side).method == "uniform"
                if str(error).startswith(side) and uniform:
                    assert not getattr(design, f"{side}_quantizer").format.holds(x.astype(np.int64)).all()
            return
        if not design.edge and design.accumulator.kind == "exact":
            np.testing.assert_array_equal(product, exact)
            return
        lost = np.abs(act.astype(float)) @ np.abs(weight.astype(float)) * rounding(design)
        lost = lost if design.accumulator.kind != "exact" else lost / 8
        if design.edge and (step := design.edge.find(Requantize)):
            lost = lost + np.abs(exact).max() / present(step.requantize).interval.hi
        # an entry of a table is rounded to its unit, for each table and each plane of weights, which weigh 1 and 2
        tables = -(-act.shape[1] // design.options.get("k", 1))
        lost = lost + 2.0 ** (design.pe.rule.lsb - 1) * 3 * tables * bool(design.options.get("table_bits"))
        assert (np.abs(product - exact) <= lost).all()

    holds()
