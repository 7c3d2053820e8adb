"""A cycle of any circuit as terms: its outputs and what registers and memories get, of inputs and of what they hold."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitwuzla import Kind, Term

from hw.emit.tools import ToolError
from tb.formal.words import Aged, Bits, Circuit, size

__all__ = ["Step", "Transition"]

_REGISTER, _MEMORY, _READ = "$dff", "$mem_v2", "$read"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a cycle comes to.

    Parameters
    ----------
    outputs : dict of str to Term
        By the names of ports.
    nexts : dict of str to Term
        What each register holds in the next cycle, and of each port through which a memory is written its enables,
        address and data: if these are equal, so is what the memory holds.
    memories : frozenset of str
        Which of them are such ports.
    """

    outputs: dict[str, Term]
    nexts: dict[str, Term]
    memories: frozenset[str]


class Transition(Circuit):
    """A netlist whose registers are ``$dff``, and whose memories are read without a clock.

    Parameters
    ----------
    bits : Bits
    module : mapping
        As Yosys writes JSON.

    Raises
    ------
    ToolError
        If a memory is read at a clock edge.
    """

    def __init__(self, bits: Bits, module: Mapping[str, Any]) -> None:
        cells, self._writes = {}, {}
        for name, cell in module["cells"].items():
            if cell["type"] == _MEMORY:
                cells.update(_reads(name, cell))
                self._writes.update(_writes(name, cell))
            else:
                cells[name] = cell
        super().__init__(bits, {**module, "cells": cells})

    def step(self, inputs: Mapping[str, Term], held: Callable[[str, int], Term]) -> Step:
        """One cycle.

        Parameters
        ----------
        inputs : mapping of str to Term
        held : callable
            ``held(name, width)``: what a register holds. What a memory holds is an array of its name, see `Bits.array`.
        """
        registers = {name: cell for name, cell in self._module["cells"].items() if cell["type"] == _REGISTER}
        words: dict[Any, tuple[Aged, int]] = {}
        for name, term in inputs.items():
            words.update(_word(self._module["ports"][name]["bits"], term))
        for name, cell in registers.items():
            wires = cell["connections"]["Q"]
            words.update(_word(wires, held(_state(name), len(wires))))
        outputs = {name: port["bits"] for name, port in self._module["ports"].items() if port["direction"] == "output"}
        nexts = {_state(name): cell["connections"]["D"] for name, cell in registers.items()}
        return Step(
            outputs={name: self._term(wires, words, name) for name, wires in outputs.items()},
            nexts={
                **{name: self._term(wires, words, name) for name, wires in nexts.items()},
                **{name: self._written(parts, words, name) for name, parts in self._writes.items()},
            },
            memories=frozenset(self._writes),
        )

    def _term(self, wires: list[Any], words: dict[Any, tuple[Aged, int]], place: str) -> Term:
        for name in self._in_order(wires, words):
            self._evaluate(name, words)
        return self._word(wires, words, place).term

    def _written(self, parts: Sequence[list[Any]], words: dict[Any, tuple[Aged, int]], place: str) -> Term:
        """Enables, address and data, of which only what is enabled counts."""
        bits, (enable, address, data) = self._bits, (self._term(wires, words, place) for wires in parts)
        where = bits.choice(bits.is_set(enable), address, bits.constant(0, size(address)))
        return bits.concat([enable, where, bits.of(Kind.BV_AND, data, enable)])

    def _unknown(self, place: str, index: int) -> Term:
        # the same in two circuits, which differ in something else
        return self._bits.named(f"unknown {place} {index}", 1)

    def _evaluate(self, name: str, words: dict[Any, tuple[Aged, int]]) -> None:
        cell = self._module["cells"][name]
        if cell["type"] != _READ:
            super()._evaluate(name, words)
            return
        address, data = (cell["connections"][pin] for pin in ("A", "Y"))
        memory = self._bits.array(cell["memory"], len(address), len(data))
        read = self._bits.of(Kind.ARRAY_SELECT, memory, self._word(address, words, name).term)
        words.update(_word(data, read))


def _state(name: str) -> str:
    return f"register {name}"


def _word(wires: list[Any], term: Term) -> dict[Any, tuple[Aged, int]]:
    word = Aged(term, 0)
    return {bit: (word, index) for index, bit in enumerate(wires) if isinstance(bit, int)}


def _ports(cell: Mapping[str, Any], kind: str) -> Iterator[tuple[int, Callable[[str, int], list[Any]]]]:
    """Of each port its number, and which wires of a pin are of it, of so many bits each."""
    for port in range(int(cell["parameters"][f"{kind}_PORTS"], 2)):

        def part(pin: str, width: int, port: int = port) -> list[Any]:
            return cell["connections"][f"{kind}_{pin}"][port * width : (port + 1) * width]

        yield port, part


def _reads(name: str, cell: Mapping[str, Any]) -> dict[str, Any]:
    if "1" in cell["parameters"]["RD_CLK_ENABLE"]:
        raise ToolError(f"Memory {name} must be read without a clock")
    width, address = (int(cell["parameters"][key], 2) for key in ("WIDTH", "ABITS"))
    return {
        f"{name} read {port}": {
            "type": _READ,
            "memory": name,
            "port_directions": {"A": "input", "Y": "output"},
            "connections": {"A": part("ADDR", address), "Y": part("DATA", width)},
        }
        for port, part in _ports(cell, "RD")
    }


def _writes(name: str, cell: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    width, address = (int(cell["parameters"][key], 2) for key in ("WIDTH", "ABITS"))
    return {
        f"memory {name} write {port}": [part("EN", width), part("ADDR", address), part("DATA", width)]
        for port, part in _ports(cell, "WR")
    }
