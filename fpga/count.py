"""Resources of a mapped netlist: each module counted once, times the number of its instances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from fpga.families import Family

__all__ = ["Resources", "count", "is_library", "tally"]

_KINDS = ("lut", "area", "ff", "dsp", "bram")
_SHOWN = ("size", "lut", "ff", "dsp", "bram")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a mapped design occupies; resources add, and multiply by a number of instances.

    Attributes
    ----------
    lut
        Look-up tables, carry cells counted as what they occupy.
    area
        What there is instead where there are no look-up tables, in the family's unit; flip-flops are in it.
    ff
        Flip-flops.
    dsp
        DSP blocks, see `fpga.families.Cost`.
    bram
        Block RAMs of the family's largest size.
    cells
        The primitives behind the sums: name to number.
    """

    lut: int = 0
    area: float = 0
    ff: int = 0
    dsp: float = 0
    bram: float = 0
    cells: Mapping[str, int] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, cells: Mapping[str, int], family: Family) -> Resources:
        """Resources that these numbers of primitives occupy.

        Raises
        ------
        ValueError
            If the family has no rule for one of the primitives.
        """
        costs = [(family.cost(primitive), number) for primitive, number in cells.items()]
        sums = {kind: sum(getattr(cost, kind) * number for cost, number in costs) for kind in _KINDS}
        return cls(**sums, cells=dict(sorted(cells.items())))

    @property
    def size(self) -> float:
        """What designs are compared by, in the family's unit: LUTs, or the area where there are none."""
        return self.area or self.lut

    def to_table(self, prefix: str = "") -> dict[str, float]:
        """Size, LUTs, flip-flops, DSP blocks and block RAMs as plain data, each with ``prefix`` before its name."""
        return {f"{prefix}{kind}": getattr(self, kind) for kind in _SHOWN}

    def __add__(self, other: Resources) -> Resources:
        if not isinstance(other, Resources):
            return NotImplemented
        sums = {kind: getattr(self, kind) + getattr(other, kind) for kind in _KINDS}
        return Resources(**sums, cells=dict(sorted((Counter(self.cells) + Counter(other.cells)).items())))

    def __mul__(self, instances: int) -> Resources:
        if not isinstance(instances, int):
            return NotImplemented
        products = {kind: getattr(self, kind) * instances for kind in _KINDS}
        cells = {primitive: number * instances for primitive, number in self.cells.items()}
        return Resources(**products, cells=cells)

    __rmul__ = __mul__


def tally(netlist: Mapping[str, Any], *, top: str) -> dict[str, dict[str, Any]]:
    """Primitives and instances of each module below ``top``.

    Parameters
    ----------
    netlist
        What Yosys's ``write_json`` wrote, parsed.
    top
        Name of the top module.

    Returns
    -------
    dict
        For each module that is used, the top first and every other one after those that instantiate it:
        ``instances``, how many of it the whole design holds; ``cells``, how many of each primitive one of it holds
        itself; and ``children``, how many of each module. All are plain data for JSON.

    Raises
    ------
    ValueError
        If the netlist has no module ``top``, or a module instantiates itself.
    """
    types = {name: _cell_types(module) for name, module in netlist["modules"].items() if not is_library(module)}
    if top not in types:
        raise ValueError(f"Top must be one of the netlist's modules ({', '.join(sorted(types))}), not {top!r}")
    instances = Counter({top: 1})
    result = {}
    for name in _parents_first(types):
        if instances[name] == 0:
            continue
        children = {child: number for child, number in types[name].items() if child in types}
        for child, number in children.items():
            instances[child] += number * instances[name]
        cells = {primitive: number for primitive, number in types[name].items() if primitive not in types}
        result[name] = {"instances": instances[name], "cells": cells, "children": children}
    return result


def count(netlist: Mapping[str, Any], family: Family, *, top: str) -> Resources:
    """Resources of the whole design below ``top``.

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
        If the netlist has no module ``top``, or holds a primitive for which the family has no rule.
    """
    modules = tally(netlist, top=top).values()
    return sum((Resources.of(module["cells"], family) * module["instances"] for module in modules), Resources())


def _cell_types(module: Mapping[str, Any]) -> dict[str, int]:
    return dict(sorted(Counter(cell["type"] for cell in module["cells"].values()).items()))


def is_library(module: Mapping[str, Any]) -> bool:
    """Whether a module of a netlist is one of the family's own primitives, which come along without a body."""
    return int(module.get("attributes", {}).get("blackbox", "0"), 2) != 0


def _parents_first(types: Mapping[str, Mapping[str, int]]) -> list[str]:
    children = {name: [child for child in cells if child in types] for name, cells in types.items()}
    try:
        return list(TopologicalSorter(children).static_order())[::-1]
    except CycleError as error:
        raise ValueError(f"Modules must not instantiate themselves, as {', '.join(error.args[1])} do") from None
