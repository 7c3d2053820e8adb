"""Products of floats."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hw.core.naming import format_name
from hw.core.number import Number, wire
from hw.core.stages import Step, check_pipeline, run_steps
from hw.core.unit import Unit
from hw.float.parts import Fields, rounding_steps
from hw.integer.multiply import check_dsp, product_steps
from sw_ref.formats.minifloat import Float
from sw_ref.interval import Interval

__all__ = ["FloatMultiply"]


class FloatMultiply(Unit):
    """``product = x * y``, rounded as `sw_ref.arith.float_codes` says.

    Parameters
    ----------
    shape : Float
        Of ``x`` and of the product.
    y_shape : Float
        Of ``y``; the fewer bits its fraction has, the fewer rows the multiplier.
    dsp : {"none", "auto"}
        How significands are multiplied, as for `hw.integer.multiply.Multiply`.
    pipeline : int
        Register stages, the last of them at the output, and so the latency.
    """

    def __init__(self, *, shape: Float, y_shape: Float, dsp: str, pipeline: int) -> None:
        check_dsp(dsp)
        check_pipeline(pipeline)
        self.shape = shape
        self.y_shape = y_shape
        self.dsp = dsp
        self.latency = pipeline
        super().__init__({"x": In(shape.bits), "y": In(y_shape.bits), "product": Out(shape.bits)})

    @property
    def name(self) -> str:
        by = f"_{format_name(self.y_shape)}" if self.y_shape != self.shape else ""
        return f"multiply_{format_name(self.shape)}{by}{'_dsp' if self.dsp == 'auto' else ''}_p{self.latency}"

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
        at.nan = (x.is_special & (x.is_unordered | y.is_zero)) | (y.is_special & (y.is_unordered | x.is_zero))
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
