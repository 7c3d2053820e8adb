"""The bench of units sees what differs, and when."""

import numpy as np
import pytest

from hw.integer.multiply import Multiply
from tb.units import UnitTrial, simulate_units

UNIT = Multiply(a=(2, True), b=(2, False), dsp="none", pipeline=2)


@pytest.mark.parametrize("wrong", [0, 7, 15])
def test_a_wrong_result_is_found(wrong):
    a, b = np.repeat(np.arange(-2, 2), 4), np.tile(np.arange(4), 4)
    product = a * b
    product[wrong] += 1
    outcome = simulate_units([UnitTrial(unit=UNIT, inputs={"a": a, "b": b}, expected={"product": product})])
    # one cycle before the first operands, two of latency, and the bench's register
    where = f"{UNIT.name}_product: 1 of 16 values differ, the first in cycle {wrong + 4}, slot 0"
    assert outcome.failure == f"{where}: {a[wrong] * b[wrong]}, not {product[wrong]}"


def test_units_must_differ():
    operand = np.arange(2)
    trial = UnitTrial(unit=UNIT, inputs={"a": operand, "b": operand}, expected={"product": operand * operand})
    with pytest.raises(ValueError, match=f"^Trials must be of different units, not {UNIT.name}, {UNIT.name}$"):
        simulate_units([trial, trial])
