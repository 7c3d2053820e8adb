"""Sub-word products: what the edges bring to which slot, and what the cell makes of it."""

import re

import numpy as np
import pytest

from pe.base import PEError
from pe.sub_word import SubWord
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.interval import Interval
from tb.core import Trial, simulate_cores

PE = SubWord(act=Int(8), weight=Int(8))


def steps_of(mode, count, random):
    """Integers of random steps of a mode, and which products count: three arrays (count, lanes)."""
    shape = (count, PE.modes[mode].lanes)
    act, weight = (
        random.integers(side.interval.lo, side.interval.hi, shape, endpoint=True)
        for side in (PE.modes[mode].act, PE.modes[mode].weight)
    )
    return act, weight, random.random(shape) < 0.7


def test_products_of_modes_that_change_every_step():
    """Against NumPy's own integers, with the bench's packing of codes, and without the model's dots."""
    random = np.random.default_rng(0)
    count, codes = 300, np.zeros((2, 900, 4), np.int64)
    mode, mask, sums = np.tile(np.arange(3), count), np.zeros((900, 4), bool), np.zeros(900, np.int64)
    for index, one in enumerate(PE.modes):
        act, weight, counts = steps_of(index, count, random)
        codes[0, index::3, : one.lanes] = act & (1 << one.act.bits) - 1
        codes[1, index::3, : one.lanes] = weight & (1 << one.weight.bits) - 1
        mask[index::3] = np.repeat(counts, 4 // one.lanes, axis=1)
        sums[index::3] = (act * weight * counts).sum(axis=1)
    zeros = np.zeros(900, np.int64)
    trial = Trial(pe=PE, accumulator=Accumulator(24), act=codes[0], weight=codes[1], mask=mask, addend=zeros, mode=mode)
    np.testing.assert_array_equal(trial.sums, sums)
    assert simulate_cores([trial]).failure is None


def test_modes():
    assert [mode.name for mode in PE.modes] == ["int8_int8", "int8_int4_x2", "int4_int4_x4"]
    assert PE.mode_bits == 2
    assert (PE.row_code_bits, PE.column_code_bits) == (16, 16)
    assert PE.term == Interval(-128 * 127, 128 * 128)
    assert len(PE.row_encoder(masked=True).codes) == PE.row_code_bits
    assert len(PE.column_encoder().codes) == PE.column_code_bits


@pytest.mark.parametrize(
    ("act", "weight", "lanes", "message"),
    [
        ("int8", "int4", 4, "Family sub_word takes int8 x int8, not int8 x int4"),
        ("uint8", "int8", 4, "Family sub_word takes int8 x int8, not uint8 x int8"),
        ("int8", "int8", 2, "Family sub_word has 4 lanes, not 2"),
    ],
)
def test_what_does_not_fit_is_refused(act, weight, lanes, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        SubWord(act=parse_format(act), weight=parse_format(weight), lanes=lanes)
