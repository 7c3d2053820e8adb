"""Sums of products of several lanes, in one of several structures; and what each takes, from widths alone."""

from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Module

from hw.compress import ADD_DELAY, add_threes, compress_steps, heap_heights, plan_levels
from hw.multiply import merged_steps, product_steps, row_widths
from hw.number import Number
from hw.rows import add_pairs, shifted
from hw.stages import Step, side_by_side
from sw_ref.interval import Interval

__all__ = ["STRUCTURES", "cheapest", "dot_steps", "estimate"]

STRUCTURES = ("rows", "triples", "merged", "tree")
"""The structures of a sum of products.

``rows``: each product by rows of its own, see `hw.multiply.product_steps`, and the products in pairs. ``triples``: the
same, but the products three at a time where a carry chain can take three words, with ``lut`` 6. ``merged``: the rows
of all lanes are one chain, see `hw.multiply.merged_steps`. ``tree``: a word for each two bits of a multiplier, and the
bits of all words of all lanes in one compressor tree, see `hw.compress.compress_steps`.
"""


def dot_steps(
    structure: str, multiplicand: Interval, multiplier: Interval, *, lanes: int, lut: int, dsp: str = "none"
) -> list[Step]:
    """Steps that turn Numbers ``multiplicand`` and ``multiplier`` of each of ``at.parts`` into ``at.total``.

    Parameters
    ----------
    structure : str
        One of `STRUCTURES`.
    multiplicand, multiplier : Interval
        Those of each lane.
    lanes : int
    lut, dsp
        As for `hw.multiply.product_steps`; ``dsp`` is for products by themselves.
    """
    if structure == "merged":
        return merged_steps(multiplicand, multiplier, lanes=lanes, lut=lut, name="product_row")
    if structure == "tree":
        return _tree_steps(multiplicand, multiplier, lanes=lanes, lut=lut)
    products = [product_steps(multiplier, dsp=dsp, lut=lut, name=f"product_{lane}_row") for lane in range(lanes)]
    threes = structure == "triples" and lut == 6
    levels = _levels(lanes, 3 if threes else 2)
    sums = [Step(ADD_DELAY, partial(_add, name=f"sum_{level}", threes=threes)) for level in range(levels)]
    return [*side_by_side(products), Step(0, _gather), *sums, Step(0, _finish)]


def estimate(structure: str, multiplicand: Interval, multiplier: Interval, *, lanes: int, lut: int) -> int:
    """About how many look-up tables a structure takes.

    A carry chain takes one a bit, a chain of carry cells of two bits (``lut`` 4) a whole number of cells; a counter
    takes one for each bit of its count, or two where it has six inputs, if that is more than a table has.

    Parameters
    ----------
    structure, multiplicand, multiplier, lanes, lut
        As for `dot_steps`.
    """
    product = multiplicand * multiplier
    if structure == "merged":
        return sum(_chain(bits, lut) for bits in row_widths(multiplicand, multiplier, lanes=lanes, lut=lut))
    if structure == "tree":
        words = _words(multiplicand, multiplier, lanes)
        heights = heap_heights(words, product.sum_of(lanes).bits)
        levels = plan_levels(heights, lut)
        counted = sum(bits.bit_length() for level in levels for column in level for bits in column)
        leaves = sum(_chain(interval.bits, lut) for interval, _low in words)
        return leaves + counted + _chain(len(heights), lut)
    rows = lanes * sum(_chain(bits, lut) for bits in row_widths(multiplicand, multiplier, lanes=1, lut=lut))
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
    (at.total,) = at.terms
    del at.terms


def _tree_steps(multiplicand: Interval, multiplier: Interval, *, lanes: int, lut: int) -> list[Step]:
    words = _words(multiplicand, multiplier, lanes)
    leaves = [
        product_steps(_piece(multiplier, low), dsp="none", lut=4, name=f"product_{lane}_{low}")
        for lane in range(lanes)
        for low in _lows(multiplier)
    ]
    return [
        Step(0, partial(_split, multiplier=multiplier)),
        # all pieces have one row each, but perhaps no two the same delay
        *side_by_side(leaves),
        Step(0, _collect),
        *compress_steps(words, (multiplicand * multiplier).sum_of(lanes), lut=lut),
    ]


def _words(multiplicand: Interval, multiplier: Interval, lanes: int) -> list[tuple[Interval, int]]:
    """The words that a tree adds up: the interval of each, and the weight of its lowest bit."""
    return [(multiplicand * _piece(multiplier, low), low) for low in _lows(multiplier)] * lanes


def _lows(multiplier: Interval) -> range:
    return range(0, multiplier.bits, 2)


def _piece(multiplier: Interval, low: int) -> Interval:
    """What two bits of a multiplier stand for, or the last of them."""
    return shifted(multiplier, low) if low + 2 >= multiplier.bits else Interval.of_bits(2, signed=False)


def _split(_m: Module, at: SimpleNamespace, *, multiplier: Interval) -> None:
    pieces = []
    for part in at.parts:
        for low in _lows(multiplier):
            bits = part.multiplier.value[low : low + 2]
            piece = _piece(multiplier, low)
            number = Number(bits.as_signed() if piece.signed else bits, piece)
            pieces.append(SimpleNamespace(multiplicand=part.multiplicand, multiplier=number))
    at.parts = pieces


def _collect(_m: Module, at: SimpleNamespace) -> None:
    at.words = [part.product for part in at.parts]
    del at.parts
