"""Simulates anything without handshakes: what goes in and what must come out, cycle by cycle."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import In, Out

from hw.core.unit import Unit, place
from hw.emit.verilog import emit_verilog
from tb.runner import Bench, Outcome, run_bench

__all__ = ["Joined", "Timetable", "simulate_cycles"]

# Units with more ports than this have them joined: a bench takes about as long for a wide one as for a narrow one.
_MANY = 16


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """What a unit sees and shows in each cycle.

    A port's word is cut into slots of equal width, slot 0 in the low bits. The output of a cycle is what its
    registers hold before the inputs of that cycle take effect.

    Parameters
    ----------
    reset : bool array (cycles,)
        Cycles in which ``rst`` is high.
    inputs : mapping of str to integer array (cycles, slots)
        Of every input port.
    expected : mapping of str to integer array (cycles, slots)
        Signed values, of every output port.
    counted : mapping of str to bool array (cycles, slots)
        Which of ``expected`` is said, rather than left open.
    """

    reset: np.ndarray
    inputs: Mapping[str, np.ndarray]
    expected: Mapping[str, np.ndarray]
    counted: Mapping[str, np.ndarray]

    def bits(self, unit: Unit) -> dict[str, int]:
        """Bits of a slot, for each port of ``unit``."""
        slots = {port: words.shape[1] for port, words in (*self.inputs.items(), *self.expected.items())}
        return {port: len(value) // slots[port] for port, (value, _flow) in unit.ports().items()}


class Joined(Unit):
    """A unit with all of its inputs side by side in one port, and all of its outputs in another.

    Parameters
    ----------
    unit : Unit
    """

    def __init__(self, *, unit: Unit) -> None:
        self.unit = unit
        flows = [(flow, len(value)) for value, flow in unit.ports().values()]
        widths = {flow: sum(width for each, width in flows if each == flow) for flow in (In, Out)}
        super().__init__({"inputs": In(widths[In]), "outputs": Out(widths[Out])})

    @property
    def name(self) -> str:
        return f"{self.unit.name}_joined"

    def circuit(self, platform: object) -> Module:
        m = Module()
        unit = place(m, "unit", self.unit)
        ports = unit.ports().values()
        m.d.comb += [
            Cat(value for value, flow in ports if flow == In).eq(self.inputs),
            self.outputs.eq(Cat(value for value, flow in ports if flow == Out)),
        ]
        return m

    def fields(self, bits: Mapping[str, int]) -> dict[str, dict[str, int]]:
        """Which ports of the unit, with their ``bits``, are in each of the two."""
        ports = self.unit.ports().items()
        return {
            name: {port: bits[port] for port, (_value, flow) in ports if flow == each}
            for name, each in (("inputs", In), ("outputs", Out))
        }


def simulate_cycles(unit: Unit, timetable: Timetable, *, verilog: str = "", waves: str = "") -> Outcome:
    """Run a unit through a timetable in Verilator; ``failure`` tells what differs from it.

    ``verilog`` is what stands for the unit, such as a netlist of it; that which is emitted, if left out. ``waves``,
    "vcd" or "fst", is the format of waves to record.
    """
    bits = timetable.bits(unit)
    ports = {port: {port: width} for port, width in bits.items()}
    if len(ports) > _MANY and not verilog:
        joined = Joined(unit=unit)
        unit, ports = joined, joined.fields(bits)
    named = {"in": timetable.inputs, "expected": timetable.expected, "counted": timetable.counted}
    bench = Bench(
        verilog=verilog or emit_verilog(unit),
        top=unit.name,
        module="tb.cycles_bench",
        settings={"ports": ports},
        arrays={
            "reset": timetable.reset,
            **{f"{kind}_{port}": words for kind, fields in named.items() for port, words in fields.items()},
        },
        cycles=len(timetable.reset),
        waves=waves,
    )
    return run_bench(bench)
