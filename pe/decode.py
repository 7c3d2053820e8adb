"""Codes of small formats to the integers that they stand for: a table, or a shifted significand."""

from collections.abc import Sequence

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from hw.digits import Shift
from hw.unit import Unit, place
from sw_ref.fixed import Fixed
from sw_ref.formats import Format, Int
from sw_ref.minifloat import Float
from sw_ref.nonfinite import nonfinite_pattern, zeroed

__all__ = ["Decode", "decodes", "is_integer", "spelled"]

# Tables of more entries are no longer small; those of floats are larger than a shift before.
_TABLE_BITS = 8
_FLOAT_TABLE_BITS = 6


def is_integer(form: Format) -> bool:
    """Whether codes are the integers themselves, in two's complement or unsigned."""
    return isinstance(form, Int | Fixed)


def decodes(form: Format) -> bool:
    """Whether there is a `Decode` of a format with a fixed-point form."""
    return form.bits <= _TABLE_BITS or _shifts(form)


def spelled(form: Format) -> str:
    """The format's name as a part of module names."""
    name = form.name.replace("-", "m")
    return "_".join("".join(c if c.isalnum() else " " for c in name).split())


class Decode(Unit):
    """``integer``: what ``code`` stands for, in units of the format's last bit; 0 if that is no finite number.

    Floats of more than 6 bits are a significand, which takes its sign before it is shifted by the exponent. Other codes
    index a table.

    Parameters
    ----------
    form : Format
        That `decodes` is true of; its fixed-point form tells the width of ``integer``.
    """

    def __init__(self, *, form: Format) -> None:
        self.form = form
        super().__init__({"code": In(form.bits), "integer": Out(signed(max(2, form.fixed.interval.signed_bits)))})

    @property
    def name(self) -> str:
        return f"decode_{spelled(self.form)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        if not _shifts(self.form):
            codes = zeroed(self.form, np.arange(1 << self.form.bits))
            m.d.comb += self.integer.eq(_entry(self.form.to_fixed(codes).tolist(), self.code))
        else:
            m.d.comb += self.integer.eq(self._shifted(m, self.form))
        return m

    def _shifted(self, m: Module, form: Float) -> Value:
        fraction = self.code[: form.fraction]
        exponent = self.code[form.fraction :][: form.exponent]
        normal = Const(1) if form.lowest == "normal" else exponent.any()
        counts = Const(1) if form.lowest != "zero" else normal
        if pattern := nonfinite_pattern(form):
            counts &= (self.code & pattern.care) != pattern.value
        magnitude = Mux(counts, Cat(fraction, normal), 0)
        significand = Signal(signed(form.fraction + 2), name="significand")
        m.d.comb += significand.eq(Mux(self.code[-1], -magnitude, magnitude) if form.signed else magnitude)
        # what is not normal is shifted as the smallest that is
        places = Signal(form.exponent, name="places")
        m.d.comb += places.eq(exponent - (normal if form.lowest != "normal" else 0))
        # the shift is cut into modules of four choices, a LUT6 or two LUT4 a bit
        moved, top = significand, self.form.fixed.interval.signed_bits
        for first in range(0, form.exponent, 2):
            by = places[first : first + 2]
            stages = tuple(1 << first + index for index in range(len(by)))
            bits = min(top, len(moved) + sum(stages))
            shift = Shift(a=(len(moved), True), moved=bits, places=stages)
            place(m, f"shift_{first}", shift)
            m.d.comb += [shift.a.eq(moved), shift.by.eq(by)]
            moved = shift.moved
        return moved


def _shifts(form: Format) -> bool:
    return isinstance(form, Float) and form.bits > _FLOAT_TABLE_BITS


def _entry(values: Sequence[int], code: Value) -> Value:
    """``values[code]`` by choices of two, which linters read better than the cases of an `Array`."""
    if len(values) == 1:
        return Const(values[0])
    half = len(values) // 2
    return Mux(code[-1], _entry(values[half:], code[:-1]), _entry(values[:half], code[:-1]))
