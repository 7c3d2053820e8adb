"""Zero points: products of a zero point and a sum, subtracted."""

from amaranth.hdl import Module, Value

from dataflow.drain.pipeline import Column, StepCircuit, register
from dataflow.drain.products import product, product_cycles
from hw.core.narrow import wrap
from hw.core.number import Number
from hw.core.registers import delayed
from sw_ref.drain.steps.zero_points import ZeroPoints

__all__ = ["ZeroPointsCircuit"]


class ZeroPointsCircuit(StepCircuit[ZeroPoints]):
    """Products, and a cycle for what is subtracted."""

    @property
    def cycles(self) -> int:
        return self._products + 1

    @property
    def _products(self) -> int:
        """Cycles of the products: both come at once."""
        forms = (self.step.weight_zero, self.step.act_zero)
        return max(product_cycles(form.interval) for form in forms if form)

    def describe(self, m: Module, column: Column, value: Number | Value) -> Number:
        assert isinstance(value, Number)
        centred = Number(delayed(m, value.value, self._products, name="sum_waiting"), value.interval)
        if self.step.weight_zero:
            row_sum = Number(column.row_sum, column.sizes.row_sum)
            centred = centred - self._product(m, column, "weight_zero", row_sum)
        if self.step.act_zero:
            column_sum = Number(column.field(m, "column_sum", self.start))
            centred = centred - self._product(m, column, "act_zero", column_sum)
        return register(m, "centred", wrap(centred, column.integer_bits))

    def _product(self, m: Module, column: Column, zero: str, total: Number) -> Number:
        """A zero point times a sum, when the later of the products is there."""
        factor = Number(column.field(m, zero, self.start))
        found = product(m, f"{zero}_product", total, factor)
        waits = self._products - product_cycles(factor.interval)
        return Number(delayed(m, found.value, waits, name=f"{zero}_waiting"), found.interval)
