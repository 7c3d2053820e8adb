"""Exact arithmetic against Python integers."""

import operator
import re
from typing import Any

import pytest
from amaranth.hdl import Const, Signal, signed, unsigned

from hw.core.number import Number, WidthError, assign, shape_of, total
from sw_ref.interval import Interval

INTERVALS = [
    Interval(*bounds) for bounds in ((0, 0), (0, 1), (-1, 0), (-1, 1), (0, 7), (3, 9), (-8, 7), (-9, -4), (-3, 12))
]
PAIRS = [(x, y) for x in INTERVALS for y in INTERVALS]


def held_by(shape):
    """All values of a shape."""
    return Interval.of_bits(shape.width, shape.signed)


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul])
def test_arithmetic_is_exact_and_no_wider_than_its_values(operation, evaluate):
    results = evaluate([(lambda m, x, y: operation(x, y), pair) for pair in PAIRS])
    for number, values in results:
        assert values == {operands: operation(*operands) for operands in values}
        assert number.interval == Interval(min(values.values()), max(values.values()))
        assert number.value.shape() == shape_of(number.interval)


@pytest.mark.parametrize("places", [0, 1, 3])
def test_shift_is_exact(places, evaluate):
    for number, values in evaluate([(lambda m, x: x << places, (interval,)) for interval in INTERVALS]):
        assert values == {(x,): x << places for (x,) in values}
        assert number.interval == Interval(min(values.values()), max(values.values()))


@pytest.mark.parametrize("count", range(8))
def test_total_is_exact(count, evaluate):
    intervals = tuple(Interval(-(i % 3), i % 2) for i in range(count))
    ((number, values),) = evaluate([(lambda m, *numbers: total(numbers), intervals)])
    assert values == {operands: sum(operands) for operands in values}
    assert number.interval == Interval(min(values.values()), max(values.values()))


def test_total_is_a_balanced_tree():
    class Counted(Number):
        depth = 0

        def __add__(self, other):
            assert isinstance(other, Counted)
            result = Counted(self.value + other.value, self.interval + other.interval)
            result.depth = 1 + max(self.depth, other.depth)
            return result

    for count in range(1, 20):
        summed = total(Counted(Signal(4)) for _ in range(count))
        assert isinstance(summed, Counted)
        assert summed.depth == (count - 1).bit_length()


@pytest.mark.parametrize("constant", [-8, -1, 0, 1, 7, 8])
def test_constant(constant, evaluate):
    ((number, values),) = evaluate([(lambda m: Number.constant(constant), ())])
    assert values == {(): constant}
    assert number.interval == Interval(constant, constant)


@pytest.mark.parametrize("shape", [unsigned(3), signed(3), unsigned(1), signed(1)])
def test_number_holds_what_its_value_can_by_default(shape):
    assert Number(Signal(shape)).interval == held_by(shape)


def test_number_of_a_value_without_bits_is_0():
    assert Number(Signal(0)).interval == Interval(0, 0)


@pytest.mark.parametrize(
    ("value", "interval", "shape"),
    [
        (Signal(signed(8)), Interval(0, 5), unsigned(3)),
        (Signal(signed(8)), Interval(-5, 1), signed(4)),
        (Signal(8), Interval(0, 255), unsigned(8)),
        (Const(3, 8), Interval(3, 3), unsigned(2)),
    ],
)
def test_number_keeps_only_the_bits_that_say_something(value, interval, shape):
    assert Number(value, interval).value.shape() == shape


def test_shortened_value_is_exact(evaluate):
    cases = []
    for interval in INTERVALS:
        wide = Interval(-100, 100)
        cases.append(
            (
                lambda m, x, wide=wide: Number((x + Number(Const(0, signed(8)), wide)).value, x.interval),
                (interval,),
            )
        )
    for _number, values in evaluate(cases):
        assert values == {(x,): x for (x,) in values}


@pytest.mark.parametrize("shape", [make(width) for make in (unsigned, signed) for width in (1, 2, 3, 4)])
def test_assignment_is_exact_or_refused(shape):
    target = Signal(shape)
    for lo in range(-10, 18):
        for hi in range(lo, 18):
            number = Number(Signal(signed(6)), Interval(lo, hi))
            if Interval(lo, hi) in held_by(shape):
                statement: Any = assign(target, number)
                assert statement.lhs is target
            else:
                sign = "Signed" if shape.signed else "Unsigned"
                message = f"{sign} {shape.width}-bit value cannot hold {lo} to {hi}"
                with pytest.raises(WidthError, match=f"^{re.escape(message)}$"):
                    assign(target, number)


@pytest.mark.parametrize(
    ("value", "interval", "message"),
    [
        (Signal(3), Interval(0, 8), "Unsigned 3-bit value cannot hold 0 to 8"),
        (Signal(3), Interval(-1, 3), "Unsigned 3-bit value cannot hold -1 to 3"),
        (Signal(signed(3)), Interval(0, 4), "Signed 3-bit value cannot hold 0 to 4"),
        (Signal(0), Interval(0, 1), "Unsigned 0-bit value cannot hold 0 to 1"),
    ],
)
def test_number_wider_than_its_value_is_refused(value, interval, message):
    with pytest.raises(WidthError, match=f"^{re.escape(message)}$"):
        Number(value, interval)
