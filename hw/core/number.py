"""Exact arithmetic: values with proven intervals, which never lose a bit."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Const, Module, Shape, Signal, Value, signed, unsigned

from sw_ref.interval import Interval

__all__ = ["Number", "WidthError", "assign", "shape_of", "total", "wire"]


class WidthError(ValueError):
    """A value would lose bits where it is assigned."""


def shape_of(interval: Interval) -> Shape:
    """Smallest Amaranth shape that holds every member of ``interval``."""
    return signed(interval.bits) if interval.signed else unsigned(interval.bits)


class Number:
    """An integer in hardware, with the interval that it is proven to stay in.

    ``+``, ``-``, ``*`` and ``<<`` by a constant give the exact result, as wide as its interval needs and no wider.

    Parameters
    ----------
    value : Value
        What carries the integer; its width may be above that of the interval, never below.
    interval : Interval, optional
        All values that can occur; all that ``value`` can hold if left out.

    Raises
    ------
    WidthError
        If ``value`` cannot hold the interval.
    """

    def __init__(self, value: Value, interval: Interval | None = None) -> None:
        value = Value.cast(value)
        holds = _holds(value)
        if interval is None:
            interval = holds
        shape = shape_of(interval)
        if value.shape() != shape:
            if interval not in holds:
                raise WidthError(f"{_describe(value.shape())} cannot hold {interval}")
            value = _shorten(value, shape)
        self.value = value
        self.interval = interval

    @classmethod
    def constant(cls, number: int) -> Number:
        """The integer ``number``."""
        interval = Interval(number, number)
        return cls(Const(number, shape_of(interval)), interval)

    def __add__(self, other: Number) -> Number:
        return Number(self.value + other.value, self.interval + other.interval)

    def __sub__(self, other: Number) -> Number:
        return Number(self.value - other.value, self.interval - other.interval)

    def __mul__(self, other: Number) -> Number:
        return Number(self.value * other.value, self.interval * other.interval)

    def __lshift__(self, places: int) -> Number:
        return Number(self.value.shift_left(places), self.interval * (1 << places))


def total(numbers: Iterable[Number]) -> Number:
    """Sum of all ``numbers`` by a balanced tree of adders; 0 if there are none."""
    level = list(numbers)
    while len(level) > 1:
        pairs = [level[i] + level[i + 1] for i in range(0, len(level) - 1, 2)]
        level = pairs + level[2 * len(pairs) :]
    return level[0] if level else Number.constant(0)


def assign(target: Value, number: Number) -> object:
    """The statement ``target.eq(number)``.

    Raises
    ------
    WidthError
        If ``target`` cannot hold every value of ``number``: narrowing is done by name, see `hw.core.narrow`.
    """
    if number.interval not in _holds(target):
        raise WidthError(f"{_describe(target.shape())} cannot hold {number.interval}")
    return target.eq(number.value)


def wire(module: Module, name: str, number: Number) -> Number:
    """``number`` on a wire of its own, called ``name`` in the Verilog."""
    signal = Signal(shape_of(number.interval), name=name)
    module.d.comb += assign(signal, number)
    return Number(signal, number.interval)


def _holds(value: Value) -> Interval:
    shape = value.shape()
    return Interval.of_bits(shape.width, shape.signed) if shape.width else Interval(0, 0)


def _shorten(value: Value, shape: Shape) -> Value:
    """``value`` in fewer bits, where the interval proves that the dropped ones say nothing."""
    kept = value[: shape.width]
    return kept.as_signed() if shape.signed else kept


def _describe(shape: Shape) -> str:
    return f"{'Signed' if shape.signed else 'Unsigned'} {shape.width}-bit value"
