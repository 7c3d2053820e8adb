"""Paths of logic that lead through a design, from an input to an output, without a register between."""

from collections.abc import Iterator, Mapping
from typing import Any

from tb.formal.netlist import netlist

__all__ = ["through_paths"]

_SCRIPT = """
prep -flatten -top {top}
memory_collect
opt_clean
"""


def through_paths(verilog: str, top: str) -> set[tuple[str, str]]:
    """Pairs of an input and an output of ``top`` between which logic leads, registers left out.

    Bit by bit at ports, but of a cell every output is taken to depend on every input.
    """
    module = netlist(verilog, top, _SCRIPT)
    drivers = {bit: inputs for inputs, outputs in _logic(module) for bit in outputs}
    inputs = {
        bit: port for port, each in module["ports"].items() if each["direction"] == "input" for bit in each["bits"]
    }
    outputs = {port: each["bits"] for port, each in module["ports"].items() if each["direction"] == "output"}
    return {(inputs[bit], port) for port, bits in outputs.items() for bit in _behind(bits, drivers) if bit in inputs}


def _behind(bits: list[Any], drivers: Mapping[Any, list[Any]]) -> set[Any]:
    """All bits that these depend on, themselves included."""
    found, waiting = set(bits), list(bits)
    while waiting:
        new = set(drivers.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found


def _logic(module: Mapping[str, Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    """Inputs and outputs of cells that are no registers; of memories, addresses and words that are read at once."""
    for cell in module["cells"].values():
        pins, ways = cell["connections"], cell.get("port_directions", {})
        if cell["type"].startswith("$mem"):
            yield from _reads(cell)
        elif "ff" not in cell["type"] and "CLK" not in pins:
            yield (
                [bit for pin, bits in pins.items() if ways[pin] == "input" for bit in bits],
                [bit for pin, bits in pins.items() if ways[pin] == "output" for bit in bits],
            )


def _reads(memory: Mapping[str, Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    parameters, pins = memory["parameters"], memory["connections"]
    width, address = (int(parameters[key], 2) for key in ("WIDTH", "ABITS"))
    for port, clocked in enumerate(reversed(parameters["RD_CLK_ENABLE"])):
        if clocked == "0":
            yield (
                pins["RD_ADDR"][port * address : (port + 1) * address],
                pins["RD_DATA"][port * width : (port + 1) * width],
            )
