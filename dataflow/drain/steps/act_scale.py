"""The scale of a row."""

from amaranth.hdl import Module, Value

from dataflow.drain.pipeline import Column, StepCircuit, multiply_stages, scaled
from hw.core.number import Number
from sw_ref.drain.steps.act_scale import ActScale

__all__ = ["ActScaleCircuit"]


class ActScaleCircuit(StepCircuit[ActScale]):
    """A product; the scale is the same for all columns."""

    late = ("act_scale",)

    @property
    def cycles(self) -> int:
        return multiply_stages(self.step.form(self.edge))

    def describe(self, m: Module, column: Column, value: Number | Value) -> Value:
        return scaled(m, column, "act_scale", value, self.step.form(self.edge), self.start)
