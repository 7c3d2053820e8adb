"""The scale of a column."""

from amaranth.hdl import Module, Value

from dataflow.drain.pipeline import Column, StepCircuit, multiply_stages, scaled
from hw.core.number import Number
from sw_ref.drain.steps.channel_scale import ChannelScale

__all__ = ["ChannelScaleCircuit"]


class ChannelScaleCircuit(StepCircuit[ChannelScale]):
    """A product."""

    @property
    def cycles(self) -> int:
        return multiply_stages(self.edge.arithmetic)

    def describe(self, m: Module, column: Column, value: Number | Value) -> Value:
        return scaled(m, column, "channel_scale", value, self.edge.arithmetic, self.start)
