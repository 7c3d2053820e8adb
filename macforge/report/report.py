"""The main job: a real layer through the RTL of every design, with what each costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fpga.baseline import baseline
from fpga.families import COMPARED, FAMILIES
from hw.emit.tools import ToolError
from macforge.compile.compiler import compile_layer
from macforge.design.design import Design
from macforge.emit.verilog import commit, tool_versions
from macforge.measure import peers, sizes
from macforge.measure.accuracy import accuracy
from macforge.measure.area import area, fmax_mhz
from macforge.measure.finding import Candidate, Finding, answer, entries, measure
from macforge.measure.steps import Step, take_steps
from macforge.measure.verdict import verdict
from macforge.measure.workload import Layer
from macforge.run.job import job_of
from sw_ref.engine.product import expected_results
from sw_ref.quantize.uniform import sqnr_db

__all__ = ["Report", "make_report", "operand_name"]

# What of an area has a key of its own in the row of a design.
_AREA_KEPT = (
    *("lut_per_mac", "ff_per_mac", "dsp_per_mac", "bram_per_mac", "drain_lut_per_mac", "drain_lut_per_col"),
    *("baseline_lut", "lut_ratio", "modes", "flow"),
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of one layer.

    Parameters
    ----------
    layer : str
        What was computed.
    shape : tuple of int
        M, N, K.
    rows : list of dict
        One for each design, see `COLUMNS`.
    sizes : list of dict
        One for each design and FPGA family, see `macforge.measure.sizes`.
    finding : Finding or None
        The smallest ways to multiply; None if they were not asked for.
    tools : dict
        Versions.
    failed_ways : list of str
        Ways to multiply that are left out of the finding, and why.
    """

    CELLS: ClassVar[int] = 8
    """Cells each way of the array that computes the layer, and of the one whose area it is."""
    FMAX_CELLS: ClassVar[int] = 2
    """Cells each way of the array that is placed and routed."""
    ROUTED: ClassVar[str] = "ecp5"
    """FPGA family that it is placed and routed for."""
    COLUMNS: ClassVar[dict[str, str]] = {
        "design": "design",
        "act": "act",
        "weight": "weight",
        "dataflow": "dataflow",
        "product": "product",
        "verified": "verified",
        "tokens": "tokens",
        "sqnr_db": "SQNR dB",
        "cycles": "cycles",
        "macs_per_cycle": "MACs/cycle",
        "xc7_lut_per_mac": "xc7 LUT/MAC",
        "xc7_ff_per_mac": "xc7 FF/MAC",
        "xc7_baseline_lut": "xc7 acc + a*b",
        "xc7_lut_ratio": "xc7 ratio",
        "xc7_drain_lut_per_mac": "xc7 drain LUT/MAC",
        "ecp5_lut_per_mac": "ECP5 LUT/MAC",
        "ecp5_ff_per_mac": "ECP5 FF/MAC",
        "ecp5_baseline_lut": "ECP5 acc + a*b",
        "ecp5_lut_ratio": "ECP5 ratio",
        "ecp5_drain_lut_per_mac": "ECP5 drain LUT/MAC",
        "ecp5_fmax_mhz": "ECP5 Fmax MHz",
        "failed": "failed",
    }
    MODE_COLUMNS: ClassVar[dict[str, str]] = {
        "design": "design",
        "product": "product",
        "products": "products/cycle",
        "xc7_lut_per_mac": "xc7 LUT/MAC",
        "xc7_baseline_lut": "xc7 acc + a*b",
        "xc7_lut_ratio": "xc7 ratio",
        "ecp5_lut_per_mac": "ECP5 LUT/MAC",
        "ecp5_baseline_lut": "ECP5 acc + a*b",
        "ecp5_lut_ratio": "ECP5 ratio",
    }

    layer: str
    shape: tuple[int, int, int]
    rows: list[dict[str, object]]
    sizes: list[dict[str, object]]
    finding: Finding | None
    tools: dict[str, str]
    failed_ways: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """What has failed, and why."""
        designs = [f"{row['design']}: {row['failed']}" for row in self.rows if row["failed"] is not None]
        return [*designs, *self.failed_ways]

    @property
    def flows(self) -> list[str]:
        """What was run to map a design, for each of the families that all are compared on."""
        flows = (row[f"{family}_flow"] for family in COMPARED for row in self.rows)
        return list(dict.fromkeys(filter(None, flows)))

    @property
    def is_sliced(self) -> bool:
        """Whether a design computed but some rows of the layer."""
        return any(row["tokens"] is not None and row["tokens"] < self.shape[0] for row in self.rows)

    @property
    def columns(self) -> dict[str, str]:
        """Those of `COLUMNS` that tell something."""
        empty = {key for key in self.COLUMNS if all(row[key] is None for row in self.rows)}
        return {
            key: title
            for key, title in self.COLUMNS.items()
            if key not in empty and (key != "tokens" or self.is_sliced)
        }

    @property
    def size_columns(self) -> dict[str, str]:
        """Those of `macforge.measure.sizes.COLUMNS` that tell something."""
        return {key: title for key, title in sizes.COLUMNS.items() if any(row[key] is not None for row in self.sizes)}

    @property
    def modes(self) -> list[dict[str, object]]:
        """Of each design with several modes, what each comes to, see `MODE_COLUMNS`."""
        figures = ("lut_per_mac", "baseline_lut", "lut_ratio")
        return [
            {
                "design": row["design"],
                "product": modes[0]["product"],
                "products": modes[0]["macs_per_cycle"],
                **{
                    f"{family}_{key}": mode[key]
                    for family, mode in zip(COMPARED, modes, strict=True)
                    for key in figures
                },
            }
            for row in self.rows
            if all(len(row[f"{family}_modes"] or ()) > 1 for family in COMPARED)
            for modes in zip(*(row[f"{family}_modes"] for family in COMPARED), strict=True)
        ]

    @property
    def peers(self) -> list[dict[str, object]]:
        """Published figures beside ours (`macforge.measure.peers`); none if no design does the same."""
        rows = peers.beside(peers.load_peers(), self.rows)
        return rows if any(row["ours"] for row in rows) else []


