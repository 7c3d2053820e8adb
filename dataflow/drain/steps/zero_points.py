"""Zero points: products of a zero point and a sum, subtracted."""

from amaranth.hdl import Module, Value

from dataflow.drain.pipeline import Column, StepCircuit, register
from dataflow.drain.products import product
from hw.core.narrow import wrap
from hw.core.number import Number
from sw_ref.drain.steps.zero_points import ZeroPoints

__all__ = ["ZeroPointsCircuit"]


class ZeroPointsCircuit(StepCircuit[ZeroPoints]):
    """Two cycles: the products, and what is subtracted."""

    @property
    def cycles(self) -> int:
        return 2

    def describe(self, m: Module, column: Column, value: Number | Value) -> Number:
        assert isinstance(value, Number)
        centred = register(m, "sum_waiting", value)
        if self.step.weight_zero:
            row_sum = Number(column.row_sum, column.sizes.row_sum)
            zero = Number(column.field(m, "weight_zero", self.start))
            centred = centred - product(m, "weight_zero_product", zero, row_sum)
        if self.step.act_zero:
            zero = Number(column.field(m, "act_zero", self.start))
            centred = centred - product(m, "act_zero_product", zero, Number(column.field(m, "column_sum", self.start)))
        return register(m, "centred", wrap(centred, column.integer_bits))
