"""A module of a netlist as Verilog: the family's cells by name, and registers as plain always blocks."""

from __future__ import annotations

import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fpga.map.named import Names
from fpga.map.registers import Register, register_of
from fpga.map.truth import Net

__all__ = ["structural"]

_CARRY = ("carry", "CIN A0 B0 C0 D0 S0 A1 B1 C1 D1 S1 COUT")
# What the instances of a cell are called, with a number behind it, and its pins in the order that they are read in.
_CELLS = {
    "CCU2C": _CARRY,
    "CCU2": _CARRY,
    "LUT4": ("lut", "A B C D Z"),
    "INV": ("inverter", "A Z"),
    "WIDEFN9": ("mux", "A0 B0 C0 D0 A1 B1 C1 D1 SEL Z"),
    "PFUMX": ("mux", "BLUT ALUT C0 Z"),
    "L6MUX21": ("wide_mux", "D0 D1 SD Z"),
    "DP16KD": ("memory", ""),
}
# Contents of a memory that begins with zeros need not be said.
_ZEROS = re.compile(r"INITVAL_\w+ 0+$")
_Cell = Mapping[str, Any]

_CONSTANTS = {"VLO": "0", "VHI": "1"}
_WIDTH = 116


def structural(module: Mapping[str, Any], portable: str) -> str:
    """Verilog text of a mapped module, with the name, ports and names of nets of the portable one.

    Registers stay plain Verilog, since every flow maps these to the same flip-flops. All else is an instance of a cell
    of the family, which a synthesis tool leaves as it is.

    Parameters
    ----------
    module
        One of the modules that Yosys's ``write_json`` wrote, parsed.
    portable
        Text of the module that was mapped.

    Raises
    ------
    ValueError
        If the module holds a register that is not set and cleared in step with its clock.
    """
    return "\n".join(_Text(module, portable).lines()) + "\n"


class _Text:
    """The text of one module, part by part."""

    def __init__(self, module: Mapping[str, Any], portable: str) -> None:
        self._head = portable.partition("\n")[0]
        self._ports = module["ports"]
        cells = module["cells"]
        constants: dict[Net, Net] = {
            cell["connections"]["Z"][0]: _CONSTANTS[cell["type"]]
            for cell in cells.values()
            if cell["type"] in _CONSTANTS
        }
        found = {name: register_of(cell, constants) for name, cell in cells.items()}
        self._registers = [register for register in found.values() if register is not None]
        parts = [name for name, register in found.items() if register is None and cells[name]["type"] not in _CONSTANTS]
        self._cells = _upwards([(name, cells[name]) for name in parts])
        read = {bit for port in self._ports.values() for bit in port["bits"]}
        read.update(bit for register in self._registers for bit in register.inputs)
        read.update(bit for _name, cell in self._cells for bit in _bits(cell, "input"))
        self._names = Names(
            ports=self._ports,
            netnames=module["netnames"],
            declared=frozenset(re.findall(r"(\w+);$", portable, re.MULTILINE)),
            carries=[bit for _name, cell in self._cells for bit in cell["connections"].get("COUT", ()) if bit in read],
            driven=[bit for _name, cell in self._cells for bit in _bits(cell, "output") if bit in read],
            registers=[register.output for register in self._registers],
            constants=constants,
        )

    def lines(self) -> Iterator[str]:
        yield self._head
        yield from self._names.declarations()
        yield from self._instances()
        yield from self._always()
        for port, bits in self._names.aliases():
            yield from _wrapped(f"assign {port} = {self._names.word(bits)};")
        yield "endmodule"

    def _instances(self) -> Iterator[str]:
        numbers: Counter[str] = Counter()
        for name, cell in self._cells:
            stem, order = _CELLS.get(cell["type"], ("", ""))
            called = name
            if stem:
                stem = self._names.fresh(stem)
                called = f"{stem}_{numbers[stem]}"
                numbers[stem] += 1
            given = {key: value for key, value in cell["parameters"].items() if not _ZEROS.match(f"{key} {value}")}
            parameters = ", ".join(f".{key}({_literal(value)})" for key, value in given.items())
            pins = [
                f".{pin}({self._names.word(bits)})"
                for pin, bits in sorted(cell["connections"].items(), key=lambda each: order.find(each[0]))
                if cell["port_directions"][pin] == "input" or any(map(self._names.is_used, bits))
            ]
            head = f"{cell['type']} #({parameters})" if parameters else cell["type"]
            yield from _wrapped(f"{head} {called}({', '.join(pins)});")

    def _always(self) -> Iterator[str]:
        """An always block for all registers with the same clock, enable and reset."""
        alike: defaultdict[tuple[Net, Net, Net], list[Register]] = defaultdict(list)
        for register in self._registers:
            alike[register.control].append(register)
        for (clock, enable, reset), registers in alike.items():
            words = self._names.words([register.output for register in registers])
            by_output = {register.output: register for register in registers}
            yield f"  always @(posedge {self._names.word([clock])}) begin"
            for bits in words:
                target = self._names.word(bits)
                inputs = self._names.word([by_output[bit].input for bit in bits])
                value = self._names.word([by_output[bit].value for bit in bits])
                clear = f"if ({self._names.word([reset])}) {target} <= {value};" if reset != "0" else ""
                load = f"if ({self._names.word([enable])}) " if enable != "1" else ""
                load = f"{load}{target} <= {inputs};"
                yield from _wrapped(f"{clear} else {load}" if clear else load, indent=4)
            yield "  end"


def _bits(cell: _Cell, direction: str) -> list[Net]:
    directions = cell["port_directions"]
    return [bit for pin, bits in cell["connections"].items() if directions[pin] == direction for bit in bits]


def _upwards(cells: Sequence[tuple[str, _Cell]]) -> list[tuple[str, _Cell]]:
    """Chains of carry cells first, each from its lowest bit, then all others in the order of the netlist."""
    chained = [each for each in cells if "COUT" in each[1]["connections"]]
    above = {_carry(cell, "CIN"): (name, cell) for name, cell in chained}
    inside = {_carry(cell, "COUT") for _name, cell in chained}
    found = []
    for link in chained:
        if _carry(link[1], "CIN") in inside:
            continue
        found.append(link)
        while isinstance(net := _carry(found[-1][1], "COUT"), int) and net in above:
            found.append(above[net])
    return found + [each for each in cells if "COUT" not in each[1]["connections"]]


def _carry(cell: _Cell, pin: str) -> Net:
    return next(iter(cell["connections"].get(pin, ())), "x")


def _literal(value: str) -> str:
    """A parameter as Yosys writes it: bits of a number, or text."""
    if re.fullmatch(r"[01]+", value):
        return f"{len(value)}'h{int(value, 2):0{-(-len(value) // 4)}x}"
    return f'"{value.rstrip()}"'


def _wrapped(text: str, indent: int = 2) -> list[str]:
    spaces = " " * indent
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=spaces,
        subsequent_indent=f"{spaces}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
