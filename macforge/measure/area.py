"""What a design costs on an FPGA, next to the plain multiply-accumulate of its operands."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fpga.baseline import baseline
from fpga.count import Resources
from fpga.families import find
from fpga.map.synth import Synthesis, synthesize
from fpga.time.timing import Timing, measure_timing, place_and_route
from hw.core.unit import Unit
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design
from sw_ref.engine.spec import Mode
from sw_ref.formats.base import Format, Int

__all__ = ["AreaReport", "ModeArea", "area", "fitted", "fmax_mhz", "plain_integer"]


@dataclass(frozen=True, kw_only=True)
class ModeArea:
    """What the resources of an array come to in one of its modes, which all share them.

    Parameters
    ----------
    mode : Mode
        What a cell multiplies in a cycle. In `bit_serial` that are bits: a product of wider operands is one of theirs
        for each pair of planes.
    macs : int
        Its products a cycle, of all cells.
    array : Resources
    drain : Resources or None
        Of the drain edge.
    baseline : Resources
        Of one plain ``acc + act * weight``, see `plain_integer`, with the array's accumulator and without DSP blocks.
    """

    mode: Mode
    macs: int
    array: Resources
    drain: Resources | None
    baseline: Resources

    @property
    def size_per_mac(self) -> float:
        """Size of the array, in the family's unit, for each product a cycle."""
        return self.array.size / self.macs

    @property
    def drain_size_per_mac(self) -> float | None:
        """Size of the drain edge for each product a cycle of the array."""
        return self.drain.size / self.macs if self.drain is not None else None

    @property
    def lut_per_mac(self) -> float:
        """LUT-equivalents of the array for each product a cycle."""
        return self.array.lut / self.macs

    @property
    def drain_lut_per_mac(self) -> float | None:
        """LUT-equivalents of the drain edge for each product a cycle of the array."""
        return self.drain.lut / self.macs if self.drain is not None else None

    @property
    def ratio(self) -> float:
        """`size_per_mac` over that of the baseline."""
        return self.size_per_mac / self.baseline.size

    def to_table(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "product": f"{self.mode.act.name} x {self.mode.weight.name}",
            "macs_per_cycle": self.macs,
            **{f"{kind}_per_mac": figure / self.macs for kind, figure in self.array.to_table().items()},
            "drain_size_per_mac": self.drain_size_per_mac,
            "drain_lut_per_mac": self.drain_lut_per_mac,
            "baseline_size": self.baseline.size,
            "baseline_lut": self.baseline.lut,
            "baseline_ff": self.baseline.ff,
            "lut_ratio": self.ratio,
        }


@dataclass(frozen=True, kw_only=True)
class AreaReport:
    """Resources of a design's array, edges included, and of its drain edge.

    The array is its cells, the encoders of rows and columns, the delays of operands and sums, and the accumulators.
    What lies around it in the engine is not counted: buffers of operands and parameters, sums of rows, the control.

    Parameters
    ----------
    design, family : str
    rows, cols : int
        Shape that was synthesized.
    modes : tuple of ModeArea
        Every mode, the one with the most products first, which is what all other figures refer to.
    resources : Resources
        Of the whole array.
    cells : Resources
        Of its cells alone; the rest is the encoders of operands, delays, and what gathers and accumulates results.
    drain : Resources or None
        Of the drain edge, synthesized by itself; None if there is none, and sums are the results.
    timing : Timing
        Of the array: Fmax for each seed, or logic levels if there is no place and route.
    flow : str
        What was run.
    """

    design: str
    family: str
    rows: int
    cols: int
    modes: tuple[ModeArea, ...]
    resources: Resources
    cells: Resources
    drain: Resources | None
    timing: Timing
    flow: str

    @property
    def macs(self) -> int:
        """Multiply-accumulates a cycle."""
        return self.modes[0].macs

    @property
    def products(self) -> int:
        """Multiply-accumulates a cell and cycle."""
        return self.modes[0].mode.lanes

    @property
    def baseline(self) -> Resources:
        """Of one plain ``acc + act * weight``."""
        return self.modes[0].baseline

    @property
    def lut_per_mac(self) -> float:
        """LUT-equivalents of the array for each multiply-accumulate a cycle."""
        return self.modes[0].lut_per_mac

    @property
    def ratio(self) -> float:
        """`lut_per_mac` over that of the baseline."""
        return self.modes[0].ratio

    @property
    def drain_lut_per_mac(self) -> float | None:
        """LUT-equivalents of the drain edge for each multiply-accumulate a cycle of the array."""
        return self.modes[0].drain_lut_per_mac

    @property
    def drain_lut_per_col(self) -> float | None:
        """LUT-equivalents of the drain edge for each column."""
        return self.drain.lut / self.cols if self.drain is not None else None

    def to_table(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "design": self.design,
            "family": self.family,
            "unit": find(self.family).unit,
            "rows": self.rows,
            "cols": self.cols,
            **self.resources.to_table(),
            **self.modes[0].to_table(),
            "modes": [each.to_table() for each in self.modes],
            **(
                self.drain.to_table("drain_")
                if self.drain is not None
                else dict.fromkeys(Resources().to_table("drain_"))
            ),
            "drain_lut_per_col": self.drain_lut_per_col,
            "cells_size_per_mac": self.cells.size / self.macs,
            **self.timing.to_table(),
            "flow": self.flow,
        }


