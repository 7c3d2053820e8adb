"""Sums of products of several lanes, in one of several structures; and what each takes, from widths alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module

from hw.core.number import Number
from hw.core.rows import add_pairs, shifted
from hw.core.stages import Step, side_by_side
from hw.integer.compress import ADD_DELAY, add_threes, compress_steps, heap_heights, plan_levels
from hw.integer.multiply import merged_steps, multiple, product_steps, row_widths
from sw_ref.interval import Interval

__all__ = ["STRUCTURES", "cheapest", "dot_steps", "estimate"]

STRUCTURES = ("rows", "triples", "merged", "tree")
"""The structures of a sum of products.

``rows``: each product by rows of its own, see `hw.integer.multiply.product_steps`, and the products in pairs.
``triples``: the same, but the products three at a time where a carry chain can take three words, with ``lut`` 6.
``merged``: the rows of all lanes are one chain, see `hw.integer.multiply.merged_steps`. ``tree``: a multiple for each
two bits of a multiplier, and the bits of those of all lanes in one compressor tree, see
`hw.integer.compress.compress_steps`.
"""


def dot_steps(
    structure: str, multiplicand: Interval, multiplier: Interval, *, lanes: int, lut: int, dsp: str = "none"
) -> list[Step]:
    """Steps that turn Numbers ``multiplicand`` and ``multiplier`` of each of ``at.parts`` into the one of ``at.terms``.

    Parameters
    ----------
    structure : str
        One of `STRUCTURES`.
    multiplicand, multiplier : Interval
        Those of each lane.
    lanes : int
    lut, dsp
        As for `hw.integer.multiply.product_steps`; ``dsp`` is for products by themselves.
    """
    if structure == "merged":
        return [*merged_steps(multiplicand, multiplier, lanes=lanes, lut=lut, name="product_row"), Step(0, _finish)]
    if structure == "tree":
        return [*_tree_steps(multiplicand, multiplier, lanes=lanes, lut=lut), Step(0, _finish)]
    products = [product_steps(multiplier, dsp=dsp, lut=lut, name=f"product_{lane}_row") for lane in range(lanes)]
    threes = structure == "triples" and lut == 6
    levels = _levels(lanes, 3 if threes else 2)
    sums = [Step(ADD_DELAY, partial(_add, name=f"sum_{level}", threes=threes)) for level in range(levels)]
    return [*side_by_side(products), Step(0, _gather), *sums]


def estimate(structure: str, multiplicand: Interval, multiplier: Interval, *, lanes: int, lut: int) -> int:
    """About how many look-up tables a structure takes.

    A carry chain takes one a bit, a chain of carry cells of two bits (``lut`` 4) a whole number of cells; a counter
    takes one for each bit of its count.

    Parameters
    ----------
    structure, multiplicand, multiplier, lanes, lut
        As for `dot_steps`.
    """
    product = multiplicand * multiplier
    if structure == "merged":
        return _rows(multiplicand, multiplier, lanes, lut)
    if structure == "tree":
        words = _words(multiplicand, multiplier, lanes, lut)
        heights = heap_heights(words, product.sum_of(lanes).bits)
        levels = plan_levels(heights, lut)
        counted = sum(bits.bit_length() for level in levels for column in level for bits in column)
        leaves = sum(_chain(interval.bits, lut) for interval, _low in words) + _gates(multiplier, lut) * len(words)
        return leaves + counted + _chain(len(heights), lut)
    rows = lanes * (_rows(multiplicand, multiplier, 1, lut) + _gates(multiplier, lut) * (lanes > 1))
    group, terms, added = 3 if structure == "triples" and lut == 6 else 2, [1] * lanes, 0
    while len(terms) > 1:
        groups = [terms[index : index + group] for index in range(0, len(terms), group)]
        terms = [sum(each) for each in groups]
        pairs = zip(groups, terms, strict=True)
        added += sum(_chain(product.sum_of(count).bits, lut) for each, count in pairs if len(each) > 1)
    return rows + added


def cheapest(multiplicand: Interval, multiplier: Interval, *, lanes: int, lut: int) -> str:
    """The structure that `estimate` finds the smallest, the first of those."""
    return min(STRUCTURES, key=lambda structure: estimate(structure, multiplicand, multiplier, lanes=lanes, lut=lut))


def _rows(multiplicand: Interval, multiplier: Interval, lanes: int, lut: int) -> int:
    """What the rows take of the products of one lane, or of those of all lanes in one chain."""
    tables, multiple = 0, multiplicand.bits + 1
    for before, after in row_widths(multiplicand, multiplier, lanes=lanes, lut=lut):
        tables += _chain(after, lut)
        if lut == 6:
            # two bits of equal operands share a table, and a sign that is extended further has one of its own
            tables += (multiple <= after - 2) - (max(before, multiple) < after)
    return tables


def _gates(multiplier: Interval, lut: int) -> int:
    """What the lowest bit of a pair takes, which is not on its chain, nor on that of the sum of more than one."""
    return int(lut == 4 and multiplier.bits > 1)


def _chain(bits: int, lut: int) -> int:
    """What a carry chain takes: carry cells of LUT4 families hold two bits."""
    return bits if lut == 6 else bits + bits % 2


def _levels(count: int, group: int) -> int:
    levels = 0
    while count > 1:
        count, levels = -(-count // group), levels + 1
    return levels


def _gather(_m: Module, at: SimpleNamespace) -> None:
    at.terms = [part.product for part in at.parts]
    del at.parts


def _add(m: Module, at: SimpleNamespace, *, name: str, threes: bool) -> None:
    at.terms = (add_threes if threes else add_pairs)(m, name, at.terms)


def _finish(_m: Module, at: SimpleNamespace) -> None:
    at.terms = [at.total]
    del at.total


def _tree_steps(multiplicand: Interval, multiplier: Interval, *, lanes: int, lut: int) -> list[Step]:
    return [
        Step(ADD_DELAY, partial(_multiples, pieces=_pieces(multiplier, lut))),
        *compress_steps(
            _words(multiplicand, multiplier, lanes, lut), (multiplicand * multiplier).sum_of(lanes), lut=lut
        ),
    ]


def _words(multiplicand: Interval, multiplier: Interval, lanes: int, lut: int) -> list[tuple[Interval, int]]:
    """The words that a tree adds up: the interval of each, and the weight of its lowest bit."""
    return [(multiplicand * piece.interval, piece.weight) for piece in _pieces(multiplier, lut)] * lanes


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """What a multiplicand is multiplied by to be a word of a tree.

    Parameters
    ----------
    weight : int
        As an exponent of 2.
    low, high : int
        The bits of the multiplier that it is read from; those below and above the multiplier are 0 and its sign.
    interval : Interval
        Holds the number.
    digit : bool
        Whether it is a Booth digit, of three bits.
    """

    weight: int
    low: int
    high: int
    interval: Interval
    digit: bool = False


def _pieces(multiplier: Interval, lut: int) -> list[_Piece]:
    """All pieces of a multiplier: digits for LUT6, and pairs of bits for LUT4."""
    bits = multiplier.bits
    if lut == 4 or bits == 1:
        return [
            _Piece(
                weight=low,
                low=low,
                high=min(low + 2, bits),
                interval=shifted(multiplier, low) if low + 2 >= bits else Interval.of_bits(2, signed=False),
            )
            for low in range(0, bits, 2)
        ]
    digits = [
        _Piece(weight=low, low=low - 1, high=low + 2, interval=Interval(-2, 2 if low else 1), digit=True)
        for low in range(0, bits, 2)
    ]
    if not multiplier.signed and bits % 2 == 0:
        # the highest digit has counted the top bit as negative, and is made up for
        digits.append(_Piece(weight=bits, low=bits - 1, high=bits, interval=Interval(0, 1)))
    return digits


def _multiples(m: Module, at: SimpleNamespace, *, pieces: Sequence[_Piece]) -> None:
    at.words = []
    for lane, part in enumerate(at.parts):
        a, value = part.multiplicand, part.multiplier.value
        beyond = value[-1] if part.multiplier.interval.signed else Const(0, 1)
        extended = Cat(Const(0, 1), value, beyond)
        for piece in pieces:
            bits, name = extended[piece.low + 1 : piece.high + 1], f"product_{lane}_{piece.weight}"
            if piece.digit:
                at.words.append(multiple(m, name, a, bits, a.interval * piece.interval))
                continue
            multiplier = Number(bits.as_signed() if piece.interval.signed else bits, piece.interval)
            word = SimpleNamespace(multiplicand=a, multiplier=multiplier)
            for step in product_steps(piece.interval, dsp="none", lut=4, name=name):
                step.build(m, word)
            at.words.append(word.product)
    del at.parts
