"""Sums of a row's activations, of every kind of format, against NumPy."""

import numpy as np

from dataflow.array.row_sums import WeightStationaryRowSum
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.nonfinite import zeroed
from tb.units import UnitTrial, simulate_units


def test_values_of_codes_are_summed():
    """Those of lanes that count; what is not finite is 0."""
    random = np.random.default_rng(0)
    trials = []
    for name in ("int5", "uint5", "fixed6_3", "bipolar3", "nf4", "fp8_e4m3", "posit6_1", "fp16"):
        form, lanes, steps = parse_format(name), 3, 500
        codes = random.integers(0, 1 << form.bits, (steps, lanes))
        mask = random.random((steps, lanes)) < 0.8
        sums = (form.to_fixed(zeroed(form, codes)) * mask).sum(axis=1)
        inputs = {
            "codes": (codes << np.arange(lanes) * form.bits).sum(axis=1),
            "mask": (mask << np.arange(lanes)).sum(axis=1),
        }
        bits = (form.fixed_form.interval | 0).sum_of(lanes).signed_bits
        unit = WeightStationaryRowSum(act=form, lanes=lanes, bits=bits, most=2)
        trials.append(UnitTrial(unit=unit, inputs=inputs, expected={"sum": sums}))
    assert simulate_units(trials).failure is None
