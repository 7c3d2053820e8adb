"""Packed products: which fit a multiplier, and what their words are."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from pe.base import PEError
from pe.packed.circuits import PackedCodes
from pe.packed.family import Packed, packed_products
from pe.packed.packing import MULTIPLIERS, fields_of
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from tb.units import UnitTrial, simulate_units
from tests.typed import present

FORMATS = ["int8", "uint8", "int6", "int4", "uint4", "int3", "int2", "uint2", "int1", "uint1"]


def block_of(act, weight, multiplier="25x18"):
    return packed_products(act=parse_format(act), weight=parse_format(weight), multiplier=multiplier, registers=2)


@pytest.mark.parametrize(
    ("act", "weight", "multiplier", "name"),
    [
        ("int8", "int8", "25x18", "packed_int8_int8_1x2_by_16"),
        ("int8", "int8", "27x18", "packed_int8_int8_1x2_by_18"),
        ("int4", "int4", "25x18", "packed_int4_int4_2x2_by_10"),
        ("int4", "int4", "27x18", "packed_int4_int4_2x2_by_11"),
        ("int4", "int4", "18x18", "packed_int4_int4_1x2_by_13"),
        ("uint8", "uint8", "27x18", "packed_uint8_uint8_1x2_by_18"),
        ("int8", "int4", "25x18", "packed_int8_int4_1x2_by_20"),
        ("int4", "int8", "25x18", "packed_int4_int8_2x1_by_20"),
        ("int2", "int2", "25x18", "packed_int2_int2_2x4_by_5"),
    ],
)
def test_most_products_in_the_widest_lanes(act, weight, multiplier, name):
    assert present(block_of(act, weight, multiplier)).name == name


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_what_fits_does_and_a_bit_more_does_not(multiplier):
    has = MULTIPLIERS[multiplier]
    for act, weight in product(FORMATS, FORMATS):
        block = block_of(act, weight, multiplier)
        if block is None:
            continue
        narrow, wide = sorted(operand.signed_bits for operand in block.operands)
        assert narrow <= has.narrow and wide <= has.wide
        assert has.total is None or block.spacing * block.sums < has.total
        term = block.act.interval * block.weight.interval
        # with what the lane below brings, but for the lowest, a quarter of a lane
        assert max(term.hi, -term.lo) + (block.sums > 2) <= 1 << block.spacing - 2
        assert not replace(block, spacing=block.spacing + 1).fits


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_words_come_to_the_sums(multiplier):
    """The formula, with integers in place of circuits: P modulo 2**total, and counters."""
    random = np.random.default_rng(0)
    for act, weight in product(FORMATS, FORMATS):
        block = block_of(act, weight, multiplier)
        if block is None:
            continue
        spacing, total = block.spacing, 1 << (MULTIPLIERS[multiplier].total or 64)
        p, wraps, sums = 0, [0] * (block.sums - 1), np.zeros((block.rows, block.cols), int)
        before = [0] * (block.sums - 1)
        for _step in range(100):
            acts = random.choice([block.act.interval.lo, block.act.interval.hi], block.rows).tolist()
            weights = random.choice([block.weight.interval.lo, block.weight.interval.hi], block.cols).tolist()
            packed = [
                sum(value << spacing * place * index for index, value in enumerate(values))
                for values, place in ((acts, block.cols), (weights, 1))
            ]
            assert all(value in interval for value, interval in zip(packed, block.operands, strict=True))
            p = (p + packed[0] * packed[1]) % total
            sums += np.outer(acts, weights)
            for lane in range(block.sums - 1):
                highest = p >> spacing * (lane + 1) - 2 & 3
                wraps[lane] += {(3, 0): 1, (0, 3): -1}.get((before[lane], highest), 0)
                before[lane] = highest
        carry = 0
        for lane, sum_ in enumerate(sums.flat):
            low = p >> spacing * lane
            if lane < block.sums - 1:
                word = (wraps[lane] << spacing) + low % (1 << spacing)
                assert word - carry == sum_
                carry = word >> spacing
            else:
                assert (low - carry - sum_) % (total >> spacing * lane) == 0


def test_fields_and_their_signs_are_the_packed_operand():
    trials, spacing = [], 12
    for name, count in product(("int8", "int4", "uint4", "int1", "uint1"), (1, 2, 4)):
        form = parse_format(name)
        assert isinstance(form, Int)
        codes = np.random.default_rng(0).integers(0, 1 << form.bits, (256, count))
        values = form.to_fixed(codes)
        operands = []
        for row in values.tolist():
            rest, operand, at = sum(value << spacing * index for index, value in enumerate(row)), 0, 0
            for index, field in enumerate(fields_of(form.interval, count)):
                place = rest >> spacing * index
                # what the operand has at this place, its sign up to the next one
                kept = place % (1 << spacing)
                kept -= (kept >> spacing - 1) << spacing if field.signed else 0
                assert kept in field
                operand |= kept % (1 << field.bits) << at
                at += field.bits
            operands.append(operand)
        words = (codes << form.bits * np.arange(count)).sum(axis=1)
        unit = PackedCodes(form=form, count=count)
        trials.append(UnitTrial(unit=unit, inputs={"codes": words}, expected={"operand": np.array(operands)}))
    assert simulate_units(trials).failure is None


def test_words_have_the_bits_that_sums_take():
    block = present(block_of("int4", "int4"))
    # a sum of 28 bits and what is carried into it; the highest has no lane above it
    assert block.word_widths(Accumulator(28)) == [28, 29, 29, 28]
    assert block.word_widths(Accumulator(16, "wrap")) == [26, 26, 26, 16]
    assert (block.word_bits(Accumulator(28)), block.above_bits(Accumulator(28))) == (29, 19)
    assert (block.row_bits, block.column_bits) == (9, 9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"multiplier": "9x9"}, "Option multiplier must be one of 25x18, 27x18, 18x18, not '9x9'"),
        ({"lanes": 2}, "Lanes must be 1 for family packed, where each product has a sum of its own, not 2"),
        ({"pipeline": 3}, "Option pipeline must be an integer from 0 to 2, not 3"),
        ({"pipeline": True}, "Option pipeline must be an integer from 0 to 2, not True"),
        (
            {"multiplier": "18x18"},
            "Family packed takes formats of which two products fit a multiplier of 18x18 bits, not int8 and int8",
        ),
        (
            {"act": Int(16)},
            "Family packed takes formats of which two products fit a multiplier of 25x18 bits, not int16 and int8",
        ),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        Packed(**{"act": Int(8), "weight": Int(8), **given})


def test_there_is_no_core_for_one_sum():
    pe = Packed(act=Int(8), weight=Int(8))
    message = "Element must be one with a core for each sum, not packed_int8_int8_25x18, which has blocks of them"
    with pytest.raises(PEError, match=f"^{message}$"):
        pe.core(Accumulator(24))
