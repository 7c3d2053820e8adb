"""Control of engines: every state that can be reached under all stalls, held against the schedule.

Data are not known: what is found holds for all operands, parameters and registers without a reset. A state is what all
registers hold of which control depends, and how many beats of each stream have been taken. All of them are visited, so
that what holds holds in every cycle, and not only so many cycles from reset.
"""

import ctypes
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.lib.wiring import In

from dataflow.engine.base import Engine
from hw.core.digest import digest
from hw.emit.cache import cached_dir
from hw.emit.tools import ToolError
from hw.emit.verilog import emit_verilog
from sw_ref.engine.schedule import Schedule
from tb.c_library import Functions, c_library
from tb.formal.netlist import netlist

__all__ = ["FAULTS", "Broken", "Explored", "FullError", "explore"]

_MODEL = Path(__file__).with_suffix(".cpp")
_OPTIONS = ("-std=c++17", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
# Gates and registers without a reset or an enable; what nothing depends on is gone.
_SCRIPT = """
hierarchy -top {top}
proc
flatten
opt_clean
memory_collect
memory_map
opt -full
techmap t:$neg
simplemap
opt
dffunmap
simplemap
opt_expr
opt_merge
aigmap
opt_expr
opt_merge
opt_clean
"""
_AND, _NOT, _REGISTER = "$_AND_", "$_NOT_", "$_DFF_P_"
_CONSTANTS: Mapping[Any, int] = {"0": 0, "1": 1, "x": 2}
_NONE = 0xFFFFFFFF
_OPERAND, _LIMITED, _RESULT = range(3)
_LONGEST = 100_000

FAULTS = {
    2: "depends on data or is not known",
    3: "takes or gives more beats than are scheduled",
    4: "marks another beat as the last",
    5: "withdraws or changes what was not taken",
    6: "never ends although nothing stalls",
}
"""What can be wrong, by the numbers of ``Fault`` in reach.cpp."""
_FULL = 1


class FullError(Exception):
    """There are more states than were allowed."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A way to a state in which something is wrong.

    Parameters
    ----------
    stream, what : str
        Which stream, and what of it, see `FAULTS`; the command for what never ends.
    case : int
        Number of the products.
    offers : tuple of tuple of str
        In each cycle from reset, the streams that are offered, or taken if they lead out.
    beats : mapping of str to int
        Taken of each stream in the end.
    """

    stream: str
    what: str
    case: int
    offers: tuple[tuple[str, ...], ...]
    beats: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Explored:
    """What was found.

    Parameters
    ----------
    states, transitions : int
        Visited.
    depth : int
        Cycles from reset to the state that is farthest from it.
    longest : int
        Cycles that it takes at most to the end once nothing stalls.
    cycles : tuple of int
        Of each case, from the cycle in which its first command is taken to that of its last result, if nothing ever
        stalls; empty if something is broken.
    broken : Broken or None
    """

    states: int
    transitions: int
    depth: int
    longest: int
    cycles: tuple[int, ...]
    broken: Broken | None = None


class _Circuit(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("signals", "gates", "registers", "streams", "reset", "last")),
        *((name, ctypes.c_uint32) for name in ("payload_bits", "cases", "products")),
        *((name, ctypes.c_void_p) for name in ("gate", "held", "valid", "ready", "kind", "stalls")),
        *((name, ctypes.c_void_p) for name in ("payload", "commands", "expected", "last_beats")),
    )


class _Found(ctypes.Structure):
    _fields_ = (
        ("states", ctypes.c_uint64),
        ("transitions", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in ("levels", "longest", "fault", "stream", "state")),
    )


