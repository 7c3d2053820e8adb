"""Floating-point arithmetic on FPGA logic: conversion from integers, and products; for sums see hw.float_add."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal
from amaranth.lib.wiring import In, Out

from hw.float_parts import Fields, normalize_steps, rounding_steps, shape_name
from hw.multiply import check_dsp, product_steps
from hw.number import Number, wire
from hw.stages import Step, check_pipeline, run_steps
from hw.unit import Unit
from sw_ref.binary_float import FloatShape
from sw_ref.interval import Interval

__all__ = ["FloatMultiply", "IntegerToFloat"]


class IntegerToFloat(Unit):
    """``code = shape.from_integer(integer)``, see `sw_ref.binary_float.FloatShape`.

    Parameters
    ----------
    bits : int
    signed : bool
        Of the integer.
    shape : FloatShape
    pipeline : int
        Register stages, the last of them at the output, and so the latency.
    """

    def __init__(self, *, bits: int, signed: bool, shape: FloatShape, pipeline: int) -> None:
        check_pipeline(pipeline)
        self.shape = shape
        self.latency = pipeline
        interval = Interval.of_bits(bits, signed)
        self.magnitude_bits = max(-interval.lo, interval.hi).bit_length()
        super().__init__({"integer": In(Shape(bits, signed)), "code": Out(shape.bits)})

    @property
    def name(self) -> str:
        kind = "i" if self.integer.shape().signed else "u"
        return f"{kind}{len(self.integer)}_to_{shape_name(self.shape)}_p{self.latency}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        integer = Number(self.integer)
        at = SimpleNamespace(integer=integer, nan=Const(0), infinite=Const(0))
        steps = [
            Step(3 if integer.interval.signed else 0, self._magnitude),
            *normalize_steps(self.magnitude_bits),
            Step(1, self._exponent),
            *rounding_steps(self.shape),
        ]
        run_steps(m, at, steps, registers=self.latency)
        m.d.comb += self.code.eq(at.code)
        return m

    def _magnitude(self, m: Module, at: SimpleNamespace) -> None:
        at.sign, at.significand = Const(0), at.integer.value
        if at.integer.interval.signed:
            at.sign = at.integer.value[-1]
            negative = wire(m, "negative", Number.constant(0) - at.integer)
            magnitude = Signal(self.magnitude_bits, name="magnitude")
            m.d.comb += magnitude.eq(Mux(at.sign, negative.value, at.integer.value)[: len(magnitude)])
            at.significand = magnitude
        del at.integer

    def _exponent(self, m: Module, at: SimpleNamespace) -> None:
        at.zero = ~at.significand[-1]
        top = self.shape.bias + len(at.significand) - 1
        # 1 less, since the integer bit of the significand adds to the exponent
        at.exponent = wire(m, "exponent", Number.constant(top - 1) - Number(at.zeros))


class FloatMultiply(Unit):
    """``product = x * y``, rounded as `sw_ref.binary_float.FloatShape` says.

    Parameters
    ----------
    shape : FloatShape
        Of ``x`` and of the product.
    y_shape : FloatShape
        Of ``y``; the fewer bits its fraction has, the fewer rows the multiplier.
    dsp : {"none", "auto"}
        How significands are multiplied, as for `hw.multiply.Multiply`.
    pipeline : int
        Register stages, the last of them at the output, and so the latency.
    """

    def __init__(self, *, shape: FloatShape, y_shape: FloatShape, dsp: str, pipeline: int) -> None:
        check_dsp(dsp)
        check_pipeline(pipeline)
        self.shape = shape
        self.y_shape = y_shape
        self.dsp = dsp
        self.latency = pipeline
        super().__init__({"x": In(shape.bits), "y": In(y_shape.bits), "product": Out(shape.bits)})

    @property
    def name(self) -> str:
        by = f"_{shape_name(self.y_shape)}" if self.y_shape != self.shape else ""
        return f"multiply_{shape_name(self.shape)}{by}{'_dsp' if self.dsp == 'auto' else ''}_p{self.latency}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        at = SimpleNamespace(x=self.x, y=self.y)
        one = 1 << self.y_shape.fraction
        steps = [
            Step(0, self._unpack),
            *product_steps(Interval(one, 2 * one - 1), dsp=self.dsp),
            Step(2, self._normalize),
            *rounding_steps(self.shape, whole_bits=2 if self.y_shape.fraction else 1),
        ]
        run_steps(m, at, steps, registers=self.latency)
        m.d.comb += self.product.eq(at.code)
        return m

    def _unpack(self, m: Module, at: SimpleNamespace) -> None:
        x, y = Fields(at.x, self.shape), Fields(at.y, self.y_shape)
        at.sign = x.sign ^ y.sign
        at.zero = x.is_zero | y.is_zero
        at.infinite = x.is_special | y.is_special
        # NaN times anything, and infinity times 0
        at.nan = (x.is_special & (x.fraction.any() | y.is_zero)) | (y.is_special & (y.fraction.any() | x.is_zero))
        exponents = wire(m, "exponents", Number(x.exponent) + Number(y.exponent))
        at.exponent = wire(m, "exponent", exponents - Number.constant(self.y_shape.bias + 1))
        at.multiplicand, at.multiplier = x.significand, y.significand

    def _normalize(self, m: Module, at: SimpleNamespace) -> None:
        product, below = at.product.value, self.y_shape.fraction
        if not below:
            # a power of two leaves the significand alone
            at.significand = product
            return
        top = product[-1]
        larger = Cat(product[:below].any(), product[below:-1])
        smaller = Cat(product[: below - 1].any() if below > 1 else 0, product[below - 1 : -2])
        # an integer part of 1, or of 2 where the product is 2 or more, which then adds to the exponent
        at.significand = Signal(len(larger) + 2, name="normalized")
        m.d.comb += at.significand.eq(Cat(Mux(top, larger, smaller), ~top, top))
