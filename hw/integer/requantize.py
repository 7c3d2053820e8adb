"""Dyadic requantization on FPGA logic."""

from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal
from amaranth.lib.wiring import In, Out

from hw.core.narrow import round_half_even, saturate, wrap
from hw.core.number import Number, assign, wire
from hw.core.select import pick
from hw.core.stages import Step, check_pipeline, run_steps
from hw.core.unit import Unit
from hw.float.parts import shift_digits
from hw.integer.multiply import check_dsp, product_steps
from sw_ref.drain.requantize import Rounding
from sw_ref.interval import Interval

__all__ = ["Requantize"]

# The part of a shift that gemmlowp rounds first.
_HIGH = 31


class Requantize(Unit):
    """``result = clip(out_zero + round((integer * multiplier + addend) / 2**shift))``.

    See `sw_ref.drain.requantize.requantize`.

    Parameters
    ----------
    bits_in : int
        Width of ``integer``, which is signed.
    multiplier_bits, shift_bits : int
        Widths of ``multiplier`` and ``shift``, which are unsigned.
    bits_out : int
    signed : bool
        What ``result`` is clipped to.
    rounding : {"half_even", "floor", "gemmlowp"}
        With ``gemmlowp``, ``shift`` is at least 31, the first of which is a rounding of its own.
    addend_bits : int
        Width of the port ``addend``, signed; 0 without it.
    zero : bool
        Whether there is a port ``out_zero``, as wide as ``result``.
    dsp : {"none", "auto"}
        How is multiplied, as for `hw.integer.multiply.Multiply`.
    pipeline : int
        Register stages, the last of them at the output, and so the latency.
    """

    def __init__(
        self,
        *,
        bits_in: int,
        multiplier_bits: int,
        shift_bits: int,
        bits_out: int,
        signed: bool,
        rounding: Rounding = "half_even",
        addend_bits: int = 0,
        zero: bool = False,
        dsp: str,
        pipeline: int,
    ) -> None:
        check_dsp(dsp)
        check_pipeline(pipeline)
        self.bounds = Interval.of_bits(bits_out, signed)
        self.rounding = rounding
        self.addend_bits = addend_bits
        self.zero = zero
        self.dsp = dsp
        self.latency = pipeline
        super().__init__(
            {
                "integer": In(Shape(bits_in, True)),
                "multiplier": In(multiplier_bits),
                "shift": In(shift_bits),
                **({"addend": In(Shape(addend_bits, True))} if addend_bits else {}),
                **({"out_zero": In(Shape(bits_out, signed))} if zero else {}),
                "result": Out(Shape(bits_out, signed)),
            }
        )

    @property
    def name(self) -> str:
        widths = f"{len(self.integer)}x{len(self.multiplier)}_by_{len(self.shift)}"
        result = f"{'i' if self.bounds.signed else 'u'}{len(self.result)}"
        rounding = "" if self.rounding == "half_even" else f"_{self.rounding}"
        more = ("_addend" if self.addend_bits else "") + ("_zero" if self.zero else "")
        return f"requantize_{widths}_to_{result}{rounding}{more}{'_dsp' if self.dsp == 'auto' else ''}_p{self.latency}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        integer, multiplier = Number(self.integer), Number(self.multiplier)
        narrow, wide = sorted((multiplier, integer), key=lambda number: len(number.value))
        at = SimpleNamespace(multiplicand=wide, multiplier=narrow, shift=self.shift)
        if self.addend_bits:
            at.addend = Number(self.addend)
        if self.zero:
            at.out_zero = Number(self.out_zero)
        digits = shift_digits((1 << len(self.shift)) - 1)
        steps = [
            *product_steps(narrow.interval, dsp=self.dsp),
            *([Step(2, self._add)] if self.addend_bits else []),
            *([Step(2, self._high)] if self.rounding == "gemmlowp" else []),
            Step(0, self._start),
            *(
                Step(2 if choices == 4 else 1, partial(self._shift, unit=unit, choices=choices))
                for unit, choices in digits
            ),
            Step(3, self._round),
            *([Step(2, self._offset)] if self.zero else []),
        ]
        run_steps(m, at, steps, registers=self.latency)
        m.d.comb += assign(self.result, at.result)
        return m

    def _add(self, m: Module, at: SimpleNamespace) -> None:
        at.product = wire(m, "with_addend", at.product + at.addend)
        del at.addend

    def _high(self, m: Module, at: SimpleNamespace) -> None:
        """The product in units of ``2**31``, ties up; what is left of the shift."""
        half = wire(m, "with_half", at.product + Number.constant(1 << (_HIGH - 1)))
        at.product = Number(half.value.shift_right(_HIGH))
        # as none is less, the bits below 31 say how much it is above 31, less 1
        left = Signal(len(self.shift), name="shift_left")
        m.d.comb += left.eq(at.shift - _HIGH)
        at.shift = left

    def _start(self, m: Module, at: SimpleNamespace) -> None:
        at.quotient = at.product << self._below
        at.is_negative = at.product.value[-1]
        at.lost, at.is_beyond = Const(0, 1), Const(0, 1)

    def _shift(self, m: Module, at: SimpleNamespace, *, unit: int, choices: int) -> None:
        """Shifts by one digit, and drops what no longer matters on both sides.

        ``at.quotient`` has one bit below the point, if it is rounded. What falls out below is remembered in
        ``at.lost``, and above, where no later shift can bring it back, in ``at.is_beyond``.
        """
        value = at.quotient.value
        first = unit.bit_length() - 1
        select = at.shift[first : first + choices.bit_length() - 1]
        # one bit for the sign beyond that of the result, one below the point, and what later digits shift
        kept = self._reach.signed_bits if self.zero else len(self.result)
        bits = min(len(value), kept + 1 + self._below + unit - 1)
        if self._below:
            at.lost = at.lost | pick(select, [value[: i * unit].any() for i in range(choices)])
        above = [value[i * unit + bits - 1 :] for i in range(choices)]
        unlike = [(part ^ at.is_negative.replicate(len(part))).any() for part in above]
        at.is_beyond = at.is_beyond | pick(select, unlike)
        shifted = [wrap(Number(value.shift_right(i * unit)), bits).value for i in range(choices)]
        at.quotient = wire(m, f"quotient_{unit}", Number(pick(select, shifted)))
        at.shift = at.shift[:first]

    def _round(self, m: Module, at: SimpleNamespace) -> None:
        exact = Number(Cat(at.lost, at.quotient.value).as_signed())
        if self.rounding == "floor":
            rounded = at.quotient
        elif self.rounding == "gemmlowp":
            # ties away from 0: a half is added, and of negative numbers a little less
            above = Number(Mux(at.is_negative, 1, 2), Interval(1, 2))
            rounded = Number(wire(m, "with_tie", exact + above).value.shift_right(2))
        else:
            rounded = round_half_even(exact, 2)
        rounded = wire(m, "rounded", rounded)
        bounds = self._reach
        clipped = saturate(rounded, bounds)
        bound = Mux(at.is_negative, bounds.lo, bounds.hi)
        at.result = wire(m, "clipped", Number(Mux(at.is_beyond, bound, clipped.value), bounds))

    @property
    def _below(self) -> int:
        """Bits of a quotient below the point: what is only truncated has none."""
        return int(self.rounding != "floor")

    @property
    def _reach(self) -> Interval:
        """What is kept of a rounded number: of one with a zero point, as much as that can bring back within bounds."""
        return self.bounds - self.bounds if self.zero else self.bounds

    def _offset(self, m: Module, at: SimpleNamespace) -> None:
        at.result = wire(m, "with_zero", saturate(at.result + at.out_zero, self.bounds))
