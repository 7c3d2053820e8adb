"""Operands in parts: codes of any format to sign, exponent and significand, once a row or a column."""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike

from hw.core.naming import format_name
from hw.core.number import Number
from hw.core.select import pick
from hw.core.stages import Step, run_steps, side_by_side, stages_for
from hw.integer.align import right_steps
from pe.base import Encoder
from sw_ref.formats.base import Format, Int
from sw_ref.formats.fixed import Fixed
from sw_ref.formats.minifloat import Float
from sw_ref.formats.parts import Parts, parts_of, split
from sw_ref.formats.posit import Posit
from sw_ref.interval import Interval

__all__ = ["TABLE_BITS", "FloatEncoder", "FloatOperand", "Lane"]

TABLE_BITS = 8
"""Formats of no more bits than these, of which nothing else is known, are looked up in tables."""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What one lane of an operand holds: ``(-1)**negative * significand * 2**exponent``, see
    `sw_ref.formats.parts.Parts`.

    Where the significand is 0, as that of all codes that are not finite, the others may be anything that their widths
    hold. A masked lane is 0 in all three.
    """

    significand: Number
    exponent: Number
    negative: Value


@dataclass(frozen=True, kw_only=True)
class FloatOperand:
    """The operand of a row or a column.

    For each lane, lane 0 in the low bits, there are from the low bit: the significand, of `Parts.significand_bits`; the
    exponent, of `Parts.exponent_bits`, which may be none; and, if the format is signed, a bit that is 1 if negative.

    Parameters
    ----------
    form : Format
    lanes : int
    """

    form: Format
    lanes: int

    @property
    def parts(self) -> Parts:
        """What the parts can be."""
        return parts_of(self.form)

    @property
    def lane_bits(self) -> int:
        """Width of one lane."""
        return self.parts.significand_bits + self.parts.exponent_bits + int(self.parts.signed)

    @property
    def bits(self) -> int:
        """Width of the operand."""
        return self.lanes * self.lane_bits

    def lane(self, operand: Value, index: int) -> Lane:
        """One lane of ``operand``."""
        parts = self.parts
        word = operand.word_select(index, self.lane_bits)
        high = parts.significand_bits + parts.exponent_bits
        exponent = Number(word[parts.significand_bits : high], Interval(0, parts.exponent))
        return Lane(
            significand=Number(word[: parts.significand_bits], Interval(0, parts.significand)),
            exponent=exponent if parts.exponent else Number.constant(0),
            negative=word[high] if parts.signed else Const(0, 1),
        )


class FloatEncoder(Encoder):
    """Codes to a `FloatOperand`.

    The parts of floats are their fields, those of posits and integers take arithmetic, and any other format of few bits
    has a table for each lane.

    Parameters
    ----------
    form : Format
    lanes : int
    masked : bool
    """

    def __init__(self, *, form: Format, lanes: int, masked: bool) -> None:
        self.form = form
        operand = FloatOperand(form=form, lanes=lanes)
        super().__init__(bits=form.bits, lanes=lanes, operand_bits=operand.bits, masked=masked)
        self.latency = stages_for(_part_steps("lane", form))

    @property
    def name(self) -> str:
        return f"parts_of_{self.lanes}x{format_name(self.form)}{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        codes = (self.codes.word_select(lane, self.bits) for lane in range(self.lanes))
        at = SimpleNamespace(parts=[SimpleNamespace(code=code) for code in codes])
        if self.masked:
            at.counts = self.mask
        steps = side_by_side([_part_steps(f"lane_{lane}", self.form) for lane in range(self.lanes)])
        run_steps(m, at, steps, registers=self.latency, behind=False)
        parts, lanes = parts_of(self.form), []
        for lane, found in enumerate(at.parts):
            significand = Signal(parts.significand_bits, name=f"significand_{lane}")
            exponent = Signal(parts.exponent_bits, name=f"exponent_{lane}")
            negative = Signal(int(parts.signed), name=f"negative_{lane}")
            m.d.comb += [
                significand.eq(found.significand),
                exponent.eq(found.exponent),
                negative.eq(found.negative),
            ]
            word = Cat(significand, exponent, negative)
            lanes.append(Mux(at.counts[lane], word, 0) if self.masked else word)
        m.d.comb += self.operand.eq(Cat(lanes))
        return m


def _part_steps(name: str, form: Format) -> list[Step]:
    """Steps from a code, ``at.code``, to ``at.significand``, ``at.exponent`` and ``at.negative``."""
    if isinstance(form, Posit) and form.bits > TABLE_BITS:
        return _posit_steps(name, form)
    return [Step(3, partial(_at_once, form=form))]


def _at_once(_m: Module, at: SimpleNamespace, *, form: Format) -> None:
    at.significand, at.exponent, at.negative = _parts(form, at.code)
    del at.code


def _parts(form: Format, code: Value) -> tuple[ValueLike, ValueLike, ValueLike]:
    """Significand, exponent and sign of one code."""
    match form:
        case Int() | Fixed():
            negative = code[-1] if form.fixed_form.interval.signed else Const(0, 1)
            return (code ^ negative.replicate(form.bits)) + negative, 0, negative
        case Float():
            return _of_float(form, code)
    negative, significand, exponent = (column.tolist() for column in split(form, np.arange(1 << form.bits)))
    return pick(code, significand), pick(code, exponent), pick(code, negative)


def _of_float(form: Float, code: Value) -> tuple[ValueLike, ValueLike, ValueLike]:
    fraction, field = code[: form.fraction], code[form.fraction : form.fraction + form.exponent]
    one = Const(1, 1) if form.lowest == "normal" else field.any()
    significand = Cat(fraction & one.replicate(form.fraction) if form.lowest == "zero" else fraction, one)
    if form.specials != "finite":
        special = field.all() if form.specials == "ieee" else Cat(fraction, field).all()
        significand = Mux(special, 0, significand)
    return significand, field if form.lowest == "normal" else field - one, code[-1] if form.signed else 0


def _posit_steps(name: str, form: Posit) -> list[Step]:
    """Normalized behind its regime; then small values are shifted back until the exponent is 0 at least."""
    regime, last = form.bits - 2, parts_of(form).significand_bits - 1
    return [
        Step(2, partial(_magnitude, name=name)),
        Step(3, partial(_regime, name=name, form=form)),
        *right_steps(f"{name}_rest", regime.bit_length()),
        Step(4, partial(_scale, name=name, form=form)),
        *right_steps(f"{name}_shifted", last.bit_length()),
        Step(0, _shifted),
    ]


def _magnitude(m: Module, at: SimpleNamespace, *, name: str) -> None:
    at.negative, bits = at.code[-1], len(at.code)
    body = Signal(bits - 1, name=f"{name}_body")
    m.d.comb += body.eq((at.code ^ at.negative.replicate(bits)) + at.negative)
    at.body = body
    del at.code


def _regime(m: Module, at: SimpleNamespace, *, name: str, form: Posit) -> None:
    bits = form.bits - 3
    at.lead, inverted = at.body[-1], Signal(bits + 1, name=f"{name}_inverted")
    m.d.comb += inverted.eq(at.body[:-1] ^ at.lead.replicate(bits + 1))
    # how many bits of the regime follow the first; with nothing else, the code is 0 or NaR
    more: Value = Const(bits + 1)
    for index, bit in enumerate(inverted):
        more = Mux(bit, bits - index, more)
    at.following = Signal(range(bits + 2), name=f"{name}_following")
    m.d.comb += at.following.eq(more)
    # to the left: bits in reverse order to the right
    at.word, at.by, at.is_there = at.body[:bits][::-1], at.following, at.body.any()
    del at.body


def _scale(m: Module, at: SimpleNamespace, *, name: str, form: Posit) -> None:
    """The exponent, and how far the significand goes back."""
    bits, last = form.bits - 3, parts_of(form).significand_bits - 1
    rest = at.word[::-1]
    regime = Signal(range(2 * bits + 3), name=f"{name}_regime")
    m.d.comb += regime.eq(Mux(at.lead, at.following + bits + 1, bits - at.following))
    scale = Cat(rest[bits - form.es :], regime)
    distance = Signal(range(-last, 1 << len(scale)), name=f"{name}_distance")
    m.d.comb += distance.eq(scale - last)
    back = Signal(range(last + 1), name=f"{name}_back")
    m.d.comb += back.eq(Mux(distance[-1], -distance, 0))
    at.word, at.by, at.exponent = Cat(rest[: bits - form.es], at.is_there), back, Mux(distance[-1], 0, distance)
    del at.lead, at.following, at.is_there


def _shifted(_m: Module, at: SimpleNamespace) -> None:
    at.significand = at.word
    del at.word, at.by
