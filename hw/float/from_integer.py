"""Integers to floats, rounded to nearest even."""

from types import SimpleNamespace

from amaranth.hdl import Const, Module, Mux, Shape, Signal
from amaranth.lib.wiring import In, Out

from hw.core.naming import format_name
from hw.core.number import Number, wire
from hw.core.stages import Step, check_pipeline, run_steps
from hw.core.unit import Unit
from hw.float.parts import normalize_steps, rounding_steps
from sw_ref.formats.minifloat import Float
from sw_ref.interval import Interval

__all__ = ["IntegerToFloat"]


class IntegerToFloat(Unit):
    """``code = from_integer(shape, integer)``, see `sw_ref.arith.float_codes`.

    Parameters
    ----------
    bits : int
    signed : bool
        Of the integer.
    shape : Float
    pipeline : int
        Register stages, the last of them at the output, and so the latency.
    """

    def __init__(self, *, bits: int, signed: bool, shape: Float, pipeline: int) -> None:
        check_pipeline(pipeline)
        self.shape = shape
        self.latency = pipeline
        interval = Interval.of_bits(bits, signed)
        self.magnitude_bits = max(-interval.lo, interval.hi).bit_length()
        super().__init__({"integer": In(Shape(bits, signed)), "code": Out(shape.bits)})

    @property
    def name(self) -> str:
        kind = "i" if self.integer.shape().signed else "u"
        return f"{kind}{len(self.integer)}_to_{format_name(self.shape)}_p{self.latency}"

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
