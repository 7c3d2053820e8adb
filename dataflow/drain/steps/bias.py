"""The bias of a column."""

from amaranth.hdl import Module, Value

from dataflow.drain.pipeline import ADD, Column, StepCircuit, register
from hw.core.narrow import keep
from hw.core.number import Number
from hw.core.unit import place
from hw.float.add import FloatAdd
from sw_ref.drain.steps.bias import Bias

__all__ = ["BiasCircuit"]


class BiasCircuit(StepCircuit[Bias]):
    """A sum of floats, or one of integers that takes a cycle."""

    @property
    def cycles(self) -> int:
        return ADD if self.edge.floating else 1

    def describe(self, m: Module, column: Column, value: Number | Value) -> Number | Value:
        bias = column.field(m, "bias", self.start)
        if isinstance(value, Number):
            return register(m, "biased", keep(value + Number(bias), self.edge.accumulator))
        add = place(m, "biased", FloatAdd(shape=self.edge.arithmetic, pipeline=ADD))
        m.d.comb += [add.x.eq(value), add.y.eq(bias)]
        return add.sum
