"""Products as chains of rows, in any number of cycles."""

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest

from hw.core.number import shape_of
from hw.core.stages import run_steps
from hw.integer.multiply import Multiply, product_steps
from sw_ref.formats.base import Int
from sw_ref.interval import Interval
from tb.units import UnitTrial, simulate_units

FORMATS = [Int(bits, signed).interval for bits in (1, 2, 3, 4) for signed in (True, False)]
# narrower than the codes that carry them
UNEVEN = [Interval(-5, 2), Interval(1, 6), Interval(-3, -2), Interval(0, 0)]


def product_of(a, b, lut):
    """A case for ``evaluate``."""

    def product(m, x, y):
        at = SimpleNamespace(multiplicand=x, multiplier=y)
        run_steps(m, at, product_steps(b, dsp="none", lut=lut, name=f"row_{a.lo}_{a.hi}"), registers=0)
        return at.product

    return product, (a, b)


@pytest.mark.parametrize("lut", [4, 6])
@pytest.mark.parametrize("b", [*FORMATS, *UNEVEN], ids=str)
def test_product_of_rows_is_exact(b, lut, evaluate):
    for number, values in evaluate([product_of(a, b, lut) for a in (*FORMATS, *UNEVEN)]):
        assert values == {(x, y): x * y for x, y in values}
        assert number.interval == Interval(min(values.values()), max(values.values()))
        assert number.value.shape() == shape_of(number.interval)


def trial_of(a, b, dsp, pipeline, random):
    """All pairs of operands if they have 13 bits at most, else those of corners, and random ones."""
    bounds = [Interval.of_bits(*operand) for operand in (a, b)]
    if a[0] + b[0] <= 13:
        pairs = np.array(list(itertools.product(*(range(each.lo, each.hi + 1) for each in bounds))))
    else:
        corners = np.array(list(itertools.product(*((each.lo, each.lo + 1, 0, 1, each.hi) for each in bounds))))
        drawn = [random.integers(each.lo, each.hi, 2000, endpoint=True) for each in bounds]
        pairs = np.concatenate([corners, np.stack(drawn, axis=1)])
    x, y = pairs.T
    unit = Multiply(a=a, b=b, dsp=dsp, pipeline=pipeline)
    return UnitTrial(unit=unit, inputs={"a": x, "b": y}, expected={"product": x * y})


def test_products_are_exact():
    random = np.random.default_rng(1)
    trials = []
    for index, (a, b) in enumerate([(1, 1), (1, 4), (3, 3), (4, 5), (7, 6)]):
        for signs in itertools.product((True, False), repeat=2):
            trials.append(trial_of((a, signs[0]), (b, signs[1]), "none", (index + signs[0]) % 4, random))
    for a, b in (((16, True), (16, False)), ((9, False), (24, False)), ((32, True), (31, False))):
        trials.append(trial_of(a, b, "none", 4, random))
    trials.append(trial_of((8, True), (8, False), "auto", 3, random))
    assert simulate_units(trials).failure is None


@pytest.mark.parametrize(
    ("dsp", "pipeline", "message"),
    [
        (True, 0, "DSP must be none or auto, not True"),
        ("none", None, "Pipeline must be 0 or more stages, not None"),
    ],
)
def test_other_options_are_refused(dsp, pipeline, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Multiply(a=(8, True), b=(8, True), dsp=dsp, pipeline=pipeline)
