"""Floating-point sums on FPGA logic."""

from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hw.core.naming import format_name
from hw.core.number import Number, wire
from hw.core.select import pick
from hw.core.stages import Step, check_pipeline, run_steps
from hw.core.unit import Unit
from hw.float.parts import Fields, normalize_steps, rounding_steps, shift_digits
from sw_ref.formats.minifloat import Float

__all__ = ["FloatAdd"]

# Bits below the last of the significand: two for the shift back by one place and for rounding, and one which tells
# whether there was anything below these.
_BELOW = 3


class FloatAdd(Unit):
    """``sum = add(shape, x, y)``, see `sw_ref.arith.float_codes`.

    The smaller operand is shifted to the larger one's exponent, added or subtracted, and the result normalized and
    rounded: one path, for near and far operands.

    Parameters
    ----------
    shape : Float
    pipeline : int
        Register stages, the last of them at the output, and so the latency.
    """

    def __init__(self, *, shape: Float, pipeline: int) -> None:
        check_pipeline(pipeline)
        self.shape = shape
        self.latency = pipeline
        super().__init__({"x": In(shape.bits), "y": In(shape.bits), "sum": Out(shape.bits)})

    @property
    def name(self) -> str:
        return f"add_{format_name(self.shape)}_p{self.latency}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        at = SimpleNamespace(x=self.x, y=self.y)
        # shifted further than this, nothing but the lowest bit is left
        digits = shift_digits(self.shape.fraction + _BELOW)
        steps = [
            Step(4, self._order),
            Step(3, self._distance),
            *(Step(2 if choices == 4 else 1, partial(_align, unit=unit, choices=choices)) for unit, choices in digits),
            Step(4, self._add),
            *normalize_steps(self.shape.fraction + _BELOW + 2),
            Step(2, self._exponent),
            *rounding_steps(self.shape),
        ]
        run_steps(m, at, steps, registers=self.latency)
        m.d.comb += self.sum.eq(at.code)
        return m

    def _order(self, m: Module, at: SimpleNamespace) -> None:
        """Which operand is the larger one; a NaN is larger than infinity."""
        x_is_less = Signal(name="x_is_less")
        m.d.comb += x_is_less.eq(at.x[:-1] < at.y[:-1])
        at.large, at.small = Signal(self.shape.bits, name="large"), Signal(self.shape.bits, name="small")
        m.d.comb += [at.large.eq(Mux(x_is_less, at.y, at.x)), at.small.eq(Mux(x_is_less, at.x, at.y))]

    def _distance(self, m: Module, at: SimpleNamespace) -> None:
        large, small = Fields(at.large, self.shape), Fields(at.small, self.shape)
        at.subtract = large.sign ^ small.sign
        at.large_sign, at.both_negative = large.sign, large.sign & small.sign
        at.large_is_zero = large.is_zero
        at.infinite = large.is_special
        # infinity minus infinity: then the smaller one is not finite either
        at.nan = large.is_special & (large.fraction.any() | (small.is_special & at.subtract))
        at.large_exponent, at.large_significand = Number(large.exponent), large.significand.value
        shifted_bits = (self.shape.fraction + _BELOW).bit_length()
        distance = Signal(max(self.shape.exponent, shifted_bits), name="distance")
        m.d.comb += distance.eq(large.exponent - small.exponent)
        at.distance = distance[:shifted_bits]
        at.is_there = ~small.is_zero
        at.is_near = ~distance[shifted_bits:].any()
        at.aligned, at.lost = Cat(Const(0, _BELOW - 1), small.significand.value), Const(0, 1)

    def _add(self, m: Module, at: SimpleNamespace) -> None:
        lost = at.is_there & (at.lost | ~at.is_near)
        kept = at.aligned & (at.is_there & at.is_near).replicate(len(at.aligned))
        bits = self.shape.fraction + _BELOW + 2
        large, small = Signal(bits, name="augend"), Signal(bits, name="addend")
        # the complement, and the missing 1 where the larger operand has no bits
        m.d.comb += [
            large.eq(Cat(at.subtract, Const(0, _BELOW - 1), at.large_significand)),
            small.eq(Cat(lost, kept, Const(0, 1)) ^ at.subtract.replicate(bits)),
        ]
        at.significand = Signal(bits, name="total")
        # never negative, since the larger operand comes first
        m.d.comb += at.significand.eq((large + small)[:bits])

    def _exponent(self, m: Module, at: SimpleNamespace) -> None:
        is_zero = at.large_is_zero | ~at.significand[-1]
        at.zero = is_zero
        # IEEE 754: a difference of 0 is positive, a sum of zeros has the sign that both have
        at.sign = Mux(is_zero, at.both_negative, at.large_sign)
        at.exponent = wire(m, "exponent", at.large_exponent - Number(at.zeros))


def _align(m: Module, at: SimpleNamespace, *, unit: int, choices: int) -> None:
    """Shifts by one digit of the distance, and remembers whether a 1 fell out."""
    first = unit.bit_length() - 1
    select = at.distance[first : first + choices.bit_length() - 1]
    lost = pick(select, [at.aligned[: i * unit].any() for i in range(choices)])
    at.distance = at.distance[:first]
    aligned = Signal.like(at.aligned, name=f"aligned_{unit}")
    m.d.comb += aligned.eq(pick(select, [at.aligned >> i * unit for i in range(choices)]))
    at.aligned, at.lost = aligned, at.lost | lost
