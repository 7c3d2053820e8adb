"""The main job: a real layer through the RTL of every design, with what each costs."""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import resources
from multiprocessing import get_context
from pathlib import Path
from typing import ClassVar

import jinja2
import numpy as np

from hw.cache import cached_json, digest, write_whole
from hw.verilog import emit_verilog
from macforge.area import area
from macforge.design import Design
from macforge.product import lowered
from macforge.tables import figure
from macforge.verilog import tool_versions
from macforge.workload import Layer
from sw_ref.quantize import sqnr_db
from tb.engine import expected_results, simulate_engine

__all__ = ["Report", "make_report", "write_report"]

# Cells of the array that computes the layer, of the one that is synthesized, and of the one that is placed and routed.
_LAYER_ARRAY, _AREA_ARRAY, _FMAX_ARRAY = 8, 4, 2


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
    tools : dict
        Versions.
    """

    COLUMNS: ClassVar[dict[str, str]] = {
        "design": "design",
        "act": "act",
        "weight": "weight",
        "dataflow": "dataflow",
        "verified": "verified",
        "sqnr_db": "SQNR dB",
        "cycles": "cycles",
        "macs_per_cycle": "MACs/cycle",
        "xc7_lut_per_mac": "xc7 LUT/MAC",
        "xc7_ff_per_mac": "xc7 FF/MAC",
        "xc7_baseline_lut": "xc7 acc + a*b",
        "xc7_lut_ratio": "xc7 ratio",
        "ecp5_lut_per_mac": "ECP5 LUT/MAC",
        "ecp5_ff_per_mac": "ECP5 FF/MAC",
        "ecp5_baseline_lut": "ECP5 acc + a*b",
        "ecp5_lut_ratio": "ECP5 ratio",
        "fmax_mhz": "ECP5 Fmax MHz",
    }

    layer: str
    shape: tuple[int, int, int]
    rows: list[dict[str, object]]
    tools: dict[str, str]


def make_report(
    designs: Sequence[Design], layer: Layer, progress: Callable[[int, int], None] = lambda done, total: None
) -> Report:
    """Compute a layer with the RTL of all designs, on as many processes as there are cores, and measure them.

    Each step is kept by content: a second report computes what has changed.

    Parameters
    ----------
    designs : sequence of Design
    layer : Layer
        Real activations (M, K) and weights (K, N).
    progress : callable
        Told how many of how many steps are done.
    """
    shape = (len(layer.act), layer.weight.shape[1], layer.weight.shape[0])
    steps = [
        (index, step, argument)
        for step, argument in ((_verify, layer), (_area, "xc7"), (_area, "ecp5"), (_fmax, "ecp5"))
        for index in range(len(designs))
    ]
    rows: list[dict[str, object]] = [
        {"design": one.name, "act": one.act, "weight": one.weight, "dataflow": one.dataflow} for one in designs
    ]
    # fresh processes: a fork would copy the threads' locks, of the progress bar for one
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=get_context("spawn")) as pool:
        started = {pool.submit(step, designs[index], argument): index for index, step, argument in steps}
        for count, future in enumerate(as_completed(started), start=1):
            rows[started[future]].update(future.result())
            progress(count, len(steps))
    return Report(layer=layer.name, shape=shape, rows=rows, tools=tool_versions())


def write_report(report: Report, folder: str | Path) -> list[Path]:
    """Write ``report.md``, ``report.html`` and ``report.json``, each whole or not at all."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("macforge"),
        autoescape=jinja2.select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["figure"] = figure
    paths = []
    for name in ("report.md", "report.html"):
        path = Path(folder) / name
        write_whole(path, templates.get_template(f"{name}.j2").render(report=report))
        paths.append(path)
    path = Path(folder) / "report.json"
    table = {"layer": report.layer, "shape": report.shape, "designs": report.rows, "tools": report.tools}
    write_whole(path, json.dumps(table, indent=2) + "\n")
    return [*paths, path]


def _verify(design: Design, layer: Layer) -> dict[str, object]:
    """The layer through the RTL: is it the model's, how long does it take, and how far is it from the float layer."""
    design = design.resized(_LAYER_ARRAY)
    engine = design.engine
    act = layer.act[: design.report_tokens or None]
    bias = layer.bias if design.drain.bias else None
    job = lowered(design, act, layer.weight, bias)
    verilog = emit_verilog(engine)

    def run() -> dict[str, object]:
        outcome, done = simulate_engine(engine, job.products, verilog=verilog)
        return {"failure": outcome.failure, "cycles": sum(one.cycles for one in done) if done else None}

    versions = tool_versions()
    operands = [
        np.ascontiguousarray(array).tobytes()
        for product in job.products
        for array in (product.act, product.planes, *product.parameters.values())
    ]
    key = digest(verilog, *operands, versions["verilator"], versions["cocotb"], _bench_sources())
    found = cached_json("layer", key, run)
    schedules = [product.schedule(engine) for product in job.products]
    exact = act.astype(np.float64) @ layer.weight.astype(np.float64) + (0 if bias is None else bias)
    if design.drain.relu:
        exact = np.maximum(exact, 0)
    # where the hardware is verified, its results are the model's
    product = job.real([expected_results(engine, one) for one in job.products])
    macs = act.shape[0] * act.shape[1] * layer.weight.shape[1]
    return {
        "tokens": len(act),
        "verified": found["failure"] is None,
        "failure": found["failure"],
        "cycles": found["cycles"],
        "predicted_cycles": sum(schedule.cycles for schedule in schedules),
        "macs_per_cycle": macs / found["cycles"] if found["cycles"] else None,
        "sqnr_db": sqnr_db(exact, product),
    }


def _bench_sources() -> list[str]:
    """The text of the bench: what it says holds for the bench that said it."""
    files = sorted(resources.files("tb").iterdir(), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files if file.name.endswith(".py")]


def _area(design: Design, family: str) -> dict[str, object]:
    table = area(design.resized(_AREA_ARRAY), family=family, seeds=()).to_table()
    kept = ("lut_per_mac", "ff_per_mac", "dsp_per_mac", "bram_per_mac", "baseline_lut", "lut_ratio", "flow")
    return {f"{family}_{key}": table[key] for key in kept}


def _fmax(design: Design, family: str) -> dict[str, object]:
    return {"fmax_mhz": area(design.resized(_FMAX_ARRAY), family=family, seeds=(1,)).median_fmax_mhz}
