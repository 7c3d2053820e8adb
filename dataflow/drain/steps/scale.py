"""The scale of a group and column: shifts, a product of integers, or one of floats."""

from amaranth.hdl import Module, Mux, Signal, Value, signed

from dataflow.drain.pipeline import Column, StepCircuit, multiply_stages, register, scaled
from dataflow.drain.products import product, product_cycles
from hw.core.narrow import wrap
from hw.core.number import Number, total
from hw.core.rows import above
from sw_ref.drain.steps.scale import Scale
from sw_ref.formats.minifloat import Float
from sw_ref.formats.signs import PowerOfTwo

__all__ = ["ScaleCircuit"]


class ScaleCircuit(StepCircuit[Scale]):
    """One cycle for shifts, `product_cycles` for integers, `multiply_stages` for floats."""

    @property
    def cycles(self) -> int:
        form = self.step.scale
        if isinstance(form, Float):
            return multiply_stages(form)
        return 1 if form is None or isinstance(form, PowerOfTwo) else product_cycles(form.interval)

    def describe(self, m: Module, column: Column, value: Number | Value) -> Number | Value:
        form = self.step.scale
        if isinstance(form, Float):
            return scaled(m, column, "scale", value, form, self.start)
        assert isinstance(value, Number)
        scale = column.field(m, "scale", self.start)
        if isinstance(form, PowerOfTwo):
            return self._shifted(m, column, form, value, scale)
        return wrap(product(m, "scale_product", value, Number(scale)), column.integer_bits)

    def _shifted(self, m: Module, column: Column, form: PowerOfTwo, centred: Number, codes: Value) -> Number:
        shifted = []
        for index in range(self.step.scale_terms):
            code = codes.word_select(index, form.bits)
            exponent, negative = code[:-1], code[-1]
            largest = centred.interval * form.terms[0][-1] | 0
            magnitude = Signal(signed(min(largest.signed_bits, column.integer_bits)), name=f"shifted_{index}")
            # the exponent counts from 1, and 0 is 0
            doubled = above(m, centred.value << exponent, magnitude, name=f"doubled_{index}")
            m.d.comb += magnitude.eq(Mux(exponent == 0, 0, doubled))
            spread = largest | -largest if largest.signed_bits == len(magnitude) else None
            shifted.append(Number(Mux(negative, -magnitude, magnitude), spread))
        return register(m, "term_integer", wrap(total(shifted), column.integer_bits))
