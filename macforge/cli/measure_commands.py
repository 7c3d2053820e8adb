"""Commands that measure designs: simulation, area, sweeps, the report."""

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from fpga.families import COMPARED, find
from fpga.families import FAMILIES as FPGA_FAMILIES
from hw.emit.cache import write_whole
from hw.emit.tools import ToolError
from macforge.cli.arguments import All, Cells, DesignNames, Json, Settings, chosen_designs, err, out
from macforge.errors import MismatchError
from macforge.extras import require_extras
from macforge.files import check_output_file, check_output_folder
from macforge.progress import at_once, progress_bar, progress_shown, tracked
from macforge.tables import AREA_COLUMNS, SIM_COLUMNS, print_rows, whole_columns

if TYPE_CHECKING:
    from macforge.measure.whole import Top
    from macforge.measure.workload import Layout
    from macforge.report.report import Report

# Whatever else a command takes it imports itself.

__all__ = ["area", "report", "sim", "sweep"]


def sim(
    designs: DesignNames = None,
    all_: All = False,
    m: Annotated[int | None, typer.Option("-m", min=1, help="Rows of A.")] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help="Columns of W.")] = None,
    k: Annotated[int | None, typer.Option("-k", min=1, help="Columns of A, rows of W.")] = None,
    seed: Annotated[int, typer.Option(help="Of operands and stalls.")] = 0,
    stalls: Annotated[float, typer.Option(help="Probability of a stall on each stream and cycle.")] = 0.0,
    waves: Annotated[Path | None, typer.Option(help="Record waves to this .fst or .vcd file.")] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=0, help="Designs at a time; 0: one a processor.")] = 0,
    settings: Settings = None,
    cells: Cells = None,
    json_: Json = False,
) -> None:
    """Simulate designs in Verilator, and compare every bit and cycle with the model."""
    from macforge.measure.simulation import simulate

    chosen = chosen_designs(designs, all_, settings, cells)
    if waves and len(chosen) > 1:
        raise ValueError(f"Waves are recorded of one design, not of {len(chosen)}")
    kind = "" if waves is None else waves.suffix.removeprefix(".")
    if waves and kind not in ("fst", "vcd"):
        raise ValueError(f"Waves must go to a file that ends in .fst or .vcd, not to {waves}")
    if waves:
        check_output_file(waves, "Waves")
    run = partial(simulate, m=m, n=n, k=k, seed=seed, stalls=stalls, waves=kind)
    rows = []
    for report in at_once(run, chosen, "simulating", jobs):
        if waves and report.waves is not None:
            write_whole(waves, report.waves)
        rows.append(report.to_table())
    table = [
        {
            **row,
            "size": "{m} x {n} x {k}".format(**row),
            "act_in": row["operands"]["act"],
            "weight_in": row["operands"]["weight"],
        }
        for row in rows
    ]
    print_rows(rows if json_ else table, json_, SIM_COLUMNS)
    failures = [f"{row['design']}: {row['failure']}" for row in rows if not row["passed"]]
    if failures:
        raise MismatchError("; ".join(failures))


def area(
    designs: DesignNames = None,
    all_: All = False,
    family: Annotated[
        str, typer.Option(metavar="NAMES", help=f"{', '.join(FPGA_FAMILIES)}, a Liberty file (.lib), or all.")
    ] = ",".join(COMPARED),
    seeds: Annotated[int, typer.Option(min=0, max=100, help="Place and route this often; 0: not at all.")] = 3,
    whole: Annotated[bool, typer.Option("--whole", help="Of the whole engines, too, and their Fmax.")] = False,
    accelerator: Annotated[
        bool, typer.Option("--accelerator", help="Of the whole accelerators, too, and their Fmax.")
    ] = False,
    settings: Settings = None,
    cells: Cells = None,
    json_: Json = False,
) -> None:
    """Synthesize the arrays of designs, and count what they and their drain edges take; or all of them."""
    from macforge.measure.area import area as measure_area
    from macforge.measure.whole import whole as measure_whole

    families = _mapped_to(family)
    jobs = [(design, each) for design in chosen_designs(designs, all_, settings, cells) for each in families]
    runs, rows = range(1, seeds + 1), []
    units: list[Top] = [
        *(["engine"] if whole else []),
        *(["accelerator"] if accelerator else []),
    ]
    for design, each in tracked(jobs, "synthesizing"):
        row = measure_area(design, family=each, seeds=runs).to_table()
        for unit in units:
            row |= measure_whole(design, family=each, seeds=runs, unit=unit).to_table()
        rows.append(row)
    table = [{**row, **mode} for row in rows for mode in row["modes"]]
    print_rows(
        rows if json_ else table,
        json_,
        AREA_COLUMNS | {key: name for unit in units for key, name in whole_columns(unit).items()},
    )


