"""What codes of a format stand for, as terms: each form is held against the model, code by code, before it is used."""

from collections.abc import Iterator

import numpy as np
from bitwuzla import Kind, Term

from hw.emit.tools import ToolError
from sw_ref.formats.base import Format
from sw_ref.formats.minifloat import Float
from sw_ref.formats.nonfinite import zeroed
from sw_ref.formats.posit import Posit
from tb.formal.words import Bits, size

__all__ = ["fixed_term"]

# Codes of more bits have a form, or no term: a table of them is too large to reason about.
_TABLE_BITS, _CODE_BITS = 10, 16


def fixed_term(bits: Bits, form: Format, code: Term, width: int) -> Term:
    """What ``code`` stands for in units of the format's last bit, modulo ``2**width``; 0 for what is not finite.

    Raises
    ------
    ToolError
        If the format's codes are too wide for a table, and no form fits them.
    """
    if form.bits > _CODE_BITS:
        raise ToolError(f"Format must have at most {_CODE_BITS} bits to be a term, not {form.bits} as {form.name}")
    codes = np.arange(1 << form.bits)
    values = [int(value) for value in form.to_fixed(zeroed(form, codes))]
    return (
        _linear(bits, values, code, width)
        or _floating(bits, form, values, code, width)
        or _tapered(bits, form, values, code, width)
        or _table(bits, values, code, width)
    )


def _linear(bits: Bits, values: list[int], code: Term, width: int) -> Term | None:
    """``factor * code + first``, of a code that is signed or not."""
    half = len(values) // 2
    for signed in (False, True):
        numbers = [code - len(values) if signed and code >= half else code for code in range(len(values))]
        first = values[0]
        factor = (values[-1] - first) // numbers[-1]
        if values == [factor * number + first for number in numbers]:
            number = bits.resized(code, width, signed=signed)
            scaled = bits.of(Kind.BV_MUL, number, bits.constant(factor, width)) if factor != 1 else number
            return bits.of(Kind.BV_ADD, scaled, bits.constant(first, width)) if first else scaled
    return None


def _floating(bits: Bits, form: Format, values: list[int], code: Term, width: int) -> Term | None:
    """``+-(1.fraction << exponent)`` of floats, the lowest exponent subnormal or 0, the highest perhaps 0."""
    if not (isinstance(form, Float) and form.signed):
        return None
    fraction, top = form.fraction, form.bits - 1
    for flushed, ends in _choices():
        if values != [_float_value(each, form, flushed, ends) for each in range(len(values))]:
            continue
        exponent = bits.slice(code, fraction, top - fraction)
        significand = bits.resized(bits.slice(code, 0, fraction), width, signed=False) if fraction else None
        leading = bits.constant(1 << fraction, width)
        normal = bits.of(Kind.BV_ADD, leading, significand) if significand is not None else leading
        shift = bits.resized(exponent, width, signed=False)
        by = bits.of(Kind.BV_SUB, shift, bits.constant(1, width))
        magnitude = bits.of(Kind.BV_SHL, normal, by)
        zero = bits.constant(0, width)
        low = zero if flushed or significand is None else significand
        magnitude = bits.choice(bits.is_set(exponent), magnitude, low)
        if ends:
            highest = bits.of(Kind.EQUAL, exponent, bits.constant(-1, top - fraction))
            magnitude = bits.choice(highest, zero, magnitude)
        negative = bits.is_set(bits.slice(code, top, 1))
        return bits.choice(negative, bits.of(Kind.BV_NEG, magnitude), magnitude)
    return None


def _choices() -> Iterator[tuple[bool, bool]]:
    """Whether the lowest exponent is flushed, and whether the highest stands for nothing finite."""
    return ((flushed, ends) for flushed in (False, True) for ends in (False, True))


def _float_value(code: int, form: Float, flushed: bool, ends: bool) -> int:
    fraction, top = form.fraction, form.bits - 1
    exponent, low = code >> fraction & (1 << top - fraction) - 1, code & (1 << fraction) - 1
    if exponent == 0:
        magnitude = 0 if flushed else low
    elif ends and exponent == (1 << top - fraction) - 1:
        magnitude = 0
    else:
        magnitude = (1 << fraction | low) << exponent - 1
    return -magnitude if code >> top else magnitude


