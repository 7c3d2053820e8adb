"""Pulls look-up tables into the carry cells behind them, where these have inputs that yosys leaves unused."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from fpga.map.truth import Function, Net, splits

__all__ = ["absorb"]


@dataclass(frozen=True, kw_only=True)
class _Carry:
    """A cell of two bits of a carry chain.

    A bit has a look-up table ``p`` of pins A to D and a smaller one ``g`` of the first of them, whose contents are
    those of ``p`` with the other pins at 0. It is ``sum = p ^ carry`` and passes on ``p ? carry : g``.

    Attributes
    ----------
    shared
        Pins of ``g``.
    plain
        Parameters with which that is so, and their value.
    """

    shared: int
    plain: Mapping[str, str]


# Lattice FPGA-TN-02206 and yosys' own cell models
_CARRIES = {
    "CCU2C": _Carry(shared=2, plain={"INJECT1_0": "NO", "INJECT1_1": "NO"}),
    "CCU2": _Carry(shared=3, plain={"INJECT": "NO"}),
}
# All give Z; WIDEFN9 is two tables, and SEL chooses the second.
_TABLES = {"LUT4": 1, "WIDEFN9": 2, "PFUMX": 0, "L6MUX21": 0}
_CONSTANTS = {"VLO": "0", "VHI": "1"}

_LUT_PINS = "ABCD"
_HALF_PINS = frozenset(pin + half for pin in _LUT_PINS for half in "01")
_CONE_INPUTS = 6

# Nets at the pins of half a carry cell, and the contents of its look-up table.
_Bit = tuple[list[Net], int]


def absorb(module: Mapping[str, Any]) -> Mapping[str, Any]:
    """A module with fewer look-up tables, the same function, and its carry cells where they were.

    A bit of an ECP5 or Nexus carry chain has a LUT4 of which an adder needs two inputs. What feeds these is moved into
    it: the gate of a partial product, the choice between two multiples, a complement. A function of up to six inputs is
    split in front of the cell if one table then does for the part that stays outside.

    Parameters
    ----------
    module
        One of the modules that Yosys's ``write_json`` wrote, parsed. Without such cells, it stays as it is.
    """
    if all(cell["type"] not in _CARRIES for cell in module["cells"].values()):
        return module
    module = deepcopy(dict(module))
    _Module(module).absorb()
    return module


class _Module:
    """A module of a netlist, and who drives and who uses its nets."""

    def __init__(self, module: dict[str, Any]) -> None:
        self._cells = module["cells"]
        self._constants: dict[Net, Net] = {}
        self._drivers: dict[Net, str] = {}
        self._uses: defaultdict[Net, set[tuple[str, str]]] = defaultdict(set)
        for port in module["ports"].values():
            for bit in port["bits"]:
                self._uses[bit].add(("", ""))
        for name, cell in self._cells.items():
            for pin, bits in cell["connections"].items():
                for bit in bits:
                    self._uses[bit].add((name, pin))
            if cell["type"] in _TABLES:
                self._drivers[cell["connections"]["Z"][0]] = name
            if cell["type"] in _CONSTANTS:
                self._constants[cell["connections"]["Z"][0]] = _CONSTANTS[cell["type"]]
        self._next = 1 + max((bit for bit in self._uses if isinstance(bit, int)), default=1)

    def absorb(self) -> None:
        """Move what can be moved, until nothing can."""
        while sum(self._absorb(net) for net in list(self._drivers)):
            pass

    def _absorb(self, net: Net) -> bool:
        """Move the look-up tables behind ``net`` into all carry cells that it leads to, if it leads nowhere else."""
        if net not in self._drivers:
            return False
        uses = [self._half(*use) for use in self._uses[net] - {(self._drivers[net], "Z")}]
        halves = {half for half in uses if half is not None}
        if not halves or None in uses:
            return False
        best = None
        for function, cone in self._cones(net):
            tables = sum(_TABLES[self._cells[name]["type"]] for name in cone)
            for inner, outer in [(None, function), *splits(function, self._next)]:
                gain = tables - (inner is not None)
                if gain <= (best[0] if best else 0):
                    break
                fitted = {half: bit for half in halves if (bit := self._fitted(*half, net, outer)) is not None}
                if len(fitted) == len(halves):
                    best = gain, cone, inner, fitted
                    break
        if best is not None:
            self._replace(*best[1:])
        return best is not None

    def _replace(self, cone: frozenset[str], inner: Function | None, fitted: Mapping[tuple[str, str], _Bit]) -> None:
        """Put ``inner`` in place of the cells of ``cone``, and into each half of a carry cell what fits there."""
        for name in cone:
            cell = self._cells.pop(name)
            for pin, bits in cell["connections"].items():
                for bit in bits:
                    self._uses[bit].discard((name, pin))
            del self._drivers[cell["connections"]["Z"][0]]
        if inner is not None:
            self._add(min(cone), inner, like=self._cells[next(iter(fitted))[0]]["parameters"]["INIT0"])
        for (name, half), (pins, table) in fitted.items():
            parameters = self._cells[name]["parameters"]
            parameters[f"INIT{half}"] = _spelled(table, parameters[f"INIT{half}"])
            for pin, bit in zip(_LUT_PINS, pins, strict=True):
                self._connect(name, pin + half, bit)

    def _add(self, name: str, function: Function, *, like: str) -> None:
        """Add a look-up table that gives a new net, its contents written as ``like`` is."""
        table = sum(function.at(index % (1 << len(function.nets))) << index for index in range(16))
        self._cells[name] = {
            "hide_name": 1,
            "type": "LUT4",
            "parameters": {"INIT": _spelled(table, like)},
            "attributes": {},
            "port_directions": {**dict.fromkeys(_LUT_PINS, "input"), "Z": "output"},
            "connections": {},
        }
        for pin, bit in itertools.zip_longest(_LUT_PINS, function.nets, fillvalue="0"):
            self._connect(name, pin, bit)
        self._connect(name, "Z", self._next)
        self._drivers[self._next] = name
        self._next += 1

    def _connect(self, name: str, pin: str, bit: Net) -> None:
        connections = self._cells[name]["connections"]
        for old in connections.get(pin, ()):
            self._uses[old].discard((name, pin))
        connections[pin] = [bit]
        self._uses[bit].add((name, pin))

    def _half(self, name: str, pin: str) -> tuple[str, str] | None:
        """The half of a carry cell whose look-up table a pin belongs to; None if it is none."""
        carry = _CARRIES.get(self._cells[name]["type"]) if name else None
        if carry is None or pin not in _HALF_PINS:
            return None
        parameters = self._cells[name]["parameters"]
        is_plain = all(parameters[key] == value for key, value in carry.plain.items())
        return (name, pin[1]) if is_plain else None

    def _fitted(self, name: str, half: str, net: Net, inner: Function) -> _Bit | None:
        """Half of a carry cell with ``inner`` in place of ``net``; None if it does not fit."""
        cell = self._cells[name]
        shared = _CARRIES[cell["type"]].shared
        pins = [self._net(cell, pin + half) for pin in _LUT_PINS]
        table = _number(cell["parameters"][f"INIT{half}"])
        propagate = Function.of(pins, table).replaced(net, inner)
        generate = Function.of(pins[:shared], table).replaced(net, inner)
        nets = propagate.nets + tuple(bit for bit in generate.nets if bit not in propagate.nets)
        if len(nets) > len(_LUT_PINS):
            return None
        found = _fit(len(nets), propagate.over(nets), generate.over(nets), shared)
        if found is None:
            return None
        order, table = found
        return ["1" if index is None else nets[index] for index in order], table

    def _cones(self, net: Net) -> Iterator[tuple[Function, frozenset[str]]]:
        """Functions that give ``net``, of more and more of the cells before it that lead nowhere else; and these."""
        function, cone = self._function(self._drivers[net]), frozenset([self._drivers[net]])
        yield function, cone
        grown = True
        while grown:
            grown = False
            for bit in function.nets:
                source = self._drivers.get(bit)
                if source is None or any(name not in cone and name != source for name, _pin in self._uses[bit]):
                    continue
                wider = function.replaced(bit, self._function(source))
                if len(wider.nets) <= _CONE_INPUTS:
                    function, cone, grown = wider, cone | {source}, True
                    yield function, cone
                    break

    def _function(self, name: str) -> Function:
        """What a look-up table or multiplexer puts out."""
        cell = self._cells[name]
        match cell["type"]:
            case "LUT4":
                return self._table(cell, "", "INIT")
            case "WIDEFN9":
                low, high = (self._table(cell, half, f"INIT{half}") for half in "01")
                return _chosen(low, high, self._net(cell, "SEL"))
            case "PFUMX":
                pins = ("BLUT", "ALUT", "C0")
            case _:
                assert cell["type"] == "L6MUX21"
                pins = ("D0", "D1", "SD")
        low, high, select = (self._net(cell, pin) for pin in pins)
        return _chosen(Function.of([low], 0b10), Function.of([high], 0b10), select)

    def _table(self, cell: Mapping[str, Any], half: str, parameter: str) -> Function:
        return Function.of([self._net(cell, pin + half) for pin in _LUT_PINS], _number(cell["parameters"][parameter]))

    def _net(self, cell: Mapping[str, Any], pin: str) -> Net:
        # what is left open does not matter
        net = next(iter(cell["connections"].get(pin, ())), "x")
        return self._constants.get(net, net)


@functools.cache
def _fit(count: int, propagate: int, generate: int, shared: int) -> tuple[tuple[int | None, ...], int] | None:
    """Which input each pin takes, None for a constant 1, and the contents of the table."""
    for order in itertools.permutations([*range(count), *[None] * (4 - count)]):
        contents: dict[int, int] = {}
        places = []
        for values in range(1 << count):
            place = sum(((1 if index is None else values >> index & 1) << pin) for pin, index in enumerate(order))
            contents[place] = propagate >> values & 1
            places.append(place)
        # what is passed on counts where the carry is not
        wanted = [
            (place % (1 << shared), generate >> values & 1)
            for values, place in enumerate(places)
            if not propagate >> values & 1
        ]
        if all(contents.setdefault(place, value) == value for place, value in wanted):
            return order, sum(value << place for place, value in contents.items())
    return None


def _chosen(low: Function, high: Function, select: Net) -> Function:
    """``high`` where ``select`` is 1, and ``low`` where it is not."""
    return Function.of([-1, -2, select], 0b11001010).replaced(-1, low).replaced(-2, high)


def _number(text: str) -> int:
    return int(text, 16 if text.startswith("0x") else 2)


def _spelled(table: int, like: str) -> str:
    return f"0x{table:04X}" if like.startswith("0x") else f"{table:016b}"
