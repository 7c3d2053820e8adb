"""Signed digits: every weight is the sum of its digits, in the form that its recoding promises."""

import re
from itertools import pairwise

import pytest
from amaranth.sim import Simulator

from pe.base import PEError
from pe.shift_add import ShiftAdd
from sw_ref.accumulate import Accumulator
from sw_ref.catalog import parse_format
from sw_ref.formats import Int

WEIGHTS = [f"{kind}{bits}" for kind in ("int", "uint") for bits in range(2, 9)]


def recoded(pe):
    """Digits of every weight, lowest first, as the encoder puts them out."""
    encoder = pe.column_encoder()
    bits = pe.column_bits // pe.digits
    found = {}

    async def bench(ctx):
        for code in range(1 << pe.weight.bits):
            ctx.set(encoder.codes, code)
            await ctx.delay(1e-9)
            operand = ctx.get(encoder.operand)
            words = [operand >> (bits * index) & ((1 << bits) - 1) for index in range(pe.digits)]
            # one, negative, two
            digits = [((word & 1) + (word >> 2) * 2) * (-1 if word & 2 else 1) for word in words]
            found[int(pe.weight.to_fixed([code])[0])] = digits

    simulator = Simulator(encoder)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize(("recoding", "places", "largest"), [("csd", 1, 1), ("booth4", 2, 2)])
def test_digits_add_up_to_the_weight(weight, recoding, places, largest):
    pe = ShiftAdd(act=Int(8), weight=parse_format(weight), recoding=recoding)
    for value, digits in recoded(pe).items():
        assert sum(digit << (places * index) for index, digit in enumerate(digits)) == value
        assert all(abs(digit) <= largest for digit in digits)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_no_two_neighbours_of_canonical_digits_are_set(weight):
    pe = ShiftAdd(act=Int(8), weight=parse_format(weight), recoding="csd")
    for digits in recoded(pe).values():
        assert not any(low and high for low, high in pairwise(digits))


@pytest.mark.parametrize(
    ("weight", "recoding", "digits"),
    [("int4", "booth4", 2), ("uint4", "booth4", 3), ("int5", "booth4", 3), ("int4", "csd", 4), ("uint4", "csd", 5)],
)
def test_width_of_a_weight(weight, recoding, digits):
    pe = ShiftAdd(act=Int(8), weight=parse_format(weight), lanes=3, recoding=recoding)
    assert pe.digits == digits
    assert pe.column_bits == 3 * digits * {"csd": 2, "booth4": 3}[recoding]
    assert pe.core(Accumulator(24)).name == f"shift_add_int8_{weight}_x3_{recoding}_acc24"


@pytest.mark.parametrize(
    ("weight", "options", "message"),
    [
        ("int1", {}, "Family shift_add takes weights of 2 to 8 bits, not int1"),
        ("int9", {}, "Family shift_add takes weights of 2 to 8 bits, not int9"),
        ("int4", {"recoding": "booth8"}, "Option recoding must be one of csd, booth4, not 'booth8'"),
    ],
)
def test_other_weights_and_recodings_are_refused(weight, options, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        ShiftAdd(act=Int(8), weight=parse_format(weight), **options)
