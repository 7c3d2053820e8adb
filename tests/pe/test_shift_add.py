"""Signed digits: every weight is the sum of its digits, in the form that its recoding promises."""

import re
from itertools import pairwise

import pytest
from amaranth.sim import Simulator

from pe.base import PEError
from pe.shift_add import ShiftAdd
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from tests.typed import wrong

WEIGHTS = [f"{kind}{bits}" for kind in ("int", "uint") for bits in range(2, 9)]


def value_of(word, form):
    """The digit that a word stands for: one or far, negative, and the near shifts."""
    far = word >> 2 & 1 if form.far else 0
    near = sum(places for bit, places in enumerate(form.near) if word >> form.row_bits + bit & 1)
    assert not (word & 1 and far)
    return ((word & 1) + (far << form.far) << near) * (-1 if word & 2 else 1)


def recoded(pe):
    """Digits of every weight, lowest first, as the encoder puts them out."""
    encoder = pe.column_encoder()
    bits = pe.digits.digit.bits
    found = {}

    async def bench(ctx):
        for code in range(1 << pe.weight.bits):
            ctx.set(encoder.codes, code)
            await ctx.delay(1e-9)
            operand = ctx.get(encoder.operand)
            words = [operand >> (bits * index) & ((1 << bits) - 1) for index in range(pe.digits.count)]
            digits = [value_of(word, pe.digits.digit) for word in words]
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


@pytest.mark.parametrize(
    ("weight", "count", "largest"),
    [("ternary", 1, 1), ("pot3", 1, 4), ("pot4", 1, 64), ("pot5", 1, 1 << 14), ("apot5", 2, 16), ("apot7", 3, 64)],
)
def test_digits_of_powers_add_up_to_the_weight(weight, count, largest):
    pe = ShiftAdd(act=Int(8), weight=parse_format(weight))
    found = recoded(pe)
    assert set(found) == set(pe.weight.to_fixed(range(1 << pe.weight.bits)).tolist())
    for value, digits in found.items():
        assert len(digits) == count
        assert sum(digit << index for index, digit in enumerate(digits)) == value
        assert all(abs(digit) <= largest and abs(digit).bit_count() <= 1 for digit in digits)


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
    assert pe.digits.count == digits
    assert pe.column_bits == 3 * digits * {"csd": 2, "booth4": 3}[recoding]
    assert pe.core(Accumulator(24)).name == f"shift_add_int8_{weight}_x3_{recoding}_acc24"


@pytest.mark.parametrize(
    ("weight", "options", "message"),
    [
        ("int1", {}, "Family shift_add takes weights of 2 bits or more, not int1"),
        (
            "bipolar2",
            {},
            "Family shift_add takes integers, ternary, pot or apot as weights, not bipolar2",
        ),
        ("pot4", {"recoding": "csd"}, "Option recoding is for integer weights, not for pot4"),
        ("int4", {"recoding": "booth8"}, "Option recoding must be booth4 or csd, not 'booth8'; did you mean booth4?"),
        ("int4", {"pipeline": -1}, "Option pipeline must be an integer from 0 to 16, not -1"),
        ("pot4", {"pipeline": True}, "Option pipeline must be an integer from 0 to 16, not True"),
    ],
)
def test_other_weights_and_recodings_are_refused(weight, options, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        ShiftAdd(act=Int(8), weight=parse_format(weight), **options)


def test_other_activations_are_refused():
    with pytest.raises(PEError, match=r"^Family shift_add takes integer activations, not ternary$"):
        ShiftAdd(act=wrong(parse_format("ternary")), weight=Int(4))


@pytest.mark.parametrize(
    ("weight", "name", "column_bits"),
    [("ternary", "shift_add_int8_ternary_x2", 4), ("pot4", "shift_add_int8_pot4_x2", 10)],
)
def test_other_weights_have_no_recoding_in_their_name(weight, name, column_bits):
    pe = ShiftAdd(act=Int(8), weight=parse_format(weight), lanes=2)
    assert (pe.name, pe.column_bits) == (name, column_bits)


@pytest.mark.parametrize(
    ("weight", "name"), [("int4", "shift_add_int8_int4_booth4_p3"), ("pot4", "shift_add_int8_pot4_p3")]
)
def test_pipeline_is_the_latency(weight, name):
    pe = ShiftAdd(act=Int(8), weight=parse_format(weight), pipeline=3)
    assert (pe.name, pe.latency) == (name, 3)
