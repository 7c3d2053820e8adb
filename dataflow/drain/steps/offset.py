"""The offset of a group and column, times the sum of a row's activations."""

from amaranth.hdl import Module, Value

from dataflow.drain.pipeline import ADD, CONVERT, Column, StepCircuit, multiply_stages
from hw.core.number import Number
from hw.core.registers import delayed
from hw.core.unit import place
from hw.float.add import FloatAdd
from hw.float.multiply import FloatMultiply
from sw_ref.drain.steps.offset import Offset

__all__ = ["OffsetCircuit"]


class OffsetCircuit(StepCircuit[Offset]):
    """The product is formed while the steps before are at work, so that most often only the sum takes time."""

    late = ("row_sum_float",)

    @property
    def _lead(self) -> int:
        return multiply_stages(self.step.form)

    @property
    def cycles(self) -> int:
        return self._begin + self._lead - self.start + ADD

    @property
    def _begin(self) -> int:
        """When the product begins: not before the row's sum is a float."""
        return max(CONVERT, self.start - self._lead)

    def time_of(self, name: str) -> int:
        return self._begin

    def describe(self, m: Module, column: Column, value: Number | Value) -> Value:
        floats, form = self.edge.arithmetic, self.step.form
        assert isinstance(value, Value)
        unit = place(m, "offset_product", FloatMultiply(shape=floats, y_shape=form, dsp="none", pipeline=self._lead))
        add = place(m, "with_offset", FloatAdd(shape=floats, pipeline=ADD))
        m.d.comb += [
            unit.x.eq(column.row_sum_float),
            unit.y.eq(column.field(m, "offset", self._begin)),
            add.x.eq(delayed(m, value, self._begin + self._lead - self.start, name="before_offset")),
            add.y.eq(unit.product),
        ]
        return add.sum
