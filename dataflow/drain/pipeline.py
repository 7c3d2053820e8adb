"""Pipelines of a column at the drain edge: the steps of a stage, one behind the other."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Generic, TypeVar

from amaranth.hdl import Module, Shape, Value

from hw.core.number import Number
from hw.core.registers import delayed
from hw.core.unit import Unit, place
from hw.float.from_integer import IntegerToFloat
from hw.float.multiply import FloatMultiply
from sw_ref.drain.edge import Drain
from sw_ref.drain.step import Step
from sw_ref.formats.minifloat import Float

__all__ = ["ADD", "CONVERT", "Column", "StepCircuit", "multiply_stages", "register", "scaled", "to_float"]

ADD, CONVERT = 6, 3
"""Register stages of a float sum, and of an integer that becomes a float, for 100 MHz and more on ECP5."""

AnyStep = TypeVar("AnyStep", bound=Step)


def multiply_stages(factor: Float) -> int:
    """Register stages of a float product, by the factor that makes the rows of the multiplier."""
    return next(stages for most, stages in ((0, 2), (3, 4), (10, 5), (23, 8)) if factor.fraction <= most)


@dataclass(frozen=True)
class StepCircuit(ABC, Generic[AnyStep]):
    """The circuit of a step, in a column of the drain edge; `sw_ref.drain.step.Step.compute` is its specification.

    Parameters
    ----------
    step : Step
    edge : Drain
    start : int
        Cycles from the value that the column is given to this step.
    """

    late: ClassVar[tuple[str, ...]] = ()
    """Parameters, or sums of rows, that are the same for all columns: given when the step takes them."""

    step: AnyStep
    edge: Drain
    start: int

    @property
    @abstractmethod
    def cycles(self) -> int:
        """Register stages."""

    def time_of(self, name: str) -> int:
        """Cycles from the value that the column is given to when the step takes ``late`` parameter ``name``."""
        return self.start

    @abstractmethod
    def describe(self, m: Module, column: "Column", value: Number | Value) -> Number | Value:
        """What comes of ``value``, `cycles` later: a `Number` of integers, codes of floats."""


class Column(Unit):
    """A pipeline of the steps of a stage, each of which takes its parameters when the value reaches it.

    Parameters are given along with the value and wait inside, but for those that are ``late``: these are given when
    they are needed, see `time_of`, since they are the same for all columns. Integers become floats, `CONVERT` cycles
    later, in front of the first step that wants them.
    """

    drain: Drain
    integer_bits: int
    """Width of integers that are wrapped, as no bit above has a say in what is kept."""
    kinds: Sequence[tuple[Step, type[StepCircuit]]]
    """The steps, in their order, and the circuit of each."""

    @property
    @abstractmethod
    def takes_floats(self) -> bool:
        """Whether the column is given floats."""

    @property
    def converts(self) -> bool:
        """Whether integers become floats inside."""
        return not self.takes_floats and any(step.wants_floats for step, _kind in self.kinds)

    @cached_property
    def circuits(self) -> list[StepCircuit]:
        """The circuits, each with the time at which it starts."""
        found, time, is_float = [], 0, self.takes_floats
        for step, kind in self.kinds:
            if step.wants_floats and not is_float:
                time, is_float = time + CONVERT, True
            found.append(kind(step, self.drain, time))
            time += found[-1].cycles
        return found

    @property
    def latency(self) -> int:
        """Cycles from the value to the result."""
        return (CONVERT if self.converts else 0) + sum(circuit.cycles for circuit in self.circuits)

    @property
    def late(self) -> tuple[str, ...]:
        """What is given late."""
        return tuple(name for circuit in self.circuits for name in circuit.late)

    def time_of(self, name: str) -> int:
        """Cycles from the value to when a late parameter is taken."""
        return next(circuit.time_of(name) for circuit in self.circuits if name in circuit.late)

    def run(self, m: Module, value: Number | Value) -> Number | Value:
        """Describe all steps, from ``value`` to the result."""
        for circuit in self.circuits:
            if circuit.step.wants_floats and isinstance(value, Number):
                value = to_float(m, value, self.drain.arithmetic)
            value = circuit.describe(m, self, value)
        return value

    def field(self, m: Module, name: str, time: int) -> Value:
        """A parameter, at a time after the value that it comes with."""
        port = getattr(self, name)
        return port if name in self.late else delayed(m, port, time, name=name)


def scaled(m: Module, column: Column, name: str, value: Number | Value, factor: Float, time: int) -> Value:
    """``value`` times the parameter ``name``, a ``factor``, `multiply_stages` after ``time``."""
    shape, pipeline = column.drain.arithmetic, multiply_stages(factor)
    assert isinstance(value, Value)
    unit = place(m, f"{name}_product", FloatMultiply(shape=shape, y_shape=factor, dsp="none", pipeline=pipeline))
    m.d.comb += [unit.x.eq(value), unit.y.eq(column.field(m, name, time))]
    return unit.product


def register(m: Module, name: str, number: Number) -> Number:
    """``number``, a cycle later."""
    return Number(delayed(m, number.value, 1, name=name), number.interval)


def to_float(m: Module, integer: Number, shape: Float) -> Value:
    """``integer`` as a float, `CONVERT` cycles later."""
    given = Shape.cast(integer.value.shape())
    convert = IntegerToFloat(bits=given.width, signed=given.signed, shape=shape, pipeline=CONVERT)
    place(m, "to_float", convert)
    m.d.comb += convert.integer.eq(integer.value)
    return convert.code
