"""Functions of a few nets as truth tables: put into each other, and taken apart."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Function", "Net", "splits"]

Net = int | str
"""A net's number, or ``"0"``, ``"1"`` or ``"x"`` for a constant."""

_INPUTS = 4


@dataclass(frozen=True)
class Function:
    """A function of nets, all of which it depends on.

    Attributes
    ----------
    nets
        Its inputs.
    table
        Bit ``v`` is its value where net ``i`` has the value of bit ``i`` of ``v``.
    """

    nets: tuple[Net, ...]
    table: int

    @classmethod
    def of(cls, pins: Sequence[Net], table: int) -> Function:
        """That of pins some of which may be on the same net, or constant: ``"0"``, ``"1"``, or ``"x"``, taken as 0."""
        nets = tuple(dict.fromkeys(pin for pin in pins if isinstance(pin, int)))

        def value(values: int) -> int:
            bits = [values >> nets.index(pin) & 1 if isinstance(pin, int) else int(pin == "1") for pin in pins]
            return table >> sum(bit << index for index, bit in enumerate(bits)) & 1

        return cls(*_needed(nets, sum(value(values) << values for values in range(1 << len(nets)))))

    def at(self, values: int) -> int:
        """Its value where net ``i`` has the value of bit ``i``."""
        return self.table >> values & 1

    def over(self, nets: Sequence[Net]) -> int:
        """Its table for nets that hold its own."""
        places = [nets.index(net) for net in self.nets]
        return sum(
            self.at(sum((values >> place & 1) << index for index, place in enumerate(places))) << values
            for values in range(1 << len(nets))
        )

    def replaced(self, net: Net, inner: Function) -> Function:
        """With ``inner`` in place of ``net``."""
        if net not in self.nets:
            return self
        rest = tuple(other for other in self.nets if other != net)
        nets = rest + tuple(other for other in inner.nets if other not in rest)
        whole, part = Function((*rest, net), self.over((*rest, net))), inner.over(nets)
        low = (1 << len(rest)) - 1
        table = sum(
            whole.at(values & low | (part >> values & 1) << len(rest)) << values for values in range(1 << len(nets))
        )
        return Function(*_needed(nets, table))


def splits(function: Function, net: Net) -> Iterator[tuple[Function, Function]]:
    """Ways to take a function of five inputs or more apart.

    Pairs of an inner function of four inputs at most, whose value is called ``net``, and an outer one of three at most:
    ``net`` and two others, of which the inner function may have one too.
    """
    for bound, context, inner, outer in _splits(len(function.nets), function.table):
        yield (
            Function(*_needed(tuple(function.nets[index] for index in bound), inner)),
            Function(*_needed((*(function.nets[index] for index in context), net), outer)),
        )


@functools.cache
def _splits(count: int, table: int) -> tuple[tuple[tuple[int, ...], tuple[int, ...], int, int], ...]:
    """Indices of the inputs of the inner and the outer function, and their tables."""
    found = []
    for bound in itertools.combinations(range(count), _INPUTS) if count > _INPUTS else ():
        free = tuple(index for index in range(count) if index not in bound)
        for shared in ((), *((index,) for index in bound)):
            context = free + shared
            if len(context) <= 2 and (split := _split(table, bound, context, shared)) is not None:
                found.append((bound, context, *split))
    return tuple(found)


def _split(table: int, bound: tuple[int, ...], context: tuple[int, ...], shared: tuple[int, ...]) -> tuple | None:
    """Tables of the inner and the outer function, if there are such."""
    own = tuple(index for index in bound if index not in shared)
    mask = (1 << (1 << len(own))) - 1
    chosen: dict[int, int] = {}
    outer = 0
    for values in range(1 << len(context)):
        fixed = _spread(values, context)
        part = sum((table >> (fixed | _spread(rest, own)) & 1) << rest for rest in range(1 << len(own)))
        key = fixed & sum(1 << index for index in shared)
        if part in (0, mask):
            kind = 0b11 if part else 0
        else:
            kept = chosen.setdefault(key, part)
            if part not in (kept, kept ^ mask):
                return None
            kind = 0b10 if part == kept else 0b01
        # values of the outer function where the inner one is 0 and 1
        outer |= (kind & 1) << values | (kind >> 1) << (values | 1 << len(context))
    inner = 0
    for values in range(1 << len(bound)):
        placed = _spread(values, bound)
        part = chosen.get(placed & sum(1 << index for index in shared), 0)
        inner |= (part >> sum((placed >> index & 1) << at for at, index in enumerate(own)) & 1) << values
    return inner, outer


def _spread(values: int, places: Sequence[int]) -> int:
    return sum((values >> index & 1) << place for index, place in enumerate(places))


def _needed(nets: tuple[Net, ...], table: int) -> tuple[tuple[Net, ...], int]:
    """Without the inputs that do not matter."""
    for index, _net in enumerate(nets):
        halves = [0, 0]
        for values in range(1 << len(nets)):
            rest = values & (1 << index) - 1 | values >> index + 1 << index
            halves[values >> index & 1] |= (table >> values & 1) << rest
        if halves[0] == halves[1]:
            return _needed(nets[:index] + nets[index + 1 :], halves[0])
    return nets, table
