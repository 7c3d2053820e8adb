"""Parts of floating-point units: the fields of a code, shifts that normalize, and rounding into a code."""

from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from hw.core.number import Number, wire
from hw.core.select import pick
from hw.core.stages import Step
from sw_ref.formats.minifloat import Float
from sw_ref.interval import Interval

__all__ = [
    "Fields",
    "at_top",
    "exponent_parts",
    "exponents_name",
    "normalize_steps",
    "rounding_steps",
    "shift_digits",
]


class Fields:
    """The fields of the code of a number, whose subnormals are 0.

    Attributes
    ----------
    sign, exponent, fraction : Value
    is_zero : Value
    is_special : Value
        Whether it is infinite or a NaN.
    is_unordered : Value
        Which of both that is, of a special one.
    """

    def __init__(self, code: Value, shape: Float) -> None:
        magnitude = code[: shape.exponent + shape.fraction]
        self.fraction = magnitude[: shape.fraction]
        self.exponent = magnitude[shape.fraction :]
        self.sign = code[-1] if shape.signed else Const(0, 1)
        self.is_zero = Const(0, 1) if shape.lowest == "normal" else ~self.exponent.any()
        match shape.specials:
            case "ieee":
                self.is_special, self.is_unordered = self.exponent.all(), self.fraction.any()
            case "fn":
                self.is_special, self.is_unordered = magnitude.all(), Const(1, 1)
            case "finite":
                self.is_special, self.is_unordered = Const(0, 1), Const(0, 1)

    @property
    def significand(self) -> Number:
        """Of a number other than 0: the fraction below a 1."""
        one = 1 << len(self.fraction)
        return Number(Cat(self.fraction, Const(1, 1)), Interval(one, 2 * one - 1))


def at_top(value: Value, bits: int) -> Value:
    """The top ``bits`` bits of ``value``, or zeros below it."""
    return Cat(Const(0, max(bits - len(value), 0)), value)[-bits:]


def exponents_name(exponents: Interval) -> str:
    """What names of modules call a range of exponents: ``exp_m6_to_30``."""
    return "exp_" + "_to_".join(f"{'m' if bound < 0 else ''}{abs(bound)}" for bound in (exponents.lo, exponents.hi))


def shift_digits(places: int) -> list[tuple[int, int]]:
    """How a shift by up to ``places`` is done: (unit, choices) of each multiplexer, the largest unit first.

    Four choices at once, since four inputs and two selects fill a LUT6; two in the end if the bits are odd in number.
    """
    bits = places.bit_length()
    digits = [(1 << (low - 2), 4) for low in range(bits, 1, -2)]
    return [*digits, (1, 2)] if bits % 2 else digits


def exponent_parts(exponent: Number, shape: Float) -> tuple[Value, Value, Value]:
    """What a code of ``shape`` has room for, whether it is negative, and whether there is any more of it."""
    value, signed = exponent.value, exponent.interval.signed
    negative = value[-1] if signed else Const(0, 1)
    return value[: shape.exponent], negative, value[shape.exponent : len(value) - signed].any()


def normalize_steps(bits: int) -> list[Step]:
    """Steps that shift ``at.significand``, of ``bits`` bits, to the left until its top bit is 1.

    By how much becomes ``at.zeros``, of an unsigned Value; if the top bit is 0 in the end, so are all.
    """
    digits = [
        Step(3 if choices == 4 else 1, partial(_normalize, unit=unit, choices=choices))
        for unit, choices in shift_digits(bits - 1)
    ]
    return [Step(0, _no_zeros), *digits]


def _no_zeros(m: Module, at: SimpleNamespace) -> None:
    at.zeros = Const(0, 0)


def _normalize(m: Module, at: SimpleNamespace, *, unit: int, choices: int) -> None:
    """Shifts by as many units as are 0 at the top."""
    value = at.significand
    bits = len(value)
    empty = [~value[max(0, bits - (i + 1) * unit) : bits - i * unit].any() for i in range(choices - 1)]
    count = Signal(range(choices), name=f"zeros_{unit}")
    if choices == 2:
        m.d.comb += count.eq(empty[0])
    else:
        m.d.comb += count.eq(Cat(empty[0] & (~empty[1] | empty[2]), empty[0] & empty[1]))
    shifted = Signal(bits, name=f"shifted_{unit}")
    places = [min(i * unit, bits) for i in range(choices)]
    m.d.comb += shifted.eq(pick(count, [Cat(Const(0, low), value[: bits - low]) for low in places]))
    at.significand = shifted
    at.zeros = Cat(count, at.zeros)


def rounding_steps(shape: Float, *, whole_bits: int = 1) -> list[Step]:
    """Steps that round a normalized number to ``at.code``.

    ::

        (-1)**sign * significand * 2**(exponent + 1 - bias)

    Parameters
    ----------
    shape : Float
    whole_bits : int
        How many of the top bits of ``at.significand`` are its integer part, which is at least 1. The last bit may stand
        for all below. The integer part adds to ``at.exponent`` (a Number), which therefore is 1 less than the exponent
        field of a significand from 1 to 2.

    ``at.sign``, ``at.nan``, ``at.infinite`` and ``at.zero`` are what their names say, and go before.
    """
    return [Step(3, partial(_round, shape=shape, whole_bits=whole_bits)), Step(2, partial(_finish, shape=shape))]


def _round(m: Module, at: SimpleNamespace, *, shape: Float, whole_bits: int) -> None:
    significand = at.significand
    places = len(significand) - whole_bits - shape.fraction
    if places <= 0:
        kept, up = Cat(Const(0, -places), significand), Const(0, 1)
    else:
        kept = significand[places:]
        up = significand[places - 1] & (significand[: places - 1].any() | kept[0])
    # one carry chain, in which a carry out of the fraction counts the exponent up, as the integer part does
    field = at.exponent.interval * (1 << shape.fraction)
    base = Cat(up, Const(0, shape.fraction - 1), at.exponent.value)
    base = Number(base.as_signed() if field.signed else base, field + Interval(0, 1))
    at.rounded = wire(m, "rounded", base + Number(kept))


def _finish(m: Module, at: SimpleNamespace, *, shape: Float) -> None:
    fraction, exponent = at.rounded.value[: shape.fraction], at.rounded.value[shape.fraction :]
    fields = Interval(at.rounded.interval.lo >> shape.fraction, at.rounded.interval.hi >> shape.fraction)
    special, nothing = at.nan | at.infinite, at.zero
    field, negative, beyond = exponent_parts(Number(exponent.as_signed() if fields.signed else exponent, fields), shape)
    if fields.hi >= shape.top_exponent:
        special = special | (~negative & ~at.zero & (beyond | field.all()))
    if fields.lo < 1:
        nothing = nothing | negative | ~exponent.any()
    is_special, is_empty = Signal(name="is_special"), Signal(name="is_empty")
    m.d.comb += [is_special.eq(special), is_empty.eq(special | nothing)]
    field = Mux(is_empty, is_special.replicate(shape.exponent), field)
    kept = Mux(is_empty, at.nan << (shape.fraction - 1), fraction)
    at.code = Cat(kept[: shape.fraction], field[: shape.exponent], at.sign & ~at.nan)