def make_report(
    designs: Sequence[Design],
    layer: Layer,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    candidates: Sequence[Candidate] = (),
    families: Sequence[str] = tuple(FAMILIES),
    whole_model: bool = False,
) -> Report:
    """Compute a layer with the RTL of all designs, on as many processes as there are cores, and measure them.

    Each step is kept by all that made it: a second report computes what has changed. What fails leaves its figures out,
    and ``failed`` of its row says why; the rest goes on.

    Parameters
    ----------
    designs : sequence of Design
    layer : Layer
        Real activations (M, K) and weights (K, N).
    progress : callable
        Told how many of how many steps are done.
    candidates : sequence of Candidate
        Ways to multiply, of which the smallest are found; none to leave the finding out.
    families : sequence of str
        FPGA families to count sizes on, besides those that candidates are compared on.
    whole_model : bool
        Whether to tell what becomes of a model's results, see `macforge.measure.accuracy`.
    """
    families = list(dict.fromkeys([*COMPARED, *families]))
    shape = (len(layer.act), layer.weight.shape[1], layer.weight.shape[0])
    rows = [_empty_row(design, families) for design in designs]
    ways = entries(candidates)
    figures: list[dict[str, object]] = [{"failed": None} for _ in ways]
    pairs = list(zip(rows, designs, strict=True))
    steps = [
        *(Step(row, "simulation", _verify, (design, layer)) for row, design in pairs),
        *(Step(row, f"area on {fpga}", _area, (design, fpga)) for row, design in pairs for fpga in families),
        *(Step(row, "Fmax", _fmax, (design, Report.ROUTED)) for row, design in pairs),
        *(Step(row, "accuracy", _cosine, (design,)) for row, design in pairs if whole_model),
        *(
            Step(row, f"area on {fpga}", measure, (way, fpga))
            for row, way in zip(figures, ways, strict=True)
            for fpga in COMPARED
        ),
    ]
    take_steps(steps, progress)
    measured = [(way, row) for way, row in zip(ways, figures, strict=True) if row["failed"] is None]
    return Report(
        layer=layer.name,
        shape=shape,
        rows=rows,
        sizes=sizes.size_rows(rows, families, {family: _int8_size(family) for family in families}),
        finding=answer([way for way, _ in measured], [row for _, row in measured]),
        tools={**tool_versions(), **commit()},
        failed_ways=[
            f"{one.label(operand)}: {row['failed']}"
            for (one, operand), row in zip(ways, figures, strict=True)
            if row["failed"] is not None
        ],
    )


