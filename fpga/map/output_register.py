"""Moves the register behind a block RAM into it: Yosys leaves the one that every block RAM has for that unused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fpga.map.registers import register_of
from fpga.map.truth import Net

__all__ = ["move_output_registers"]


@dataclass(frozen=True, kw_only=True)
class _Port:
    """What reads together: the letters of a DP16KD's ports (Lattice FPGA-TN-02204), whose registers take each word.

    A word of 36 bits is read through port B, and comes out at both.
    """

    letters: str

    @property
    def clocks(self) -> tuple[str, ...]:
        """Pins of the clocks."""
        return tuple(f"CLK{letter}" for letter in self.letters)

    def is_output(self, pin: str) -> bool:
        """Whether a pin gives a bit of the word."""
        return pin[:2] == "DO" and pin[2] in self.letters

    def settings(self, **values: object) -> dict[str, object]:
        """Parameters or pins, one for each letter."""
        return {f"{name}{letter}": value for name, value in values.items() for letter in self.letters}


_CELL = "DP16KD"
_ONE, _TWO = (_Port(letters="AB"),), (_Port(letters="A"), _Port(letters="B"))


def _ports(cell: Mapping[str, Any]) -> tuple[_Port, ...]:
    """Of a cell, if it is such a block RAM."""
    if cell["type"] != _CELL:
        return ()
    return _ONE if int(cell["parameters"]["DATA_WIDTH_B"], 2) == 36 else _TWO


def move_output_registers(module: Mapping[str, Any]) -> Mapping[str, Any]:
    """A module of the same function, whose block RAMs hold the registers behind them.

    A block RAM answers within some 6 ns of its clock, its register within less than 1 ns. It takes the place of
    flip-flops if all bits of a port that are read go to such alone, which take them in every cycle.

    Parameters
    ----------
    module
        One of the modules that Yosys's ``write_json`` wrote, parsed. Without such cells, it stays as it is.
    """
    if all(cell["type"] != _CELL for cell in module["cells"].values()):
        return module
    cells = dict(module["cells"])
    loads = _loads(module)
    for name, cell in module["cells"].items():
        for port in _ports(cell):
            behind = _behind(cell, port, cells, loads)
            if behind:
                cells[name] = _with_register(cells[name], port, {bit: cells.pop(each) for bit, each in behind.items()})
    return {**module, "cells": cells}


def _loads(module: Mapping[str, Any]) -> dict[Net, list[str]]:
    """Of each net, the cells that read it, and the ports that it is."""
    loads: dict[Net, list[str]] = defaultdict(list)
    for name, cell in module["cells"].items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "input":
                for bit in bits:
                    loads[bit].append(name)
    for name, port in module["ports"].items():
        if port["direction"] == "output":
            for bit in port["bits"]:
                loads[bit].append(f"port {name}")
    return loads


def _behind(
    cell: Mapping[str, Any], port: _Port, cells: Mapping[str, Any], loads: Mapping[Net, list[str]]
) -> dict[Net, str]:
    """The flip-flop behind each bit that is read; none if not all of them are such that the port can hold them."""
    pins, found = cell["connections"], {}
    clocks = {pins[pin][0] for pin in port.clocks}
    if len(clocks) > 1 or any(cell["parameters"][mode].strip() != "NOREG" for mode in port.settings(REGMODE_="")):
        return {}
    for bit in (bits[0] for pin, bits in pins.items() if bits and port.is_output(pin)):
        readers = loads.get(bit, [])
        if not readers:
            continue
        flop = cells.get(readers[0]) if len(readers) == 1 else None
        register = register_of(flop, {}) if flop is not None and flop["type"] == "TRELLIS_FF" else None
        if register is None or (register.input, register.enable, register.reset) != (bit, "1", "0"):
            return {}
        if register.clock not in clocks:
            return {}
        found[bit] = readers[0]
    return found


def _with_register(cell: Mapping[str, Any], port: _Port, flops: Mapping[Net, Mapping[str, Any]]) -> dict[str, Any]:
    moved = {bit: flop["connections"]["Q"] for bit, flop in flops.items()}
    pins = {
        pin: moved.get(bits[0], bits) if bits and port.is_output(pin) else bits
        for pin, bits in cell["connections"].items()
    }
    return {
        **cell,
        "parameters": {**cell["parameters"], **port.settings(REGMODE_="OUTREG")},
        "connections": {**pins, **port.settings(OCE=["1"])},
    }