def explore(
    engine: Engine,
    cases: Sequence[Sequence[Schedule]],
    *,
    stalling: Collection[str],
    most: int = 4_000_000,
    verilog: str = "",
) -> Explored:
    """Visit every state that an engine can reach.

    Parameters
    ----------
    engine : Engine
    cases : sequence of sequence of Schedule
        Products that are asked for one after the other, as soon as the engine takes a command; each case on its own,
        and all of the same number of products.
    stalling : collection of str
        Streams that may stall in any cycle. All others offer whatever is left of them.
    most : int
        States.
    verilog : str, optional
        In place of the engine's own, with the top module ``unit``.

    Raises
    ------
    FullError
        If there are more states.
    """
    names = list(cases[0][0].beats)
    assert names[0] == "command", "which cycles are counted from"
    text = (verilog or emit_verilog(engine, name="unit", prefix="unit_")) + _top(engine)
    # the arrays stay, which the circuit points to
    circuit, _arrays = _circuit(netlist(text, "control", _SCRIPT), names, cases, stalling)
    library, found = _library(), _Found()
    reach = library.reach_run(ctypes.byref(circuit), most, ctypes.byref(found))
    try:
        if found.fault == _FULL:
            raise FullError(f"More than {most} states can be reached")
        broken = _broken(library, reach, found, names) if found.fault else None
        cycles = () if broken else tuple(library.reach_cycles(reach, index) for index in range(len(cases)))
    finally:
        library.reach_close(reach)
    return Explored(
        states=found.states,
        transitions=found.transitions,
        depth=found.levels,
        longest=found.longest,
        cycles=cycles,
        broken=broken,
    )


def _top(engine: Engine) -> str:
    """A module around the unit with what control is made of: no results but whether they are the last."""
    ports, pins, wires = ["input clk", "input rst"], [".clk(clk)", ".rst(rst)"], []
    for name, (value, flow) in engine.ports().items():
        bits = max(1, len(value))
        if flow == In:
            ports.append(f"input [{bits - 1}:0] {name}")
        elif name.endswith(("__valid", "__ready")):
            ports.append(f"output {name}")
        else:
            wires.append(f"  wire [{bits - 1}:0] {name};")
        pins.append(f".{name}({name})")
    # the last field of a row of results, see Engine
    wires.append(f"  assign last = result__payload[{len(engine.ports()['result__payload'][0]) - 1}];")
    head = f"module control({', '.join([*ports, 'output last'])});"
    return "\n".join(["", head, *wires, f"  unit dut({', '.join(pins)});", "endmodule", ""])


def _circuit(
    module: Mapping[str, Any], names: Sequence[str], cases: Sequence[Sequence[Schedule]], stalling: Collection[str]
) -> tuple[_Circuit, list[np.ndarray]]:
    """What the C++ is given, and the arrays that it points to."""
    signals = _Signals(module)
    ports = {name: [signals.of(bit) for bit in port["bits"]] for name, port in module["ports"].items()}
    kinds = {"act": _OPERAND, "weight": _OPERAND, "result": _RESULT}
    ends = [np.cumsum([each.beats["result"] for each in case]) for case in cases]
    width = len(ports["command__payload"])
    commands = [[[each.command >> bit & 1 for bit in range(width)] for each in case] for case in cases]
    beats = np.array([[sum(each.beats[name] for each in case) for name in names] for case in cases])
    assert beats.max() < 256, "counts of beats are bytes"
    arrays = {
        "gate": np.array(signals.gates, np.uint32),
        "held": np.array(signals.registers, np.uint32),
        "valid": np.array([ports[f"{name}__valid"][0] for name in names], np.uint32),
        "ready": np.array([ports[f"{name}__ready"][0] for name in names], np.uint32),
        "kind": np.array([kinds.get(name, _LIMITED) for name in names], np.uint8),
        "stalls": np.array([name in stalling for name in names], np.uint8),
        "payload": np.array(ports["command__payload"], np.uint32),
        "commands": np.array(commands, np.uint8),
        "expected": beats.astype(np.uint16),
        "last_beats": np.array(ends, np.uint16),
    }
    circuit = _Circuit(
        signals=signals.count,
        gates=len(signals.gates),
        registers=len(signals.registers),
        streams=len(names),
        reset=ports["rst"][0],
        last=ports["last"][0],
        payload_bits=width,
        cases=len(cases),
        products=len(cases[0]),
        **{name: array.ctypes.data for name, array in arrays.items()},
    )
    return circuit, list(arrays.values())


