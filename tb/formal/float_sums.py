"""Sums of products that are floats, as terms: what `sw_ref.arith.float_sum` says, for any codes."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from bitwuzla import Kind, Term

from sw_ref.arith.float_sum import AlignedSum, FloatSum, PartialSum, RoundedSum
from tb.formal.factors import EXPONENT, Factor, code_of, fields, moved, number, top
from tb.formal.words import Bits, size

__all__ = ["can_be", "sum_term"]

# Where the exponent is less, totals of partial sums are not shifted to the left.
_LEAST = 16


def can_be(bits: Bits, sums: FloatSum, code: Term) -> Term:
    """Whether sums can have a code.

    Rounded and aligned ones are 0, normal or infinite; partial ones have any code whose exponent has room for one more.
    """
    if isinstance(sums, PartialSum):
        exponent = bits.slice(code, sums.significand + 1, sums.exponent)
        return bits.of(Kind.DISTINCT, exponent, bits.constant(-1, sums.exponent))
    exponent, fraction = fields(bits, sums.shape, code)
    zero, whole = (bits.of(Kind.NOT, bits.is_set(each)) for each in (code, fraction))
    is_number = bits.of(Kind.AND, bits.is_set(exponent), bits.of(Kind.IMPLIES, _highest(bits, exponent), whole))
    return bits.of(Kind.OR, zero, is_number)


def sum_term(bits: Bits, sums: FloatSum, addend: Term, products: Sequence[Factor]) -> Term:
    """The code of ``addend`` and ``products``: of one, or of all that are added at once."""
    return _SUMS[type(sums)](bits, sums, addend, products)


def _highest(bits: Bits, exponent: Term) -> Term:
    return bits.of(Kind.EQUAL, exponent, bits.constant(-1, size(exponent)))


def _rounded(bits: Bits, sums: RoundedSum, addend: Term, products: Sequence[Factor]) -> Term:
    """See `RoundedSum`."""
    (added,) = products
    infinite = _highest(bits, fields(bits, sums.shape, addend)[0])
    stays = bits.of(Kind.OR, infinite, bits.of(Kind.NOT, bits.is_set(added.significand)))
    total = _jammed(bits, number(bits, sums.shape, addend), added)
    return bits.choice(stays, addend, code_of(bits, sums.shape, total, nearest=True))


def _jammed(bits: Bits, x: Factor, y: Factor) -> Factor:
    """``x + y``, not both 0: a last bit tells whether anything is lost of the smaller one, which is all that counts."""
    width = max(size(x.significand), size(y.significand))
    (x_word, x_top), (y_word, y_top) = (top(bits, each, width) for each in (x, y))
    # the exponent of what is 0 says nothing
    less = bits.of(Kind.OR, bits.of(Kind.BV_SLT, x_top, y_top), bits.of(Kind.NOT, bits.is_set(x_word)))
    swapped = bits.of(Kind.AND, less, bits.is_set(y_word))
    large, small = bits.choice(swapped, y_word, x_word), bits.choice(swapped, x_word, y_word)
    high, low = bits.choice(swapped, y_top, x_top), bits.choice(swapped, x_top, y_top)
    # a bit for the carry, and room below for what one place of cancellation brings up
    more = width + 3
    large, small = (bits.concat([bits.constant(0, more), each, bits.constant(0, 1)]) for each in (large, small))
    kept, lost = _without(bits, small, bits.of(Kind.BV_SUB, high, low))
    kept = bits.of(Kind.BV_OR, kept, bits.bit(lost, size(kept)))
    opposed = bits.of(Kind.XOR, x.negative, y.negative)
    total = bits.choice(opposed, bits.of(Kind.BV_SUB, large, kept), bits.of(Kind.BV_ADD, large, kept))
    # of equal exponents, the other one may have been larger
    turned = bits.of(Kind.AND, opposed, bits.of(Kind.BV_ULT, large, kept))
    negative = bits.of(Kind.XOR, bits.choice(swapped, y.negative, x.negative), turned)
    total = bits.choice(turned, bits.of(Kind.BV_NEG, total), total)
    return Factor(negative, total, moved(bits, high, 1 - width - more))


def _without(bits: Bits, word: Term, by: Term) -> tuple[Term, Term]:
    """Shifted to the right, and whether that lost anything."""
    kept = _shifted(bits, word, by)
    # no distance that loses a 1 brings it back
    back = bits.of(Kind.BV_SHL, kept, bits.resized(by, size(word), signed=False))
    return kept, bits.of(Kind.DISTINCT, back, word)


def _shifted(bits: Bits, word: Term, by: Term) -> Term:
    """To the right, with its sign, by a number that is not negative."""
    width = size(word)
    far = bits.of(Kind.BV_SGE, by, bits.constant(width, EXPONENT))
    by = bits.choice(far, bits.constant(width - 1, width), bits.resized(by, width, signed=False))
    return bits.of(Kind.BV_ASHR, word, by)


def _signed(bits: Bits, negative: Term, magnitude: Term) -> Term:
    return bits.choice(negative, bits.of(Kind.BV_NEG, magnitude), magnitude)


def _aligned(bits: Bits, sums: AlignedSum, addend: Term, products: Sequence[Factor]) -> Term:
    """See `AlignedSum`."""
    mine = number(bits, sums.shape, addend)
    # bits of a significand below the one that its exponent is of: a product's is from 1 to less than 4
    terms = [(mine, size(mine.significand) - 1), *((each, size(each.significand) - 2) for each in products)]
    exponents = [moved(bits, each.exponent, below) for each, below in terms]
    largest = bits.constant(-(1 << EXPONENT - 2), EXPONENT)
    for (each, _below), exponent in zip(terms, exponents, strict=True):
        counts = bits.of(Kind.AND, bits.is_set(each.significand), bits.of(Kind.BV_SGT, exponent, largest))
        largest = bits.choice(counts, exponent, largest)
    # two bits before the point, a sign, and what so many terms take
    width, aligned = sums.fraction + 3 + len(terms).bit_length(), []
    for (each, below), exponent in zip(terms, exponents, strict=True):
        word = bits.resized(each.significand, width, signed=False)
        word = bits.of(Kind.BV_SHL, word, bits.constant(sums.fraction - below, width))
        word = _shifted(bits, word, bits.of(Kind.BV_SUB, largest, exponent))
        word = bits.choice(bits.is_set(each.significand), word, bits.constant(0, width))
        aligned.append(_signed(bits, each.negative, word))
    total = reduce(lambda x, y: bits.of(Kind.BV_ADD, x, y), aligned)
    negative = bits.is_set(bits.slice(total, width - 1, 1))
    exact = Factor(negative, _signed(bits, negative, total), moved(bits, largest, -sums.fraction))
    infinite = _highest(bits, fields(bits, sums.shape, addend)[0])
    return bits.choice(infinite, addend, code_of(bits, sums.shape, exact, nearest=False))


def _partial(bits: Bits, sums: PartialSum, addend: Term, products: Sequence[Factor]) -> Term:
    """See `PartialSum`."""
    (added,), width = products, sums.significand + 2
    x = bits.resized(bits.slice(addend, sums.significand + 1, sums.exponent), EXPONENT, signed=False)
    s = bits.resized(bits.slice(addend, 0, sums.significand + 1), width, signed=True)
    # its top bit counts 2
    own = moved(bits, added.exponent, sums.bias + size(added.significand) - 2)
    magnitude = bits.resized(added.significand, width, signed=False)
    magnitude = bits.of(Kind.BV_SHL, magnitude, bits.constant(sums.significand - size(added.significand), width))
    behind = bits.of(Kind.BV_SGT, own, x)
    s = bits.choice(behind, _shifted(bits, s, bits.of(Kind.BV_SUB, own, x)), s)
    magnitude = bits.choice(behind, magnitude, _shifted(bits, magnitude, bits.of(Kind.BV_SUB, x, own)))
    total = bits.of(Kind.BV_ADD, s, _signed(bits, added.negative, magnitude))
    s, x = _normalized(bits, sums, total, bits.choice(behind, own, x))
    code = bits.concat([bits.slice(s, 0, sums.significand + 1), bits.slice(x, 0, sums.exponent)])
    return bits.choice(bits.is_set(added.significand), code, addend)


def _normalized(bits: Bits, sums: PartialSum, total: Term, x: Term) -> tuple[Term, Term]:
    """A total and its exponent, halved or shifted to the left."""
    width = size(total)
    large = bits.of(Kind.BV_SGE, x, bits.constant(_LEAST, EXPONENT))
    s, lower = total, x
    for place in sums.places or range(1, sums.significand + 1):
        # what is shifted out, and the sign that is left, are alike
        out = bits.slice(total, width - 2 - place, place + 2)
        alike = bits.of(Kind.OR, *(bits.of(Kind.EQUAL, out, bits.constant(sign, place + 2)) for sign in (0, -1)))
        goes = bits.of(Kind.AND, large, alike)
        s = bits.choice(goes, bits.of(Kind.BV_SHL, total, bits.constant(place, width)), s)
        lower = bits.choice(goes, moved(bits, x, -place), lower)
    if sums.places is None:
        empty = bits.of(Kind.AND, large, bits.of(Kind.NOT, bits.is_set(total)))
        lower = bits.choice(empty, bits.constant(0, EXPONENT), lower)
    signs = [bits.slice(total, width - at, 1) for at in (1, 2)]
    over = bits.of(Kind.DISTINCT, *signs)
    halved = bits.of(Kind.BV_ASHR, total, bits.constant(1, width))
    return bits.choice(over, halved, s), bits.choice(over, moved(bits, x, 1), lower)


_SUMS: dict[type, Callable[[Bits, Any, Term, Sequence[Factor]], Term]] = {
    RoundedSum: _rounded,
    AlignedSum: _aligned,
    PartialSum: _partial,
}
