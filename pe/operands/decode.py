"""Codes of small formats to the integers that they stand for: a table, or a shifted significand."""

from functools import partial
from types import SimpleNamespace
from typing import TypeGuard

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from hw.core.naming import format_name
from hw.core.number import Number
from hw.core.select import pick
from hw.core.stages import Step, run_steps, stages_for
from hw.core.unit import Unit, place
from hw.integer.digits import Shift
from sw_ref.formats.base import Format, Int
from sw_ref.formats.fixed import Fixed
from sw_ref.formats.minifloat import Float
from sw_ref.formats.nonfinite import nonfinite_pattern, zeroed
from sw_ref.formats.signs import Bipolar

__all__ = ["Decode", "decodes", "is_integer", "is_plain", "value_latency", "value_of"]

# Characters of a format's name that stay as they are, and those of the beginning of a longer one.
# Tables of more entries are no longer small; those of floats are larger than a shift before.
_TABLE_BITS = 8
_FLOAT_TABLE_BITS = 6


def is_integer(form: Format) -> bool:
    """Whether codes are the integers themselves, in two's complement or unsigned."""
    return isinstance(form, Int | Fixed)


def is_plain(form: Format) -> bool:
    """Whether no `Decode` is needed: codes are integers, or a sum of their bits."""
    return is_integer(form) or isinstance(form, Bipolar)


def decodes(form: Format) -> bool:
    """Whether there is a `Decode` of a format with a fixed-point form."""
    return form.bits <= _TABLE_BITS or _shifts(form)


class Decode(Unit):
    """``integer``: what ``code`` stands for, in units of the format's last bit; 0 if that is no finite number.

    Floats of more than 6 bits are a significand, which takes its sign before it is shifted by the exponent. Other codes
    index a table.

    Parameters
    ----------
    form : Format
        That `decodes` is true of; its fixed-point form tells the width of ``integer``.
    registered : bool
        Whether there are registers where it would take long otherwise; then `latency` tells how many in a row.
    """

    def __init__(self, *, form: Format, registered: bool) -> None:
        self.form = form
        self.registered = registered
        self.latency = stages_for(self._steps) if registered else 0
        super().__init__({"code": In(form.bits), "integer": Out(signed(max(2, form.fixed_form.interval.signed_bits)))})

    @property
    def name(self) -> str:
        return f"decode_{format_name(self.form)}{'_registered' if self.latency else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        at = SimpleNamespace(code=self.code)
        run_steps(m, at, self._steps, registers=self.latency, behind=False)
        m.d.comb += self.integer.eq(at.integer)
        return m

    @property
    def _steps(self) -> list[Step]:
        if not _shifts(form := self.form):
            return [Step(2, self._look_up)]
        # the shift is cut into modules of four choices, a LUT6 or two LUT4 a bit
        shifts = (Step(2, partial(self._shift, first=first)) for first in range(0, form.exponent, 2))
        return [Step(3, partial(self._significand, form=form)), *shifts]

    def _look_up(self, _m: Module, at: SimpleNamespace) -> None:
        codes = zeroed(self.form, np.arange(1 << self.form.bits))
        at.integer = pick(at.code, self.form.to_fixed(codes).tolist())

    def _significand(self, m: Module, at: SimpleNamespace, *, form: Float) -> None:
        fraction = at.code[: form.fraction]
        exponent = at.code[form.fraction :][: form.exponent]
        normal = Const(1) if form.lowest == "normal" else exponent.any()
        counts = Const(1) if form.lowest != "zero" else normal
        if pattern := nonfinite_pattern(form):
            counts &= (at.code & pattern.care) != pattern.value
        magnitude = Mux(counts, Cat(fraction, normal), 0)
        significand = Signal(signed(form.fraction + 2), name="significand")
        m.d.comb += significand.eq(Mux(at.code[-1], -magnitude, magnitude) if form.signed else magnitude)
        # what is not normal is shifted as the smallest that is
        places = Signal(form.exponent, name="places")
        m.d.comb += places.eq(exponent - (normal if form.lowest != "normal" else 0))
        at.integer, at.places = significand, places
        del at.code

    def _shift(self, m: Module, at: SimpleNamespace, *, first: int) -> None:
        by = at.places[:2]
        stages = tuple(1 << first + index for index in range(len(by)))
        bits = min(self.form.fixed_form.interval.signed_bits, len(at.integer) + sum(stages))
        shift = Shift(a=(len(at.integer), True), moved=bits, places=stages)
        place(m, f"shift_{first}", shift)
        m.d.comb += [shift.a.eq(at.integer), shift.by.eq(by)]
        at.integer, at.places = shift.moved, at.places[2:]


def value_of(m: Module, name: str, form: Format, code: Value, *, registered: bool = False) -> Number:
    """The integer that a code stands for, in units of the format's last bit; 0 if that is no finite number.

    It comes `value_latency` cycles later if ``registered``, else in the same cycle. Its `Decode` is called ``name``.
    """
    interval = form.fixed_form.interval
    if is_integer(form):
        return Number(code.as_signed() if interval.signed else code)
    if is_plain(form):
        return Number(code) + Number(code) + Number.constant(interval.lo)
    decode = place(m, name, Decode(form=form, registered=registered))
    m.d.comb += decode.code.eq(code)
    return Number(decode.integer, interval)


def value_latency(form: Format) -> int:
    """Cycles that a registered `value_of` takes."""
    return 0 if is_plain(form) else Decode(form=form, registered=True).latency


def _shifts(form: Format) -> TypeGuard[Float]:
    return isinstance(form, Float) and form.bits > _FLOAT_TABLE_BITS
