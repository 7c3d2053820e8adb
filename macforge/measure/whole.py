"""What a design's whole engine or accelerator takes, and how fast it is: what a user gets, not the array alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fpga.count import Resources
from fpga.map.synth import synthesize
from fpga.time.timing import Timing, measure_timing
from hw.core.naming import DIGEST
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design
from macforge.measure.area import fitted

__all__ = ["Top", "WholeReport", "whole"]

Top = Literal["engine", "accelerator"]
"""What is measured as a whole."""


@dataclass(frozen=True, kw_only=True)
class WholeReport:
    """Resources of a design's engine: array, memories, queues, control and drain edge; or of its accelerator.

    Parameters
    ----------
    design, family : str
    unit : {"engine", "accelerator"}
    rows, cols : int
        Shape of the array.
    resources : Resources
        Of everything.
    parts : mapping of str to Resources
        Of what stands in it, by the names of the modules without their digests; ``control`` is the rest.
    timing : Timing
        Fmax for each seed, or logic levels if there is no place and route.
    flow : str
        What was run.
    """

    design: str
    family: str
    unit: Top
    rows: int
    cols: int
    resources: Resources
    parts: Mapping[str, Resources]
    timing: Timing
    flow: str

    def to_table(self) -> dict[str, Any]:
        """Everything as plain data; figures of the whole begin with the unit."""
        return {
            "design": self.design,
            "family": self.family,
            "rows": self.rows,
            "cols": self.cols,
            **self.resources.to_table(f"{self.unit}_"),
            **self.timing.to_table(f"{self.unit}_"),
            f"{self.unit}_parts": {name: part.to_table() for name, part in self.parts.items()},
            f"{self.unit}_flow": self.flow,
        }


def whole(
    design: Design, *, family: str = "ecp5", seeds: Sequence[int] = (1, 2, 3), unit: Top = "engine"
) -> WholeReport:
    """Synthesize the design's whole engine or accelerator for one FPGA family, and place and route it.

    Parameters
    ----------
    design : Design
    family : str
        As for `macforge.measure.area.area`.
    seeds : sequence of int
        Seeds of place and route, if there is any for the family; none to leave it out.
    unit : {"engine", "accelerator"}
        The engine, or the engine behind its bus.

    Raises
    ------
    hw.emit.tools.ToolError
        If it does not fit the family's device.
    """
    fit, dsp = fitted(design, family), design.pe.uses_dsp
    circuit = fit.engine if unit == "engine" else fit.accelerator
    top, verilog = circuit.name, emit_verilog(circuit)
    mapped = synthesize(verilog, top=top, family=family, dsp=dsp)
    children = mapped.modules[top].children
    parts: dict[str, Resources] = {}
    for child, number in children.items():
        name = re.sub(rf"{DIGEST}$", "", child)
        parts[name] = parts.get(name, Resources()) + mapped.inside(child) * number
    return WholeReport(
        design=design.name,
        family=family,
        unit=unit,
        rows=design.array.rows,
        cols=design.array.cols,
        resources=mapped.resources,
        parts={**parts, "control": mapped.modules[top].resources},
        timing=measure_timing(verilog, top=top, family=family, seeds=tuple(seeds), dsp=dsp),
        flow=mapped.flow,
    )
