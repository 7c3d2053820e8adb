"""Sums and gathered words against Python."""

import functools
import itertools
import operator

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hw.core.rows import add_pairs, any_of
from sw_ref.interval import Interval


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_neighbours_are_added(count, evaluate):
    intervals = tuple([Interval(-3, 2), Interval(0, 3), Interval(-1, 0), Interval(1, 2)][:count])
    halves = [slice(0, 2), slice(2, 4)][: -(-count // 2)]
    cases = [(lambda m, *terms, at=at: add_pairs(m, f"pairs_{at}", terms)[at], intervals) for at in range(len(halves))]
    for (number, values), half in zip(evaluate(cases), halves, strict=True):
        assert values == {terms: sum(terms[half]) for terms in values}
        assert number.interval == Interval(min(values.values()), max(values.values()))


@pytest.mark.parametrize("count", [1, 2, 4, 5, 16, 17, 21])
def test_any_of_is_the_or_of_all(count):
    m = Module()
    words = [Signal(2, name=f"word_{index}") for index in range(count)]
    gathered = Signal(2)
    m.d.comb += gathered.eq(any_of(m, "gather", words))
    given = [(0,) * count, (3,) * count]
    given += [tuple(bit * (i == at) for i in range(count)) for bit, at in itertools.product((1, 2), range(count))]

    async def bench(ctx):
        for choice in given:
            for word, value in zip(words, choice, strict=True):
                ctx.set(word, value)
            await ctx.delay(1e-9)
            assert ctx.get(gathered) == functools.reduce(operator.or_, choice)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