def _tapered(bits: Bits, form: Format, values: list[int], code: Term, width: int) -> Term | None:
    """Posits: by the length of their regime, which says where exponent and fraction are."""
    if not isinstance(form, Posit) or values != [_posit_value(each, form) for each in range(len(values))]:
        return None
    negative = bits.is_set(bits.slice(code, form.bits - 1, 1))
    body = bits.slice(bits.choice(negative, bits.of(Kind.BV_NEG, code), code), 0, form.bits - 1)
    magnitude = bits.constant(0, width)
    for head, run, low in _regimes(form):
        rest = bits.slice(body, 0, low) if low else None
        is_so = bits.of(Kind.EQUAL, bits.slice(body, low, size(body) - low), bits.constant(head, size(body) - low))
        magnitude = bits.choice(is_so, _posit_term(bits, form, run, rest, width), magnitude)
    return bits.choice(negative, bits.of(Kind.BV_NEG, magnitude), magnitude)


def _regimes(form: Posit) -> Iterator[tuple[int, int, int]]:
    """Highest bits of a magnitude up to the end of its regime, what that counts, and how many bits are left."""
    body = form.bits - 1
    for length in range(1, body + 1):
        low = max(0, body - length - 1)
        ends = body > length
        yield int("1" * length + "0" * ends, 2), length - 1, low
        if ends:
            yield 1, -length, low


def _posit_term(bits: Bits, form: Posit, regime: int, rest: Term | None, width: int) -> Term:
    """``1.fraction`` times two to the power of regime and exponent, of what is left behind the regime."""
    lsb, lower = form.fixed_form.lsb, 0 if rest is None else size(rest)
    if rest is None or lower <= form.es:
        step = form.es - lower
        options = [bits.constant(1 << (regime << form.es) + (each << step) - lsb, width) for each in range(1 << lower)]
        return _chosen(bits, rest, options) if rest is not None else options[0]
    fraction = lower - form.es
    significand = bits.concat([bits.slice(rest, 0, fraction), bits.constant(1, 1)])
    word = bits.resized(significand, width + fraction, signed=False)
    scales = [(regime << form.es) + each - lsb for each in range(1 << form.es)]
    # bits of a fraction count at least as much as the format's last place
    words = [bits.of(Kind.BV_SHL, word, bits.constant(scale, size(word))) for scale in scales]
    options = [bits.slice(each, fraction, width) for each in words]
    return _chosen(bits, bits.slice(rest, fraction, form.es), options) if form.es else options[0]


def _chosen(bits: Bits, index: Term, options: list[Term]) -> Term:
    """One of ``2**size`` words."""
    for at in range(size(index)):
        is_set = bits.is_set(bits.slice(index, at, 1))
        options = [bits.choice(is_set, high, low) for low, high in zip(options[::2], options[1::2], strict=True)]
    return options[0]


def _posit_value(code: int, form: Posit) -> int:
    """What `_tapered` says."""
    negative, top = code >> form.bits - 1, 1 << form.bits
    body = (top - code if negative else code) % top & (top >> 1) - 1
    for head, regime, low in _regimes(form):
        if body >> low == head:
            rest, lower = body & (1 << low) - 1, min(low, form.es)
            exponent = rest >> low - lower << form.es - lower
            fraction = rest & (1 << low - lower) - 1
            scale = (regime << form.es) + exponent - form.fixed_form.lsb
            magnitude = (1 << low - lower | fraction) << scale >> low - lower
            return -magnitude if negative else magnitude
    return 0


def _table(bits: Bits, values: list[int], code: Term, width: int) -> Term:
    """A choice for each bit of the code."""
    if len(values) > 1 << _TABLE_BITS:
        raise ToolError(f"Codes of more than {_TABLE_BITS} bits must have a form, which these of {len(values)} lack")
    return _chosen(bits, code, [bits.constant(value, width) for value in values])
