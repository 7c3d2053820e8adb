"""Products of integers at the drain edge."""

from amaranth.hdl import Module

from hw.core.number import Number
from hw.core.stages import stages_for
from hw.core.unit import place
from hw.integer.multiply import Multiply, product_steps
from sw_ref.interval import Interval

__all__ = ["product", "product_cycles"]


def product_cycles(factor: Interval) -> int:
    """Register stages of `product`: more where ``factor`` makes many rows of adders."""
    return 1 + stages_for(product_steps(factor, dsp="none"))


def product(m: Module, name: str, x: Number, factor: Number) -> Number:
    """``x * factor``, `product_cycles` of the factor's interval later."""
    a, b = ((len(each.value), each.value.shape().signed) for each in (x, factor))
    unit = place(m, name, Multiply(a=a, b=b, dsp="none", pipeline=product_cycles(factor.interval)))
    m.d.comb += [unit.a.eq(x.value), unit.b.eq(factor.value)]
    return Number(unit.product, x.interval * factor.interval)
