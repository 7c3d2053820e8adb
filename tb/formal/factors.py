"""Numbers with an exponent, as terms: what codes of floats and integers stand for, their products, and rounding."""

from dataclasses import dataclass

import numpy as np
from bitwuzla import Kind, Term

from hw.emit.tools import ToolError
from sw_ref.formats.base import Format, Int
from sw_ref.formats.minifloat import Float
from sw_ref.formats.nonfinite import zeroed
from tb.formal.words import Bits, size

__all__ = ["EXPONENT", "Factor", "code_of", "factor", "fields", "moved", "number", "product", "top"]

EXPONENT = 13
"""Width of exponents, in two's complement: of products of the widest operands, and what is added on the way."""


@dataclass(frozen=True)
class Factor:
    """``(-1)**negative * significand * 2**exponent``.

    Parameters
    ----------
    negative : Term
        Boolean.
    significand : Term
    exponent : Term
        Of `EXPONENT` bits.
    """

    negative: Term
    significand: Term
    exponent: Term


def factor(bits: Bits, form: Format, code: Term) -> Factor:
    """What a code stands for, 0 for what is not finite; held against the model, code by code.

    Raises
    ------
    ToolError
        If the format is neither a float with a sign nor an integer.
    """
    if isinstance(form, Int):
        negative = bits.is_set(bits.slice(code, form.bits - 1, 1)) if form.signed else bits.manager.mk_false()
        magnitude = bits.choice(negative, bits.of(Kind.BV_NEG, code), code)
        return Factor(negative, magnitude, bits.constant(0, EXPONENT))
    if not isinstance(form, Float) or not _is_as_said(form):
        raise ToolError(f"Format must be an integer or a float with a sign to be a factor, not {form.name}")
    x = number(bits, form, code)
    magnitude, exponent = bits.slice(code, 0, form.bits - 1), fields(bits, form, code)[0]
    zero = bits.of(Kind.BV_UGT, magnitude, bits.constant(form.largest, size(magnitude)))
    if form.lowest == "zero":
        zero = bits.of(Kind.OR, zero, bits.of(Kind.NOT, bits.is_set(exponent)))
    significand = bits.choice(zero, bits.constant(0, size(x.significand)), x.significand)
    return Factor(x.negative, significand, x.exponent)


def _is_as_said(form: Float) -> bool:
    """Whether `factor` says of each code what the model says."""
    codes = np.arange(1 << form.bits)
    magnitude = codes & (1 << form.bits - 1) - 1
    exponent, fraction = magnitude >> form.fraction, magnitude & (1 << form.fraction) - 1
    significand = fraction + np.where(exponent > 0, 1 << form.fraction, 0)
    significand[(magnitude > form.largest) | ((exponent == 0) & (form.lowest == "zero"))] = 0
    values = np.ldexp(significand.astype(float), np.maximum(exponent, 1) - form.bias - form.fraction)
    return np.array_equal(form.decode(zeroed(form, codes)), np.where(codes == magnitude, values, -values))


def number(bits: Bits, form: Float, code: Term) -> Factor:
    """``+-(1.fraction)``, or ``+-(0.fraction)`` with the lowest exponent: as if no code were special."""
    exponent, fraction = fields(bits, form, code)
    there = bits.is_set(exponent)
    biased = bits.resized(bits.choice(there, exponent, bits.constant(1, size(exponent))), EXPONENT, signed=False)
    return Factor(
        bits.is_set(bits.slice(code, form.bits - 1, 1)),
        bits.concat([fraction, bits.bit(there, 1)]),
        moved(bits, biased, -form.bias - form.fraction),
    )


def fields(bits: Bits, form: Float, code: Term) -> tuple[Term, Term]:
    """Exponent and fraction of a code."""
    return bits.slice(code, form.fraction, form.bits - 1 - form.fraction), bits.slice(code, 0, form.fraction)


def moved(bits: Bits, exponent: Term, by: int) -> Term:
    """``exponent + by``."""
    return bits.of(Kind.BV_ADD, exponent, bits.constant(by, EXPONENT))


def product(bits: Bits, x: Factor, y: Factor) -> Factor:
    """Exact."""
    width = size(x.significand) + size(y.significand)
    words = (bits.resized(each.significand, width, signed=False) for each in (x, y))
    return Factor(
        bits.of(Kind.XOR, x.negative, y.negative),
        bits.of(Kind.BV_MUL, *words),
        bits.of(Kind.BV_ADD, x.exponent, y.exponent),
    )


def top(bits: Bits, x: Factor, width: int) -> tuple[Term, Term]:
    """The significand in ``width`` bits, the highest of which is 1 unless all are 0, and the exponent of that bit."""
    more, exponent = width - size(x.significand), moved(bits, x.exponent, size(x.significand) - 1)
    word = bits.concat([bits.constant(0, more), x.significand]) if more else x.significand
    for by in (1 << each for each in reversed(range((width - 1).bit_length()))):
        free = bits.of(Kind.NOT, bits.is_set(bits.slice(word, width - by, by)))
        shifted = bits.concat([bits.constant(0, by), bits.slice(word, 0, width - by)])
        word = bits.choice(free, shifted, word)
        exponent = bits.choice(free, moved(bits, exponent, -by), exponent)
    return word, exponent


def code_of(bits: Bits, shape: Float, x: Factor, *, nearest: bool) -> Term:
    """The code of ``x`` rounded to nearest, ties to even, or toward 0, as if the exponent had no bounds.

    What was below the smallest normal before is 0, without a sign; what is too large is infinite.
    """
    word, exponent = top(bits, x, size(x.significand))
    lost = size(word) - shape.fraction - 1
    biased = moved(bits, exponent, shape.bias)
    # what carries out of the fraction belongs in the exponent
    rounded = bits.concat([bits.slice(word, lost, shape.fraction), biased])
    if nearest:
        half, rest = (bits.is_set(bits.slice(word, at, many)) for at, many in ((lost - 1, 1), (0, lost - 1)))
        odd = bits.is_set(bits.slice(word, lost, 1))
        up = bits.of(Kind.AND, half, bits.of(Kind.OR, rest, odd))
        rounded = bits.of(Kind.BV_ADD, rounded, bits.bit(up, size(rounded)))
    infinity = bits.constant(shape.infinity or 0, size(rounded))
    rounded = bits.choice(bits.of(Kind.BV_SGE, rounded, infinity), infinity, rounded)
    code = bits.concat([bits.slice(rounded, 0, shape.bits - 1), bits.bit(x.negative, 1)])
    small = bits.of(Kind.BV_SLE, biased, bits.constant(0, EXPONENT))
    zero = bits.of(Kind.OR, small, bits.of(Kind.NOT, bits.is_set(word)))
    return bits.choice(zero, bits.constant(0, shape.bits), code)
