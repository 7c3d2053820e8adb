"""Adders of packed words against Python."""

import random
from types import SimpleNamespace

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hw.core.stages import run_steps
from hw.integer.packed_add import FarAdd, MultipleAdd, PlacedAdd, multiples_steps


def results(unit, operands):
    """``sum`` for each choice of operands."""
    found = []

    async def bench(ctx):
        for choice in operands:
            for port, value in choice.items():
                ctx.set(getattr(unit, port), value)
            await ctx.delay(1e-9)
            found.append(ctx.get(unit.sum))

    simulator = Simulator(unit)
    simulator.add_testbench(bench)
    simulator.run()
    return found


def test_multiple():
    unit = MultipleAdd(x_bits=5, once_bits=3, sum_bits=6)
    operands = [
        {"x": x, "once": once, "thrice": 3 * once, "digit": digit}
        for x in range(32)
        for once in range(8)
        for digit in range(4)
    ]
    assert results(unit, operands) == [each["x"] + each["digit"] * each["once"] for each in operands]


@pytest.mark.parametrize(("step", "places"), [(1, 1), (2, 4), (3, 2)])
def test_placed(step, places):
    word_bits = step * (places + 1)
    unit = PlacedAdd(x_bits=6, step=step, places=places, word_bits=word_bits, sum_bits=word_bits + 7)
    choices = [
        (x, a, at, n) for x in (-32, -1, 0, 9, 31) for a in range(1 << 2 * step) for at in range(places) for n in (0, 1)
    ]
    operands = [{"x": x, "a": a, "at": 1 << at, "negate": n} for x, a, at, n in choices]
    operands += [{"x": x, "a": 0, "at": 0, "negate": n} for x in (-32, 31) for n in (0, 1)]
    sums = [x + (-1) ** n * (a << step * at) for x, a, at, n in choices]
    assert results(unit, operands) == [*sums, -32, -32, 31, 31]


@pytest.mark.parametrize("sum_bits", [13, 9])
def test_far(sum_bits):
    unit = FarAdd(x_bits=8, a_bits=4, distance=4, sum_bits=sum_bits)
    choices = [(x, a, far) for x in range(-128, 128, 5) for a in range(-8, 8) for far in range(3)] + [(77, 0, 3)]
    half = 1 << sum_bits - 1
    sums = [(x + (a << 4 * far) + half) % (2 * half) - half for x, a, far in choices]
    assert results(unit, [{"x": x, "a": a, "far": far} for x, a, far in choices]) == sums


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_each_digit_multiplies_its_own_number(rows):
    m, draw = Module(), random.Random(rows)
    numbers = [(Signal(4, name=f"once_{row}"), Signal(6, name=f"thrice_{row}")) for row in range(rows)]
    digits = [Signal(2, name=f"digit_{row}") for row in range(rows)]
    multiples = [SimpleNamespace(once=once, thrice=thrice) for once, thrice in numbers]
    at = SimpleNamespace(multiples=multiples, digits=list(digits))
    run_steps(m, at, multiples_steps("product", rows), registers=0)
    product = at.product
    assert product.interval.hi >= sum(15 * 3 << 2 * row for row in range(rows))

    async def bench(ctx):
        for step in range(200):
            given = [(15, 3) if not step else (draw.randrange(16), draw.randrange(4)) for _row in range(rows)]
            for (once, thrice), digit, (number, factor) in zip(numbers, digits, given, strict=True):
                ctx.set(once, number)
                ctx.set(thrice, 3 * number)
                ctx.set(digit, factor)
            await ctx.delay(1e-9)
            expected = sum(number * factor << 2 * row for row, (number, factor) in enumerate(given))
            assert ctx.get(product.value) == expected

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
