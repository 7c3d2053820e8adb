"""Products of small floats by look-up: every pair, several lanes, and what the family does not take."""

import re
from typing import Any

import numpy as np
import pytest

from pe.base import PEError
from pe.product_table import ProductTable
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.catalog import parse_format
from tb.core import simulate_cores, trial_of

# with one lane, every pair of codes is tried
OPERANDS = [
    ("fp4_e2m1", "fp4_e2m1", 1, 6, Accumulator(20)),
    ("fp4_e2m1", "fp4_e2m1", 1, 4, Accumulator(20)),
    ("fp4_e2m1", "fp4_e3m0", 1, 6, Accumulator(9, "saturate")),
    ("fp4_e2m1", "fp4_e3m0", 1, 4, Accumulator(9, "saturate")),
    ("e2m2", "e1m1", 1, 6, Accumulator(5, "wrap")),
    ("e2m2", "e1m1", 1, 4, Accumulator(5, "wrap")),
    ("fp4_e2m1", "fp4_e1m2", 1, 6, Accumulator(8, "wrap")),
    ("fp4_e1m2", "e2m1_flushed", 2, 6, Accumulator(9, "saturate")),
    ("fp4_e1m2", "e2m1_flushed", 2, 4, Accumulator(9, "saturate")),
    ("fp4_e2m1", "fp4_e2m1", 3, 6, Accumulator(12)),
    ("fp4_e2m1", "fp4_e2m1", 3, 4, Accumulator(12)),
    ("fp4_e2m1", "fp4_e2m1", 8, 6, Accumulator(14)),
    ("fp4_e2m1", "fp4_e2m1", 8, 4, Accumulator(14)),
]


def element(act, weight, **options: Any):
    formats: dict[str, Any] = {"act": parse_format(act), "weight": parse_format(weight)}
    return ProductTable(**formats, **options)


def test_products_are_added():
    random = np.random.default_rng(0)
    trials = []
    for act, weight, lanes, lut, accumulator in OPERANDS:
        trials.append(trial_of(element(act, weight, lanes=lanes, lut=lut), accumulator, random=random))
    assert simulate_cores(trials).failure is None


@pytest.mark.parametrize(
    ("act", "weight", "lut", "message"),
    [
        ("int4", "fp4_e2m1", 6, "Family product_table takes signed floats whose codes are all finite, not int4"),
        ("fp4_e2m1", "ue2m2", 6, "Family product_table takes signed floats whose codes are all finite, not ue2m2"),
        ("e2m2_fn", "fp4_e2m1", 6, "Family product_table takes signed floats whose codes are all finite, not e2m2_fn"),
        (
            "fp6_e2m3",
            "fp4_e2m1",
            6,
            "Family product_table takes formats of at most 8 bits together, not fp6_e2m3 x fp4_e2m1",
        ),
        ("fp4_e2m1", "fp4_e2m1", 5, "Option lut must be 4 or 6, not 5"),
        (
            "fp4_e2m1",
            "fp4_e1m2",
            4,
            "Option lut must be 6 for weights of more than one bit of fraction, as of fp4_e1m2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(act, weight, lut, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        element(act, weight, lut=lut)
