"""The requantizer against the model, bit for bit."""

import itertools
import re

import numpy as np
import pytest

from hw.integer.requantize import Requantize
from sw_ref.drain.requantize import requantize
from tb.units import UnitTrial, simulate_units


def unit_of(bits_in, multiplier_bits, shift_bits, bits_out, signed, dsp, pipeline, **how):
    return Requantize(
        **how,
        bits_in=bits_in,
        multiplier_bits=multiplier_bits,
        shift_bits=shift_bits,
        bits_out=bits_out,
        signed=signed,
        dsp=dsp,
        pipeline=pipeline,
    )


UNITS = [
    # every operand of these is tried
    unit_of(5, 4, 3, 3, True, "none", 0),
    unit_of(6, 3, 4, 4, False, "none", 2),
    unit_of(4, 5, 4, 12, True, "auto", 1),
    unit_of(7, 5, 1, 1, True, "none", 1),
    # HAWQ-V3's own, and smaller ones
    unit_of(32, 31, 6, 8, True, "none", 0),
    unit_of(32, 31, 6, 8, True, "none", 9),
    unit_of(32, 31, 6, 4, False, "auto", 3),
    unit_of(24, 16, 5, 8, True, "none", 4),
    unit_of(20, 9, 6, 4, False, "none", 3),
]
ROUNDED = [
    unit_of(5, 4, 3, 3, True, "none", 0, rounding="floor", addend_bits=4),
    unit_of(6, 3, 4, 4, False, "none", 2, zero=True),
    unit_of(5, 4, 4, 3, True, "none", 1, rounding="floor", zero=True),
    unit_of(32, 31, 6, 8, True, "none", 8, rounding="gemmlowp", zero=True),
    unit_of(32, 31, 6, 8, False, "none", 0, rounding="gemmlowp"),
    unit_of(24, 31, 6, 4, True, "none", 3, rounding="gemmlowp", zero=True),
    unit_of(32, 16, 6, 8, False, "none", 8, rounding="floor", addend_bits=32),
    unit_of(32, 31, 6, 8, True, "none", 8, addend_bits=32, zero=True),
]


def operands(unit, random):
    """Integers, multipliers and shifts: all, or corners and random ones of which many results are in range."""
    widths = [len(unit.integer), len(unit.multiplier), len(unit.shift)]
    low = -(1 << (widths[0] - 1))
    if sum(widths) <= 16:
        integer, multiplier, shift = np.array(list(itertools.product(*(range(1 << width) for width in widths)))).T
        return integer + low, multiplier, shift
    count = 4000
    integer = random.integers(low, -low, count) >> random.integers(0, widths[0] - 1, count)
    multiplier = random.integers(1 << (widths[1] - 1), 1 << widths[1], count)
    # few bits that are set, for ties
    multiplier[::3] &= -1 << (widths[1] - 3)
    length = np.frexp(np.abs(integer * multiplier).astype(np.float64))[1]
    shift = length - len(unit.result) + random.integers(-2, 4, count)
    shift[::5] = random.integers(0, 1 << widths[2], len(shift[::5]))
    corners = np.array(
        list(
            itertools.product(
                (low, -low - 1, -1, 0, 1),
                (0, 1, 1 << (widths[1] - 1), (1 << widths[1]) - 1),
                range(1 << widths[2]),
            )
        )
    ).T
    pairs = zip((integer, multiplier, shift.clip(0, (1 << widths[2]) - 1)), corners, strict=True)
    return tuple(np.concatenate(pair) for pair in pairs)


def trial_of(unit, random):
    integer, multiplier, shift = operands(unit, random)
    inputs = {"integer": integer, "multiplier": multiplier, "shift": shift}
    if unit.rounding == "gemmlowp":
        # the product is halved 31 times first, and of what is left most is in range again
        up = len(unit.integer) - 17
        inputs["integer"] = integer = np.where(np.abs(integer) < 1 << 16, integer << up, integer)
        inputs["shift"] = shift = np.maximum(shift, 31)
    more = {}
    if unit.addend_bits:
        top = 1 << unit.addend_bits - 1
        inputs["addend"] = more["addend"] = random.integers(-top, top, len(integer))
    if unit.zero:
        bounds = unit.bounds
        inputs["out_zero"] = more["zero"] = random.integers(bounds.lo, bounds.hi + 1, len(integer))
    bits = len(unit.result)
    expected = requantize(
        integer, multiplier, shift, bits=bits, signed=unit.bounds.signed, rounding=unit.rounding, **more
    )
    return UnitTrial(unit=unit, inputs=inputs, expected={"result": expected})


def test_other_roundings_are_the_models():
    random = np.random.default_rng(2)
    trials = [trial_of(unit, random) for unit in ROUNDED]
    assert all(len(np.unique(trial.expected["result"])) > 0.7 * 2 ** len(trial.unit.result) for trial in trials)
    assert simulate_units(trials).failure is None


def test_results_are_the_models():
    random = np.random.default_rng(1)
    trials = [trial_of(unit, random) for unit in UNITS]
    # most results are not clipped, and of every size
    assert all(len(np.unique(trial.expected["result"])) > 0.7 * 2 ** len(trial.unit.result) for trial in trials[4:])
    assert simulate_units(trials).failure is None


@pytest.mark.parametrize(
    ("dsp", "pipeline", "message"),
    [
        ("no", 0, "DSP must be none or auto, not 'no'"),
        ("none", -1, "Pipeline must be 0 or more stages, not -1"),
    ],
)
def test_other_options_are_refused(dsp, pipeline, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        unit_of(32, 31, 6, 8, True, dsp, pipeline)