class _Signals:
    """Numbers of the signals of a netlist, and its gates in an order in which each comes behind what it takes."""

    def __init__(self, module: Mapping[str, Any]) -> None:
        self._numbers: dict[Any, int] = dict(_CONSTANTS)
        self.gates: list[tuple[int, int, int]] = []
        cells = [cell for cell in module["cells"].values() if cell["type"] != "$scopeinfo"]
        if unknown := {cell["type"] for cell in cells} - {_AND, _NOT, _REGISTER}:
            raise ToolError(f"Control must be made of gates and registers, not of {', '.join(sorted(unknown))}")
        pins = [{pin: bits[0] for pin, bits in cell["connections"].items()} for cell in cells]
        registers = [pin for pin, cell in zip(pins, cells, strict=True) if cell["type"] == _REGISTER]
        self._drivers = {pin["Y"]: pin for pin, cell in zip(pins, cells, strict=True) if cell["type"] != _REGISTER}
        for pin in registers:
            self.of(pin["Q"])
        for port in module["ports"].values():
            if port["direction"] == "input":
                for bit in port["bits"]:
                    self.of(bit)
        self.registers = [(self.of(pin["Q"]), self.of(pin["D"])) for pin in registers]

    @property
    def count(self) -> int:
        """Of all signals."""
        return len(self._numbers)

    def of(self, bit: Any) -> int:
        """The number of a wire, behind the gates that drive it."""
        waiting = [bit]
        while waiting:
            wire = waiting[-1]
            pin = self._drivers.get(wire)
            missing = [] if pin is None else [pin[name] for name in ("A", "B") if name in pin]
            missing = [each for each in missing if each not in self._numbers]
            if wire in self._numbers or not missing:
                waiting.pop()
                self._number(wire, pin)
            else:
                waiting += missing
        return self._numbers[bit]

    def _number(self, wire: Any, pin: Mapping[str, Any] | None) -> None:
        if wire in self._numbers:
            return
        self._numbers[wire] = len(self._numbers)
        if pin is not None:
            other = self._numbers[pin["B"]] if "B" in pin else _NONE
            self.gates.append((self._numbers[wire], self._numbers[pin["A"]], other))


def _broken(library: ctypes.CDLL, reach: int, found: _Found, names: Sequence[str]) -> Broken:
    offers = (ctypes.c_uint32 * _LONGEST)()
    length = library.reach_trace(reach, found.state, offers, _LONGEST)
    beats = {name: library.reach_beats(reach, found.state, index) for index, name in enumerate(names)}
    return Broken(
        stream=names[int(found.stream)],
        what=FAULTS[found.fault],
        case=library.reach_case(reach, found.state),
        offers=tuple(
            tuple(name for index, name in enumerate(names) if offers[cycle] >> index & 1)
            for cycle in range(min(length, _LONGEST))
        ),
        beats=beats,
    )


def _library() -> ctypes.CDLL:
    def build(folder: Path) -> None:
        command = ["c++", *_OPTIONS, str(_MODEL), "-o", "reach.so"]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise ToolError(f"The C++ compiler (c++) could not build {_MODEL.name}: {ended.stderr[-500:]}")

    number, pointer = ctypes.c_uint32, ctypes.c_void_p
    functions: Functions = {
        "reach_run": (pointer, [pointer, ctypes.c_uint64, pointer]),
        "reach_close": (None, [pointer]),
        "reach_cycles": (number, [pointer, number]),
        "reach_case": (number, [pointer, number]),
        "reach_beats": (number, [pointer, number, number]),
        "reach_trace": (number, [pointer, number, pointer, number]),
    }
    return c_library(cached_dir("reach", digest(_MODEL.read_text(), *_OPTIONS), build) / "reach.so", functions)
