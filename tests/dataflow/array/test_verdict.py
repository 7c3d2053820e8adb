"""Units that hold sums against check sums, bit for bit against the model."""

import numpy as np
import pytest

from dataflow.array.column_sum import ColumnSum
from dataflow.array.verdict import CorrectRow, DetectRow
from sw_ref.arith.checksum import check_bits, check_factors, checks_of, verdict
from sw_ref.interval import Interval
from sw_ref.wide import wrapped
from tb.units import UnitTrial, simulate_units

COLS = (1, 2, 3, 5, 8)


def side_by_side(words, bits):
    """Rows of numbers as one integer each, the first in the low bits."""
    fields = (words.astype(object) & (1 << bits) - 1) << bits * np.arange(words.shape[1], dtype=object)
    return fields.sum(axis=1)


def test_column_sums():
    """Signed and unsigned words, exact and modulo the width."""
    random, trials = np.random.default_rng(1), []
    for count in (1, 2, 3, 6, 7, 16):
        for weighted in (False, True):
            for values, bits in ((Interval(-8, 7), 12), (Interval(0, 31), 6)):
                words = random.integers(values.lo, values.hi + 1, (300, count))
                expected = wrapped(words @ check_factors(count, weighted=weighted), bits)
                unit = ColumnSum(values=values, count=count, weighted=weighted, bits=bits)
                inputs = {"words": side_by_side(words, values.bits)}
                trials.append(UnitTrial(unit=unit, inputs=inputs, expected={"total": expected}))
    assert simulate_units(trials).failure is None


def faulty_rows(random, cols, bits, checksum):
    """Random rows with their check sums: a third as they are, the others with one to three things wrong."""
    rows, width = 1500, check_bits(bits, cols, checksum)
    lo, hi = -(1 << bits - 1), (1 << bits - 1) - 1
    sums = random.integers(lo, hi + 1, (rows, cols))
    sums[::7] = random.choice([lo, hi, 0], (len(sums[::7]), cols))
    checks = np.array([wrapped(sums @ check_factors(cols, weighted=each), width) for each in checks_of(checksum)])
    everything = np.concatenate([sums.T, checks])
    for row in range(rows):
        for _ in range(random.choice([0, 1, 1, 2, 3]) if row % 3 else 0):
            place = random.integers(len(everything))
            mine = bits if place < cols else width
            if random.random() < 0.5:
                # more than what one column can explain, and yet a multiple
                everything[place, row] ^= 1 << random.integers(mine)
            else:
                everything[place, row] += random.choice([1, -1, 5])
            everything[place, row] = wrapped(everything[place : place + 1, row], mine)[0]
    return everything[:cols].T, everything[cols:], width


@pytest.mark.parametrize("bits", [1, 2, 9])
def test_rows_are_judged_as_the_model_says(bits):
    """Of any number of columns, without a fault, with one, and with several at once."""
    random, trials = np.random.default_rng(bits), []
    for cols in COLS:
        for checksum in ("detect", "correct"):
            sums, checks, width = faulty_rows(random, cols, bits, checksum)
            valid = random.random(len(sums)) < 0.9
            found = verdict(sums, checks, bits=bits, width=width)
            assert found.fault.any() and not found.fault.all()
            inputs = {"sums": side_by_side(sums, bits), "check": side_by_side(checks.T, width), "valid": valid * 1}
            expected = {"fault": (found.fault & valid) * 1}
            if checksum == "correct":
                expected |= {
                    "corrected": (found.corrected & valid) * 1,
                    "corrected_sums": side_by_side(found.sums, bits),
                }
            unit = (DetectRow if checksum == "detect" else CorrectRow)(cols=cols, bits=bits)
            trials.append(UnitTrial(unit=unit, inputs=inputs, expected=expected))
    assert simulate_units(trials).failure is None
