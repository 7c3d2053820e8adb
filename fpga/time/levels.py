"""Longest path of logic through a mapped netlist, in primitives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import count
from typing import Any

from fpga.count import is_library
from fpga.families import Family

__all__ = ["longest_path"]


def longest_path(netlist: Mapping[str, Any], family: Family, *, top: str) -> tuple[str, ...]:
    """Primitives along a longest path, the first of them first.

    Paths start and end at registers, memories, DSP blocks, and ports of the top module. Each primitive of logic between
    them counts as one, whatever its delay: a LUT, a carry cell however many bits of a chain it holds, a multiplexer. A
    path leads from each of its inputs to each output; but in a carry cell of several bits, only upwards.

    Parameters
    ----------
    netlist
        What Yosys's ``write_json`` wrote, parsed; flat or with its hierarchy.
    family
        Whose primitives the netlist is made of.
    top
        Name of the top module.

    Raises
    ------
    ValueError
        If logic feeds back on itself, or the family has no rule for a primitive.
    """
    modules = netlist["modules"]
    drivers = {net: (kind, sources) for kind, sources, net in _arcs(modules, family, top, 0, _offsets(modules))}
    try:
        order = list(TopologicalSorter({net: sources for net, (_, sources) in drivers.items()}).static_order())
    except CycleError:
        raise ValueError(f"Logic must not feed back on itself without a register, as it does in {top}") from None
    depth: dict[int, int] = {}
    before: dict[int, int | None] = {}
    for net in order:
        kind, sources = drivers.get(net, ("", ()))
        before[net] = source = max(sources, key=depth.__getitem__, default=None)
        depth[net] = bool(kind) + (0 if source is None else depth[source])
    path = []
    net = max(depth, key=depth.__getitem__, default=None)
    while net in drivers:
        path.append(drivers[net][0])
        net = before[net]
    return tuple(filter(None, reversed(path)))


def _offsets(modules: Mapping[str, Any]) -> Iterator[int]:
    """What to add to the numbers of nets in each further instance, so that none is that of another."""
    bits = (bit for module in modules.values() for net in module["netnames"].values() for bit in net["bits"])
    step = 1 + max((bit for bit in bits if isinstance(bit, int)), default=0)
    return count(step, step)


def _arcs(
    modules: Mapping[str, Any], family: Family, name: str, offset: int, offsets: Iterator[int]
) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Primitive, nets that enter it, and the net that it drives; without a primitive at the ports of modules."""
    for cell in modules[name]["cells"].values():
        kind, pins = cell["type"], cell["connections"]
        if kind in modules and not is_library(modules[kind]):
            inside = next(offsets)
            for port, described in modules[kind]["ports"].items():
                for outer, inner in zip(pins.get(port, ()), described["bits"], strict=False):
                    if isinstance(outer, int) and isinstance(inner, int):
                        ends = (offset + outer, inside + inner)
                        source, net = ends if described["direction"] == "input" else ends[::-1]
                        yield "", (source,), net
            yield from _arcs(modules, family, kind, inside, offsets)
        elif family.cost(kind).is_logic:
            apart = family.cost(kind).apart
            nets = {"input": [], "output": []}
            for port, bits in pins.items():
                numbered = [(port, place, offset + bit) for place, bit in enumerate(bits) if isinstance(bit, int)]
                nets[cell["port_directions"][port]] += numbered
            for end, place, net in nets["output"]:
                sources = (each for each in nets["input"] if each[1] <= place and f"{each[0]} {end}" not in apart)
                yield kind, tuple(source for _begin, _lower, source in sources), net
