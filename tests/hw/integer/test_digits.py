"""Rows that add multiples by signed digits, against Python."""

import itertools

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hw.core.number import Number, assign, shape_of
from hw.core.rows import add_with_carry
from hw.integer.digits import Digit, add_digits
from sw_ref.interval import Interval

FORMS = [(Digit(), 1), (Digit(far=1), 2), (Digit(far=3, near=(1, 2)), 1), (Digit(near=(2,)), 3)]
MULTIPLICANDS = [Interval(-8, 7), Interval(0, 7), Interval(-3, 2), Interval(-1, 0)]


def words_of(form):
    """What a digit can be: word -> value."""
    found = {}
    for word in range(1 << form.bits):
        one, negative, far = word & 1, word >> 1 & 1, word >> 2 & 1 if form.far else 0
        near = sum(places for bit, places in enumerate(form.near) if word >> form.row_bits + bit & 1)
        if not (one and far):
            found[word] = (one + (far << form.far) << near) * (1 - 2 * negative)
    return found


@pytest.mark.parametrize("a", MULTIPLICANDS, ids=str)
@pytest.mark.parametrize(("form", "places"), FORMS, ids=str)
def test_digits_times_a_number(form, places, a):
    """Two digits, alone and added to a number: all multiplicands and digits."""
    m = Module()
    words = words_of(form)
    largest = max(words.values())
    product = a * Interval(-largest, largest) * (1 + (1 << places))
    given, x = Signal(shape_of(a)), Signal(4)
    digits = [Signal(form.bits, name=f"digit_{index}") for index in range(2)]
    shared = {"form": form, "places": places}
    alone = add_digits(m, "alone", None, Number(given, a), digits, total=Interval(product.lo - 1, product.hi), **shared)
    whole = add_with_carry(m, "whole", alone, Number.constant(0), digits[0][1], sum=product)
    added = Number(x.as_signed())
    added = add_digits(m, "added", added, Number(given, a), digits, total=product + added.interval, **shared)
    sums = [Signal(shape_of(number.interval), name=f"sum_{index}") for index, number in enumerate((whole, added))]
    m.d.comb += [assign(target, number) for target, number in zip(sums, (whole, added), strict=True)]
    pairs = list(itertools.product(words, words))
    pairs = pairs[:: max(1, len(pairs) // 100)]

    async def bench(ctx):
        for at, (low, high) in enumerate(pairs):
            ctx.set(digits[0], low)
            ctx.set(digits[1], high)
            ctx.set(x, at % 16)
            for value in range(a.lo, a.hi + 1):
                ctx.set(given, value)
                await ctx.delay(1e-9)
                exact = value * (words[low] + (words[high] << places))
                assert [ctx.get(target) for target in sums] == [exact, exact + (at % 16 ^ 8) - 8]

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