def area(design: Design, *, family: str = "ecp5", seeds: Sequence[int] = (1, 2, 3)) -> AreaReport:
    """Synthesize the design's array and drain edge for one FPGA family, and place and route the array.

    Parameters
    ----------
    design : Design
    family : str
        A key of `fpga.families.FAMILIES`, or the path of a Liberty file.
    seeds : sequence of int
        Seeds of place and route, if there is any for the family; none to leave it out.
    """
    engine = fitted(design, family).engine
    top, verilog, dsp = engine.array.name, emit_verilog(engine.array), design.pe.uses_dsp
    array = synthesize(verilog, top=top, family=family, dsp=dsp)
    timing = measure_timing(verilog, top=top, family=family, seeds=tuple(seeds), dsp=dsp)
    drain = None
    if engine.edge is not None:
        drain = synthesize(emit_verilog(engine.edge), top=engine.edge.name, family=family, dsp=dsp).resources
    modes = [
        ModeArea(
            mode=mode,
            macs=design.array.rows * design.array.cols * mode.lanes,
            array=array.resources,
            drain=drain,
            baseline=_baseline(mode, design.sums.bits, family),
        )
        for mode in sorted(design.pe.modes, key=lambda mode: -mode.lanes)
    ]
    return AreaReport(
        design=design.name,
        family=family,
        rows=design.array.rows,
        cols=design.array.cols,
        modes=tuple(modes),
        resources=array.resources,
        cells=_cells(array, engine.array),
        drain=drain,
        timing=timing,
        flow=array.flow,
    )


def fmax_mhz(design: Design, *, family: str, seeds: Sequence[int]) -> dict[int, float]:
    """Fmax in MHz of the design's array, for each seed of place and route.

    Parameters
    ----------
    design : Design
    family : str
        A key of `fpga.families.FAMILIES`; without an open tool for it, there is no figure.
    seeds : sequence of int
        None to leave it out.
    """
    if not seeds or not find(family).has_pnr:
        return {}
    array = fitted(design, family).engine.array
    verilog = emit_verilog(array)
    done = place_and_route(verilog, top=array.name, family=family, seeds=tuple(seeds), dsp=design.pe.uses_dsp)
    return dict(done.fmax_mhz)


def fitted(design: Design, family: str) -> Design:
    """The design for a family: for its look-up tables and multipliers, where the design leaves that open and can be."""
    target = find(family)
    choices = {"lut": target.lut, "multiplier": target.multiplier}
    for option, choice in choices.items():
        if choice and option in type(design.pe).options() and option not in design.options:
            with contextlib.suppress(ValueError):
                design = replace(design, options={**design.options, option: choice})
    return design


def plain_integer(form: Format) -> Int:
    """The operand that a plain multiply-accumulate has in place of one of ``form``.

    An integer is itself. Anything else is compared with two's complement of as many bits as its codes have, and at
    least 2, so as to show what that form of a 4-bit weight costs beside the usual one: int2 for bipolar1, bipolar2 and
    ternary, int4 for bipolar4, nf4 and pot4, int5 for apot5.
    """
    return form if isinstance(form, Int) else Int(max(2, form.bits))


def _cells(synthesis: Synthesis, array: Unit) -> Resources:
    """What all cells of an array occupy."""
    names = {array.cells.cell(row).module_name for row in range(array.shape.tile_rows)}
    return sum((synthesis.inside(name) * synthesis.modules[name].instances for name in names), Resources())


def _baseline(mode: Mode, acc_bits: int, family: str) -> Resources:
    """One plain ``acc + act * weight`` in place of a mode's products, mapped in the same run."""
    act, weight = plain_integer(mode.act), plain_integer(mode.weight)
    return baseline(
        act.bits,
        weight.bits,
        max(acc_bits, act.bits + weight.bits),
        act_signed=act.signed,
        weight_signed=weight.signed,
        family=family,
    )
