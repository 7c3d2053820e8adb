"""Requantization of a total."""

from amaranth.hdl import Module, Value

from dataflow.drain.pipeline import Column, StepCircuit
from hw.core.number import Number
from hw.core.unit import place
from hw.integer import requantize
from sw_ref.drain.steps.requantize import Requantize

__all__ = ["RequantizeCircuit"]


class RequantizeCircuit(StepCircuit[Requantize]):
    """A `hw.integer.requantize.Requantize`."""

    @property
    def cycles(self) -> int:
        return 8

    def describe(self, m: Module, column: Column, value: Number | Value) -> Number:
        assert isinstance(value, Number)
        step = self.step
        form = step.form
        unit = requantize.Requantize(
            bits_in=len(value.value),
            multiplier_bits=step.multiplier_bits,
            shift_bits=len(column.shift),
            bits_out=form.bits,
            signed=form.signed,
            rounding=step.rounding,
            addend_bits=32 if step.addend else 0,
            zero=step.out_zero,
            dsp="none",
            pipeline=self.cycles,
        )
        place(m, "requantized", unit)
        m.d.comb += unit.integer.eq(value.value)
        for parameter in step.parameters(self.edge):
            m.d.comb += getattr(unit, parameter.name).eq(column.field(m, parameter.name, self.start))
        return Number(unit.result)
