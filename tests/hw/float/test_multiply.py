"""Floating-point units against the model, bit for bit."""

import itertools
import re

import numpy as np
import pytest

from hw.float.add import FloatAdd
from hw.float.from_integer import IntegerToFloat
from hw.float.multiply import FloatMultiply
from sw_ref.arith.float_codes import add, from_integer, multiply
from sw_ref.formats.minifloat import BF16, FLOATS, FP16, FP32, Float
from sw_ref.interval import Interval
from tb.units import UnitTrial, simulate_units
from tests.typed import wrong

# all pairs of their codes are tried
SMALL = [Float(2, 1, specials="ieee"), Float(3, 2, specials="ieee"), Float(2, 4, specials="ieee")]
WIDE = [FP32, FP16, BF16]


def operands(shape, random):
    """Pairs of codes: all if there are few, else all pairs of corners, and random ones of several kinds."""
    if shape.bits <= 9:
        codes = np.arange(1 << shape.bits)
        return np.repeat(codes, len(codes)), np.tile(codes, len(codes))
    last, sign = (1 << shape.fraction) - 1, 1 << (shape.bits - 1)
    fields = [0, 1, 2, shape.bias - 1, shape.bias, shape.top_exponent - 1, shape.top_exponent]
    corners = [s | e << shape.fraction | f for s in (0, sign) for e in fields for f in (0, 1, last // 2 + 1, last)]
    pairs = [np.array(list(itertools.product(corners, corners))).T]
    count = 1000
    pairs.append(random.integers(0, 1 << shape.bits, (2, count)))
    # exponents so near each other that significands overlap, with long runs of ones and zeros
    x = random.integers(0, 1 << shape.bits, count)
    near = (x >> shape.fraction & shape.top_exponent) + random.integers(-shape.fraction - 4, shape.fraction + 4, count)
    fraction = random.integers(0, last, count) & (-1 << random.integers(0, shape.fraction, count)) & last
    y = random.integers(0, 2, count) * sign | near.clip(0, shape.top_exponent) << shape.fraction | fraction
    pairs.append(np.stack([x, y]))
    # differences that cancel almost all
    pairs.append(np.stack([x, (x ^ sign) + random.integers(-3, 4, count)]) & (2 * sign - 1))
    # products next to the largest and the smallest normal
    for end in (shape.bias, 3 * shape.bias + 1):
        other = end - (x >> shape.fraction & shape.top_exponent) + random.integers(-1, 2, count)
        pairs.append(
            np.stack([x, other.clip(0, shape.top_exponent) << shape.fraction | random.integers(0, last, count)])
        )
    return np.concatenate(pairs, axis=1)


def integers(bits, signed, random):
    """All if there are few, else those next to the ends, to powers of two and to ties, and random ones."""
    interval = Interval.of_bits(bits, signed)
    if bits <= 12:
        return np.arange(interval.lo, interval.hi + 1)
    steps = np.array([n << place for n in (1, 3, (1 << 24) + 1, (1 << 25) - 1) for place in range(38)])
    near = (steps[:, None] + np.arange(-2, 3)).ravel()
    lengths = random.integers(0, bits, 4096)
    values = np.concatenate([near, -near, random.integers(interval.lo, interval.hi, 4096) >> lengths])
    return np.concatenate([values[(values >= interval.lo) & (values <= interval.hi)], [interval.lo, interval.hi]])


def binary(unit, shape, random):
    x, y = operands(shape, random)
    operation = add if isinstance(unit, FloatAdd) else multiply
    port = "sum" if isinstance(unit, FloatAdd) else "product"
    return UnitTrial(unit=unit, inputs={"x": x, "y": y}, expected={port: operation(shape, x, y)})


def test_sums_and_products_are_the_models():
    random = np.random.default_rng(1)
    trials = []
    for index, shape in enumerate([*SMALL, *WIDE]):
        trials.append(binary(FloatAdd(shape=shape, pipeline=index % 4), shape, random))
        trials.append(binary(FloatMultiply(shape=shape, y_shape=shape, dsp="none", pipeline=index % 4), shape, random))
    for pipeline in (6, 20):
        trials.append(binary(FloatAdd(shape=FP32, pipeline=pipeline), FP32, random))
        trials.append(binary(FloatMultiply(shape=FP32, y_shape=FP32, dsp="none", pipeline=pipeline), FP32, random))
    trials.append(binary(FloatMultiply(shape=BF16, y_shape=BF16, dsp="auto", pipeline=3), BF16, random))
    for shape, factor in (
        (FP32, FP16),
        (FP32, BF16),
        (BF16, Float(4, 3, specials="ieee")),
        (Float(3, 2, specials="ieee"), Float(5, 4, specials="ieee")),
        (FP32, FLOATS["e8m0"]),
        (FP32, Float(4, 3, specials="fn", lowest="zero")),
        (BF16, Float(3, 2, signed=False, bias=-2, lowest="zero")),
    ):
        unit = FloatMultiply(shape=shape, y_shape=factor, dsp="none", pipeline=factor.exponent % 4)
        x, y = operands(shape, random)[0], operands(factor, random)[1]
        x, y = np.resize(x, max(x.size, y.size)), np.resize(y, max(x.size, y.size))
        trials.append(
            UnitTrial(unit=unit, inputs={"x": x, "y": y}, expected={"product": multiply(shape, x, y, factor)})
        )
    assert simulate_units(trials).failure is None


@pytest.mark.parametrize(
    "shape", [FP32, Float(4, 3, specials="ieee")], ids=lambda shape: f"e{shape.exponent}m{shape.fraction}"
)
def test_integers_become_the_models_numbers(shape):
    random = np.random.default_rng(2)
    trials = []
    for pipeline, (bits, signed) in enumerate(itertools.product((1, 2, 3, 8, 24, 32, 45), (True, False))):
        unit = IntegerToFloat(bits=bits, signed=signed, shape=shape, pipeline=pipeline % 6)
        values = integers(bits, signed, random)
        trials.append(UnitTrial(unit=unit, inputs={"integer": values}, expected={"code": from_integer(shape, values)}))
    assert simulate_units(trials).failure is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FloatAdd(shape=FP32, pipeline=-1), "Pipeline must be 0 or more stages, not -1"),
        (
            lambda: FloatMultiply(shape=FP32, y_shape=FP32, dsp="none", pipeline=True),
            "Pipeline must be 0 or more stages, not True",
        ),
        (lambda: FloatMultiply(shape=FP32, y_shape=FP32, dsp="all", pipeline=0), "DSP must be none or auto, not 'all'"),
        (
            lambda: IntegerToFloat(bits=8, signed=True, shape=FP32, pipeline=wrong(1.0)),
            "Pipeline must be 0 or more stages, not 1.0",
        ),
    ],
)
def test_other_options_are_refused(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()
