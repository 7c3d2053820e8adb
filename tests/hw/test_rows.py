"""Products and gathered words against Python."""

import functools
import itertools
import operator

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hw.number import shape_of
from hw.rows import any_of, multiply
from sw_ref.formats import Int
from sw_ref.interval import Interval

FORMATS = [Int(bits, signed).interval for bits in (1, 2, 3, 4) for signed in (True, False)]
# narrower than the codes that carry them
UNEVEN = [Interval(-5, 2), Interval(1, 6), Interval(-3, -2), Interval(0, 0)]


def product_of(multiplicand, multiplier):
    """A case for ``evaluate``."""
    name = f"product_{multiplicand.lo}_{multiplicand.hi}"
    return lambda m, x, y: multiply(m, name, x, y), (multiplicand, multiplier)


@pytest.mark.parametrize("multiplier", [*FORMATS, *UNEVEN], ids=str)
def test_product_of_rows_is_exact(multiplier, evaluate):
    multiplicands = [*FORMATS, *UNEVEN]
    for number, values in evaluate([product_of(multiplicand, multiplier) for multiplicand in multiplicands]):
        assert values == {(x, y): x * y for x, y in values}
        assert number.interval == Interval(min(values.values()), max(values.values()))
        assert number.value.shape() == shape_of(number.interval)


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
