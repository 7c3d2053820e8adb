"""Simulates anything without handshakes: what goes in and what must come out, cycle by cycle."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hw.unit import Unit
from hw.verilog import emit_verilog
from tb.runner import Bench, Outcome, run_bench

__all__ = ["Timetable", "simulate_cycles"]


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


def simulate_cycles(unit: Unit, timetable: Timetable, *, verilog: str = "") -> Outcome:
    """Run a unit through a timetable in Verilator; ``failure`` tells what differs from it.

    ``verilog`` is what stands for the unit, such as a netlist of it; that which is emitted, if left out.
    """
    named = {"in": timetable.inputs, "expected": timetable.expected, "counted": timetable.counted}
    bench = Bench(
        verilog=verilog or emit_verilog(unit),
        top=unit.name,
        module="tb.cycles_bench",
        settings={"bits": timetable.bits(unit)},
        arrays={
            "reset": timetable.reset,
            **{f"{kind}_{port}": words for kind, ports in named.items() for port, words in ports.items()},
        },
        cycles=len(timetable.reset),
    )
    return run_bench(bench)
