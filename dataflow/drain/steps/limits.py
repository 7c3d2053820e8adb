"""Bounds of a result."""

from amaranth.hdl import Cat, Module, Mux, Value

from dataflow.drain.pipeline import Column, StepCircuit, register
from hw.core.narrow import saturate
from hw.core.number import Number
from hw.core.registers import delayed
from sw_ref.arith.float_codes import infinity_and_nan, round_to
from sw_ref.drain.steps.limits import Limits
from sw_ref.formats.minifloat import Float
from sw_ref.interval import Interval

__all__ = ["LimitsCircuit"]


class LimitsCircuit(StepCircuit[Limits]):
    """One cycle."""

    @property
    def cycles(self) -> int:
        return 1

    def describe(self, m: Module, column: Column, value: Number | Value) -> Number | Value:
        return self._integer(m, value) if isinstance(value, Number) else self._float(m, value)

    def _integer(self, m: Module, y: Number) -> Number:
        if self.step.clamp:
            y = saturate(y, Interval(*map(int, self.step.clamp)))
        if self.step.relu:
            y = saturate(y, Interval(0, max(0, y.interval.hi)))
        return register(m, "limited", y)

    def _float(self, m: Module, y: Value) -> Value:
        floats = self.edge.arithmetic
        infinity, nan = infinity_and_nan(floats)
        is_nan = y[:-1] > infinity
        limited = y
        if self.step.clamp:
            low, high = (int(round_to(floats, bound)) for bound in self.step.clamp)
            limited = Mux(_ordered(y) < _ordered_code(low, floats), low, limited)
            limited = Mux(_ordered(y) > _ordered_code(high, floats), high, limited)
        if self.step.relu:
            limited = Mux(limited[-1], 0, limited)
        return delayed(m, Mux(is_nan, nan, limited), 1, name="limited")


def _ordered(code: Value) -> Value:
    """A signed integer that is larger where the float is."""
    magnitude = code[:-1]
    return Mux(code[-1], -magnitude, Cat(magnitude, 0).as_signed())


def _ordered_code(code: int, floats: Float) -> int:
    sign = 1 << (floats.bits - 1)
    return -(code ^ sign) if code & sign else code
