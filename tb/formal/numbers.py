"""What codes of a format stand for, as terms: each form is held against the model, code by code, before it is used."""

from collections.abc import Iterator

import numpy as np
from bitwuzla import Kind, Term

from hw.emit.tools import ToolError
from sw_ref.formats.base import Format
from sw_ref.formats.minifloat import Float
from sw_ref.formats.nonfinite import zeroed
from tb.formal.words import Bits

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


def _table(bits: Bits, values: list[int], code: Term, width: int) -> Term:
    """A choice for each bit of the code."""
    if len(values) > 1 << _TABLE_BITS:
        raise ToolError(f"Codes of more than {_TABLE_BITS} bits must have a form, which these of {len(values)} lack")
    level = [bits.constant(value, width) for value in values]
    for index in range(len(values).bit_length() - 1):
        is_set = bits.is_set(bits.slice(code, index, 1))
        level = [bits.choice(is_set, high, low) for low, high in zip(level[::2], level[1::2], strict=True)]
    return level[0]
