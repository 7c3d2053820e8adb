"""Formats to draw from: names of the whole grammar, and what a family takes of them."""

import contextlib
import functools
import itertools
import re
from collections.abc import Iterator, Sequence

from pe import FAMILIES
from sw_ref.formats.catalog import FAMILIES as GRAMMAR
from sw_ref.formats.catalog import FormatFamily, parse_format

__all__ = ["LANES", "POOL", "lanes_of", "operands_of"]

LANES = (1, 2, 3, 4, 6, 8)
"""Lanes that are tried of a family, besides the ones that it has if nothing is said."""

_NUMBER = "([0-9]{1,4})"
# Operands of more bits are no better at finding faults, and take longer.
_MOST_BITS = 16
_MOST_OF_A_SPELLING = 5


def _names() -> Iterator[str]:
    for family in GRAMMAR:
        yield from family.examples
        yield from _spread(list(_counted(family)))


def _counted(family: FormatFamily) -> Iterator[str]:
    """Names with small numbers in the places of a pattern that has nothing else to choose."""
    rest = family.pattern.split(_NUMBER)
    if any(re.escape(part) != part for part in rest):
        return
    for numbers in itertools.product(map(str, range(9)), repeat=len(rest) - 1):
        name = "".join(itertools.chain.from_iterable(itertools.zip_longest(rest, numbers, fillvalue="")))
        with contextlib.suppress(ValueError):
            yield parse_format(name).name


def _spread(names: Sequence[str]) -> Sequence[str]:
    """A few names, evenly spaced."""
    return names[:: -(-len(names) // _MOST_OF_A_SPELLING) or 1]


POOL = tuple(name for name in dict.fromkeys(_names()) if parse_format(name).bits <= _MOST_BITS)
"""Names of formats: the examples of each spelling, and some with other small numbers; of 16 bits at most."""


@functools.cache
def operands_of(family: str) -> dict[str, list[str]]:
    """The weights that a family takes for each format of activations, out of `POOL`; without those it takes none for.

    The family itself is asked, with each number of `LANES` that it may want.
    """
    found = {act: [weight for weight in POOL if _takes(family, act, weight)] for act in POOL}
    return {act: weights for act, weights in found.items() if weights}


def lanes_of(family: str, act: str, weight: str) -> list[int]:
    """The lanes that a family takes with these formats, its usual number first."""
    return [lanes for lanes in _tried_lanes(family) if not _refusal(family, act, weight, lanes)]


def _takes(family: str, act: str, weight: str) -> bool:
    """Whether a family takes these formats with some number of lanes."""
    before = ""
    for lanes in _tried_lanes(family):
        refusal = _refusal(family, act, weight, lanes)
        # what is said twice is not about the lanes
        if refusal in ("", before):
            return not refusal
        before = refusal
    return False


def _tried_lanes(family: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys((FAMILIES[family].__dataclass_fields__["lanes"].default, *LANES)))


def _refusal(family: str, act: str, weight: str, lanes: int) -> str:
    """What a family has against these formats and lanes; empty if it takes them."""
    try:
        FAMILIES[family](act=_parsed(act), weight=_parsed(weight), lanes=lanes)
    except ValueError as error:
        return str(error)
    return ""


_parsed = functools.cache(parse_format)
