"""Pipelines of a column at the drain edge, and the arithmetic that they are made of."""

from abc import abstractmethod
from collections.abc import Sequence

from amaranth.hdl import Module, Shape, Value

from hw.core.delay import delayed
from hw.core.number import Number
from hw.core.unit import Unit, place
from hw.float.from_integer import IntegerToFloat
from hw.float.multiply import FloatMultiply
from sw_ref.drain.edge import Drain
from sw_ref.formats.binary_float import FloatShape
from sw_ref.formats.signs import PowerOfTwo
from sw_ref.interval import Interval

__all__ = [
    "ADD",
    "CONVERT",
    "REQUANTIZE",
    "PipelinedColumn",
    "field_shapes",
    "multiply_stages",
    "register",
    "to_float",
]

ADD, CONVERT, REQUANTIZE = 4, 3, 8
"""Register stages of the arithmetic, for 100 MHz and more on ECP5."""


def multiply_stages(factor: FloatShape) -> int:
    """Register stages of a product, by the factor that makes the rows of the multiplier."""
    return next(stages for most, stages in ((0, 2), (3, 4), (10, 5), (23, 8)) if factor.fraction <= most)


def field_shapes(drain: Drain, *, act: Interval, weight: Interval, depth: int) -> dict[str, Shape]:
    """Shape of every parameter that a drain edge takes, for sums of ``depth`` products at most of such integers."""
    floats = drain.arithmetic.bits
    column_sum = (weight | 0).sum_of(depth)
    shapes = {
        "weight_zero": drain.weight_zero and Shape(drain.weight_zero.bits, drain.weight_zero.signed),
        "act_zero": drain.act_zero and Shape(drain.act_zero.bits, drain.act_zero.signed),
        "column_sum": Shape(column_sum.signed_bits, True),
        "scale": drain.scale and _scale_shape(drain),
        "act_scale": Shape(drain.act_scale_format.bits),
        "channel_scale": Shape(floats),
        "bias": Shape(floats) if drain.floating else Shape(32, True),
        "multiplier": Shape(drain.multiplier_bits),
        "shift": Shape(6),
    }
    return {name: shapes[name] for name in (*drain.column_fields, *drain.row_fields, *drain.output_fields)}


def _scale_shape(drain: Drain) -> Shape:
    if isinstance(drain.scale, PowerOfTwo):
        return Shape(drain.scale_terms * drain.scale.bits)
    return Shape(drain.scale.bits, not isinstance(drain.scale, FloatShape) and drain.scale.signed)


class PipelinedColumn(Unit):
    """A pipeline of steps, each of which takes its parameters when the value reaches it.

    Parameters are given along with the value, and wait inside, but for those in ``late``: these are given when they are
    needed, see `time_of`, since they are the same for all columns.
    """

    late: tuple[str, ...] = ("act_scale",)
    drain: Drain

    @property
    @abstractmethod
    def steps(self) -> Sequence[tuple[str, int]]:
        """Names of the steps, and cycles that they take. Step ``x`` is described by the method ``_x``."""

    @property
    def latency(self) -> int:
        """Cycles from the value to the result."""
        return sum(cycles for _step, cycles in self.steps)

    def time_of(self, step: str) -> int:
        """Cycles until the value reaches a step."""
        names = [name for name, _cycles in self.steps]
        return sum(cycles for _step, cycles in self.steps[: names.index(step)])

    def run(self, m: Module, value: object) -> object:
        """Describe all steps, from ``value`` to the result."""
        self._time = 0
        for step, cycles in self.steps:
            value = getattr(self, f"_{step}")(m, value)
            self._time += cycles
        return value

    def field(self, m: Module, name: str) -> Value:
        """A parameter, at the time of the step that is being described."""
        port = getattr(self, name)
        return port if name in self.late else delayed(m, port, self._time, name=name)

    def scaled(self, m: Module, name: str, value: Value, factor: FloatShape) -> Value:
        """``value`` times the parameter ``name``, a ``factor``, `multiply_stages` later."""
        shape, pipeline = self.drain.arithmetic, multiply_stages(factor)
        unit = place(m, f"{name}_product", FloatMultiply(shape=shape, y_shape=factor, dsp="none", pipeline=pipeline))
        m.d.comb += [unit.x.eq(value), unit.y.eq(self.field(m, name))]
        return unit.product

    def _act_scale(self, m: Module, value: Value) -> Value:
        return self.scaled(m, "act_scale", value, self.drain.act_scale_format)


def register(m: Module, name: str, number: Number) -> Number:
    """``number``, a cycle later."""
    return Number(delayed(m, number.value, 1, name=name), number.interval)


def to_float(m: Module, integer: Number, shape: FloatShape) -> Value:
    """``integer`` as a float, `CONVERT` cycles later."""
    given = integer.value.shape()
    convert = IntegerToFloat(bits=given.width, signed=given.signed, shape=shape, pipeline=CONVERT)
    place(m, "to_float", convert)
    m.d.comb += convert.integer.eq(integer.value)
    return convert.code