def sweep(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="TOML file: designs, settings, families, seeds.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="SQLite file that keeps results; by default SPEC.sqlite here.")
    ] = None,
    export: Annotated[Path | None, typer.Option(help="Write the table to this .csv file, too.")] = None,
    scheduler: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Dask scheduler, tcp://HOST:PORT; by default processes of this machine."),
    ] = "",
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=0, help="Such processes; 0: one a processor.")] = 0,
    retry: Annotated[bool, typer.Option("--retry", help="Compute again what failed.")] = False,
    json_: Json = False,
) -> None:
    """Measure designs x settings x families x seeds, and compute only what is not recorded yet."""
    from macforge.measure.sweep.run import run_sweep
    from macforge.measure.sweep.spec import load_sweep
    from macforge.measure.sweep.store import Store, as_csv

    if export is not None and export.suffix != ".csv":
        raise ValueError(f"Table must be exported to a file that ends in .csv, not to {export}")
    asked = load_sweep(spec)
    path = output or Path(f"{asked.name}.sqlite")
    for file, what in ((path, "Results"), (export, "Table")):
        if file is not None:
            check_output_file(file, what)
    with Store(path) as store:
        with progress_bar() as bar:
            task = bar.add_task("measuring", total=None)
            computed = run_sweep(
                asked,
                store,
                scheduler=scheduler,
                jobs=jobs,
                retry=retry,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        rows = store.table(asked)
    if export is not None:
        write_whole(export, as_csv(rows))
    print_rows(
        rows,
        json_,
        {key: title for key, title in asked.columns.items() if any(row.get(key) is not None for row in rows)},
    )
    err.print(
        f"{computed} of {len(asked.points)} points computed; results are in {path}", highlight=False, soft_wrap=True
    )
    failures = [
        f"{row.label}: {shown['failed']}" for row, shown in zip(asked.rows, rows, strict=True) if shown["failed"]
    ]
    if failures:
        raise ToolError(f"{len(failures)} of {len(rows)} rows failed (--retry tries again): {failures[0]}")


def report(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")] = Path("report"),
    designs: Annotated[str, typer.Option(help="Names, separated by commas; headline or all.")] = "headline",
    weights: Annotated[Path | None, typer.Option(help="Your weights: .safetensors or .npy.")] = None,
    tensor: Annotated[str | None, typer.Option(help="Tensor of a .safetensors file.")] = None,
    layout: Annotated[str, typer.Option(help="How your file holds it: kn, or nk as torch does.")] = "kn",
    families: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help=f"Families besides {' and '.join(COMPARED)}: of {', '.join(FPGA_FAMILIES)}; or all."
        ),
    ] = ",".join(COMPARED),
    findings: Annotated[bool, typer.Option("--findings", help="Find the smallest ways to multiply, too.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="Measure whole engines and accelerators, too.")] = False,
    front: Annotated[
        list[Path] | None,
        typer.Option(help="Show the best choices that `macforge model tune --front NAME --json` printed to a file."),
    ] = None,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Run a real transformer layer through the RTL of designs, and measure them.

    The page grows while designs are measured: open it at once. Beside it stands what other people's units cost.
    With --findings it also says which cells are the smallest: tables or adders, integers or floats. With --whole it
    also has what a user gets: array, memories, control, drain edge and bus, and what few and many rows of activations
    use of it, which takes minutes a design.
    """
    require_extras("model", "report")
    check_output_folder(output, "Report")
    mapped_to = _mapped_to(families)
    # these take the extras, which other commands do without
    from macforge.design.design import load_design
    from macforge.design.named import design_names
    from macforge.measure.finding import CANDIDATES
    from macforge.measure.workload import load_layer, load_weight
    from macforge.model.pareto import Front
    from macforge.report.page import GrowingFiles
    from macforge.report.report import growing_report, reported_measurements

    names = design_names() if designs in ("all", "headline") else designs.split(",")
    chosen = [load_design(name, settings or ()) for name in names]
    if designs == "headline":
        chosen = [design for design in chosen if design.headline]
    if weights is None and tensor is not None:
        raise ValueError(f"Tensor {tensor!r} needs --weights, the file that holds it")
    layer = load_layer() if weights is None else load_weight(weights, tensor, layout=cast("Layout", layout))
    growing = growing_report(
        chosen,
        layer,
        families=mapped_to,
        measurements=reported_measurements(own_model=weights is None, whole=whole),
        candidates=CANDIDATES if findings else (),
        every=GrowingFiles.EVERY,
    )
    fronts = tuple(map(Front.load, front or ()))
    _print_report(_written((dataclasses.replace(each, fronts=fronts) for each in growing), output), json_)


def _written(growing: Iterator["Report"], output: Path) -> "Report":
    """The complete report, its files written anew as it grows."""
    from macforge.report.page import GrowingFiles, write_report

    files = GrowingFiles(output)
    err.print(f"the page grows: {output / 'report.html'}", highlight=False, soft_wrap=True)
    results, paths = None, []
    with progress_shown("measuring") as show:
        try:
            for results in growing:
                paths = files.update(results)
                show(results.state)
        except KeyboardInterrupt:
            if results is not None:
                write_report(dataclasses.replace(results, is_interrupted=True), output)
            raise
    assert results is not None, "a report has one state at least"
    for path in paths:
        err.print(f"wrote {path}", highlight=False, soft_wrap=True)
    return results


def _print_report(results: "Report", json_: bool) -> None:
    """The rows of a complete report; an error, if something differs or has failed."""
    print_rows(results.rows, json_, results.brief)
    if results.finding and not json_:
        out.print(*results.finding.summary, sep="\n", highlight=False, soft_wrap=True)
    if results.sources_changed:
        err.print("Files of macforge have changed while this report was made: make it again", soft_wrap=True)
    different = [row["design"] for row in results.rows if row["verified"] is False]
    if different:
        raise MismatchError(", ".join(different))
    if results.failures:
        raise ToolError(
            f"{len(results.failures)} designs or cells failed, and the report says why: {results.failures[0]}"
        )


def _mapped_to(names: str) -> list[str]:
    """FPGA families, as they are given on the command line."""
    families = list(FPGA_FAMILIES) if names == "all" else [name.strip() for name in names.split(",")]
    for each in families:
        find(each)
    return families
