"""What a design costs on an FPGA, next to the plain multiply-accumulate of its operands."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from fpga.baseline import baseline
from fpga.count import Resources
from fpga.families import find
from fpga.synth import synthesize
from fpga.timing import place_and_route
from hw.verilog import emit_verilog
from macforge.design import Design

__all__ = ["AreaReport", "area"]


@dataclass(frozen=True, kw_only=True)
class AreaReport:
    """Resources of a design's array, edges included.

    Parameters
    ----------
    design, family : str
    rows, cols : int
        Shape that was synthesized.
    macs : int
        Multiply-accumulates a cycle.
    resources : Resources
        Of the whole array.
    baseline : Resources
        Of one plain ``acc + act * weight`` of the same formats and accumulator, without DSP blocks.
    fmax_mhz : dict of int to float
        Fmax by place and route, for each seed; empty if there is none.
    flow : str
        What was run.
    """

    design: str
    family: str
    rows: int
    cols: int
    macs: int
    resources: Resources
    baseline: Resources
    fmax_mhz: dict[int, float]
    flow: str

    @property
    def lut_per_mac(self) -> float:
        """LUT-equivalents of the array for each multiply-accumulate a cycle."""
        return self.resources.lut / self.macs

    @property
    def ratio(self) -> float:
        """`lut_per_mac` over that of the baseline."""
        return self.lut_per_mac / self.baseline.lut

    @property
    def median_fmax_mhz(self) -> float | None:
        """Median over the seeds; None without place and route."""
        return median(self.fmax_mhz.values()) if self.fmax_mhz else None

    def to_table(self) -> dict[str, object]:
        """Everything as plain data."""
        return {
            "design": self.design,
            "family": self.family,
            "rows": self.rows,
            "cols": self.cols,
            "macs_per_cycle": self.macs,
            **{name: getattr(self.resources, name) for name in ("lut", "ff", "dsp", "bram")},
            **{f"{name}_per_mac": getattr(self.resources, name) / self.macs for name in ("lut", "ff", "dsp", "bram")},
            "baseline_lut": self.baseline.lut,
            "baseline_ff": self.baseline.ff,
            "lut_ratio": self.ratio,
            "fmax_mhz": self.median_fmax_mhz,
            "fmax_mhz_by_seed": {str(seed): fmax for seed, fmax in self.fmax_mhz.items()},
            "flow": self.flow,
        }


def area(design: Design, *, family: str = "ecp5", seeds: Sequence[int] = (1, 2, 3)) -> AreaReport:
    """Synthesize the design's array for one FPGA family, and place and route it where an open tool can.

    Parameters
    ----------
    design : Design
    family : str
        A key of `fpga.families.FAMILIES`.
    seeds : sequence of int
        Seeds of place and route; none to leave it out.
    """
    array = design.engine.array
    verilog = emit_verilog(array)
    dsp = design.options.get("dsp", "none") != "none"
    mapped = synthesize(verilog, top=array.name, family=family, dsp=dsp)
    fmax = {}
    if seeds and find(family).has_pnr:
        fmax = place_and_route(verilog, top=array.name, family=family, seeds=tuple(seeds), dsp=dsp).fmax_mhz
    return AreaReport(
        design=design.name,
        family=family,
        rows=design.array.rows,
        cols=design.array.cols,
        macs=design.array.rows * design.array.cols * design.lanes,
        resources=mapped.resources,
        baseline=_baseline(design, family),
        fmax_mhz=dict(fmax),
        flow=mapped.flow,
    )


def _baseline(design: Design, family: str) -> Resources:
    """One plain ``acc + act * weight`` with operands as wide as the design's, mapped in the same way."""
    act, weight = design.pe.act, design.pe.weight
    return baseline(
        act.bits,
        weight.bits,
        max(design.sums.bits, act.bits + weight.bits),
        act_signed=act.bounds[0] < 0,
        weight_signed=weight.bounds[0] < 0,
        family=family,
    )
