"""Dyadic requantization on FPGA logic."""

from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Shape
from amaranth.lib.wiring import In, Out

from hw.core.narrow import round_half_even, saturate, wrap
from hw.core.number import Number, assign, wire
from hw.core.select import pick
from hw.core.stages import Step, check_pipeline, run_steps
from hw.core.unit import Unit
from hw.float.parts import shift_digits
from hw.integer.multiply import check_dsp, product_steps
from sw_ref.interval import Interval

__all__ = ["Requantize"]


class Requantize(Unit):
    """``result = clip(round_half_even(integer * multiplier / 2**shift))``, see `sw_ref.drain.requantize.requantize`.

    Parameters
    ----------
    bits_in : int
        Width of ``integer``, which is signed.
    multiplier_bits, shift_bits : int
        Widths of ``multiplier`` and ``shift``, which are unsigned.
    bits_out : int
    signed : bool
        What ``result`` is clipped to.
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
        dsp: str,
        pipeline: int,
    ) -> None:
        check_dsp(dsp)
        check_pipeline(pipeline)
        self.bounds = Interval.of_bits(bits_out, signed)
        self.dsp = dsp
        self.latency = pipeline
        super().__init__(
            {
                "integer": In(Shape(bits_in, True)),
                "multiplier": In(multiplier_bits),
                "shift": In(shift_bits),
                "result": Out(Shape(bits_out, signed)),
            }
        )

    @property
    def name(self) -> str:
        widths = f"{len(self.integer)}x{len(self.multiplier)}_by_{len(self.shift)}"
        result = f"{'i' if self.bounds.signed else 'u'}{len(self.result)}"
        return f"requantize_{widths}_to_{result}{'_dsp' if self.dsp == 'auto' else ''}_p{self.latency}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        integer, multiplier = Number(self.integer), Number(self.multiplier)
        narrow, wide = sorted((multiplier, integer), key=lambda number: len(number.value))
        at = SimpleNamespace(multiplicand=wide, multiplier=narrow, shift=self.shift)
        digits = shift_digits((1 << len(self.shift)) - 1)
        steps = [
            *product_steps(narrow.interval, dsp=self.dsp),
            Step(0, self._start),
            *(
                Step(2 if choices == 4 else 1, partial(self._shift, unit=unit, choices=choices))
                for unit, choices in digits
            ),
            Step(3, self._round),
        ]
        run_steps(m, at, steps, registers=self.latency)
        m.d.comb += assign(self.result, at.result)
        return m

    def _start(self, m: Module, at: SimpleNamespace) -> None:
        at.quotient = at.product << 1
        at.is_negative = at.product.value[-1]
        at.lost, at.is_beyond = Const(0, 1), Const(0, 1)

    def _shift(self, m: Module, at: SimpleNamespace, *, unit: int, choices: int) -> None:
        """Shifts by one digit, and drops what no longer matters on both sides.

        ``at.quotient`` has one bit below the point. What falls out below is remembered in ``at.lost``, and above, where
        no later shift can bring it back, in ``at.is_beyond``.
        """
        value = at.quotient.value
        first = unit.bit_length() - 1
        select = at.shift[first : first + choices.bit_length() - 1]
        # one bit for the sign beyond that of the result, one below the point, and what later digits shift
        bits = min(len(value), len(self.result) + 2 + unit - 1)
        at.lost = at.lost | pick(select, [value[: i * unit].any() for i in range(choices)])
        above = [value[i * unit + bits - 1 :] for i in range(choices)]
        unlike = [(part ^ at.is_negative.replicate(len(part))).any() for part in above]
        at.is_beyond = at.is_beyond | pick(select, unlike)
        shifted = [wrap(Number(value.shift_right(i * unit)), bits).value for i in range(choices)]
        at.quotient = wire(m, f"quotient_{unit}", Number(pick(select, shifted)))
        at.shift = at.shift[:first]

    def _round(self, m: Module, at: SimpleNamespace) -> None:
        exact = Number(Cat(at.lost, at.quotient.value).as_signed())
        rounded = wire(m, "rounded", round_half_even(exact, 2))
        clipped = saturate(rounded, self.bounds)
        bound = Mux(at.is_negative, self.bounds.lo, self.bounds.hi)
        at.result = wire(m, "clipped", Number(Mux(at.is_beyond, bound, clipped.value), self.bounds))
