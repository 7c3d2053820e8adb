"""Products in any number of cycles, and how stages are spread over steps."""

import itertools
import re

import numpy as np
import pytest

from hw.multiply import Multiply
from hw.stages import spread
from sw_ref.interval import Interval
from tb.units import UnitTrial, simulate_units


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
    ("delays", "registers", "stages"),
    [
        ([1, 1, 1, 1], 0, [0, 0, 0, 0]),
        ([1, 1, 1, 1], 1, [0, 0, 0, 1]),
        ([1, 1, 1, 1], 2, [0, 1, 0, 1]),
        ([3, 1, 1, 1], 2, [1, 0, 0, 1]),
        ([1, 1, 1, 1], 4, [1, 1, 1, 1]),
        ([1, 1], 5, [3, 2]),
        ([4], 3, [3]),
    ],
)
def test_stages_share_the_delay(delays, registers, stages):
    assert spread(delays, registers) == stages


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
