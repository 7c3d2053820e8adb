"""Operands whose products are shifted multiples: one and three times a number, by weights of one bit of fraction."""

from functools import partial
from types import SimpleNamespace

import numpy as np
from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hw.core.naming import format_name
from hw.core.number import Number
from hw.core.stages import Step
from hw.core.unit import Unit, place
from pe.base import Encoder
from sw_ref.formats.minifloat import Float
from sw_ref.interval import Interval

__all__ = ["Multiples", "Shifts", "multiple_steps"]


class Multiples(Encoder):
    """Of each lane, from the low bit: the magnitude of its float, three times that, and the sign.

    Parameters
    ----------
    form : Float
        Signed, all finite.
    lanes : int
    masked : bool
    """

    def __init__(self, *, form: Float, lanes: int, masked: bool) -> None:
        self.form = form
        bits = _one_bits(form) + _three_bits(form) + 1
        super().__init__(bits=form.bits, lanes=lanes, operand_bits=lanes * bits, masked=masked)

    @property
    def name(self) -> str:
        return f"multiples_{self.lanes}x{format_name(self.form)}{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        magnitudes = self.form.to_fixed(np.arange(1 << self.bits - 1)).tolist()
        lanes = []
        for lane in range(self.lanes):
            code = Signal(self.bits, name=f"code_{lane}")
            given = self.codes.word_select(lane, self.bits)
            m.d.comb += code.eq(Mux(self.mask[lane], given, 0) if self.masked else given)
            one = Array(Const(value, _one_bits(self.form)) for value in magnitudes)[code[:-1]]
            three = Array(Const(3 * value, _three_bits(self.form)) for value in magnitudes)[code[:-1]]
            lanes += [one, three, code[-1]]
        m.d.comb += self.operand.eq(Cat(lanes))
        return m


class Shifts(Encoder):
    """Of each lane, from the low bit: whether its float is not 0, is three times a power of two, which power, the sign.

    Parameters
    ----------
    form : Float
        Signed, all finite, with one bit of fraction at most.
    lanes : int
    """

    def __init__(self, *, form: Float, lanes: int) -> None:
        self.form = form
        super().__init__(bits=form.bits, lanes=lanes, operand_bits=lanes * (3 + _by_bits(form)), masked=False)

    @property
    def name(self) -> str:
        return f"shifts_{self.lanes}x{format_name(self.form)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        magnitudes = self.form.to_fixed(np.arange(1 << self.bits - 1)).tolist()
        words = [Const(_shift_word(value), 2 + _by_bits(self.form)) for value in magnitudes]
        lanes = []
        for lane in range(self.lanes):
            code = self.codes.word_select(lane, self.bits)
            lanes += [Array(words)[code[:-1]], code[-1]]
        m.d.comb += self.operand.eq(Cat(lanes))
        return m


def multiple_steps(name: str, act: Float, weight: Float) -> list[Step]:
    """Steps of a lane that give ``at.product``: the magnitude of its product, or its complement where ``at.negative``.

    ``at.act`` and ``at.weight`` are what `Multiples` and `Shifts` tell of the lane, but for the signs. A `_Multiple`,
    and a `_MaybeShift` for each bit of the shift, the last of which complements.
    """
    stages = range(_by_bits(weight))
    largest = act.fixed_form.interval.hi * weight.fixed_form.interval.hi
    shifts = (
        Step(
            1,
            partial(_shift, name=f"{name}_shift_{stage}", places=1 << stage, last=stage == stages[-1], largest=largest),
        )
        for stage in stages
    )
    return [Step(1, partial(_multiple, name=f"{name}_multiple", one_bits=_one_bits(act))), *shifts]


def _multiple(m: Module, at: SimpleNamespace, *, name: str, one_bits: int) -> None:
    multiple = place(m, name, _Multiple(one_bits=one_bits, three_bits=len(at.act) - one_bits))
    m.d.comb += [
        multiple.one.eq(at.act[:one_bits]),
        multiple.three.eq(at.act[one_bits:]),
        multiple.counts.eq(at.weight[0]),
        multiple.thrice.eq(at.weight[1]),
    ]
    at.moved, at.by = multiple.multiple, at.weight[2:]
    del at.act, at.weight


def _shift(m: Module, at: SimpleNamespace, *, name: str, places: int, last: bool, largest: int) -> None:
    bits = largest.bit_length() if last else min(largest.bit_length(), len(at.moved) + places)
    shift = _MaybeShift(bits=len(at.moved), moved_bits=bits, places=places, complements=last)
    place(m, name, shift)
    m.d.comb += [shift.given.eq(at.moved), shift.by.eq(at.by[0])]
    at.moved, at.by = shift.moved, at.by[1:]
    if last:
        m.d.comb += shift.negative.eq(at.negative)
        at.product = Number(at.moved, Interval(-largest - 1, largest))
        del at.moved, at.by


class _Multiple(Unit):
    """``multiple = three if thrice else one``, or 0 unless it ``counts``: a LUT4 a bit."""

    def __init__(self, *, one_bits: int, three_bits: int) -> None:
        super().__init__(
            {
                "one": In(one_bits),
                "three": In(three_bits),
                "counts": In(1),
                "thrice": In(1),
                "multiple": Out(three_bits),
            }
        )

    @property
    def name(self) -> str:
        return f"one_or_three_{len(self.one)}_{len(self.three)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.multiple.eq(Mux(self.counts, Mux(self.thrice, self.three, self.one), 0))
        return m


class _MaybeShift(Unit):
    """``moved = given << places if by else given``, or its complement where ``negative``: a LUT4 a bit.

    Parameters
    ----------
    bits, moved_bits : int
        Widths; those of ``moved`` hold every result that occurs, without the sign bit of complements.
    places : int
    complements : bool
        Whether there is ``negative``.
    """

    def __init__(self, *, bits: int, moved_bits: int, places: int, complements: bool) -> None:
        self.places = places
        self.complements = complements
        self.moved_bits = moved_bits
        negative = {"negative": In(1)} if complements else {}
        moved = signed(moved_bits + 1) if complements else moved_bits
        super().__init__({"given": In(bits), "by": In(1), **negative, "moved": Out(moved)})

    @property
    def name(self) -> str:
        kind = "_or_complement" if self.complements else ""
        return f"shift_{len(self.given)}_by_{self.places}_to_{self.moved_bits}{kind}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        moved = Mux(self.by, self.given << self.places, self.given)[: self.moved_bits]
        if self.complements:
            moved = Cat(moved ^ self.negative.replicate(self.moved_bits), self.negative)
        m.d.comb += self.moved.eq(moved)
        return m


def _one_bits(form: Float) -> int:
    return form.fixed_form.interval.hi.bit_length()


def _three_bits(form: Float) -> int:
    return (3 * form.fixed_form.interval.hi).bit_length()


def _by_bits(form: Float) -> int:
    """Width of the exponent of the largest power of two."""
    return max(1, (form.fixed_form.interval.hi.bit_length() - 1).bit_length())


def _shift_word(magnitude: int) -> int:
    """What a column sends of a weight, but for its sign."""
    if not magnitude:
        return 0
    thrice = magnitude % 3 == 0
    return 1 | thrice << 1 | (magnitude // (3 if thrice else 1)).bit_length() - 1 << 2