def _empty_row(design: Design, families: Sequence[str]) -> dict[str, object]:
    """What is known of a design before anything is measured."""
    figures = (*Report.COLUMNS, "failure", "predicted_cycles", "products_per_mac")
    mapped = (f"{family}_{key}" for family in families for key in ("area", *_AREA_KEPT))
    return {
        **dict.fromkeys([*figures, *mapped]),
        "design": design.name,
        "pe": design.family,
        "dataflow": design.dataflow,
        **{side: operand_name(design, side) for side in ("act", "weight")},
    }


def _int8_size(family: str) -> float | None:
    """Size of a plain ``acc + a*b`` of int8 with 32 bits; None if it cannot be mapped."""
    try:
        return baseline(8, 8, 32, family=family).size
    except ToolError:
        return None


def operand_name(design: Design, side: str) -> str:
    """What an operand (``"act"`` or ``"weight"``) is quantized to, whatever it is that cells are given of it."""
    choice = getattr(design.quantizer, side)
    name = choice.format or getattr(design, side)
    return {"mixed": f"{name}, {choice.wide}", "bcq": f"{choice.planes} of {name}"}.get(choice.method, name)


def _verify(design: Design, layer: Layer) -> dict[str, object]:
    """The layer through the RTL: is it the model's, how long does it take, and how far is it from the float layer."""
    design = design.resized(Report.CELLS)
    engine = design.engine
    act = layer.act[: design.report_tokens or None]
    bias = layer.bias if design.drain.adds_bias else None
    job = job_of(compile_layer(design, layer.weight, bias, calibration=act), act)
    found = verdict(design, (act, layer.weight, bias), job.products)
    schedules = [product.schedule(engine.spec) for product in job.products]
    exact = act.astype(np.float64) @ layer.weight.astype(np.float64) + (0 if bias is None else bias)
    if design.drain.relu:
        exact = np.maximum(exact, 0)
    # where the hardware is verified, its results are the model's
    product = job.real([expected_results(engine.spec, one) for one in job.products])
    macs = act.shape[0] * act.shape[1] * layer.weight.shape[1]
    return {
        "tokens": len(act),
        "verified": found["failure"] is None,
        "failure": found["failure"],
        "cycles": found["cycles"],
        "predicted_cycles": sum(schedule.cycles for schedule in schedules),
        "macs_per_cycle": macs / found["cycles"] if found["cycles"] else None,
        "products_per_mac": sum(schedule.macs for schedule in schedules) / macs,
        "sqnr_db": sqnr_db(exact, product),
    }


def _area(design: Design, family: str) -> dict[str, object]:
    table = area(design.resized(Report.CELLS), family=family, seeds=()).to_table()
    kept = {f"{family}_{key}": table[key] for key in _AREA_KEPT}
    return {"product": table["product"], f"{family}_area": table, **kept}


def _cosine(design: Design) -> dict[str, object]:
    found = accuracy(design)
    return {"cosine_mean": found.cosine_mean, "cosine_min": found.cosine_min}


def _fmax(design: Design, family: str) -> dict[str, object]:
    (fmax,) = fmax_mhz(design.resized(Report.FMAX_CELLS), family=family, seeds=(1,)).values()
    return {f"{family}_fmax_mhz": fmax}
