"""macforge fuzz: random designs, each refused in one line or proven against the model."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from hw.emit.cache import write_whole
from hw.emit.tools import ToolError
from macforge.cli.arguments import DesignNames, Json, Settings, err, names_of
from macforge.errors import MismatchError
from macforge.extras import require_extras
from macforge.files import check_output_folder
from macforge.progress import progress_bar
from macforge.tables import print_rows

# Whatever else the command takes it imports itself.

__all__ = ["fuzz"]

_COLUMNS = {"fault": "fault", "designs": "designs", "file": "file"}


def fuzz(
    designs: DesignNames = None,
    count: Annotated[int, typer.Option(min=1, help="Designs to draw; of given ones, sets of operands.")] = 2000,
    first: Annotated[int, typer.Option(min=0, help="Number of the first.")] = 0,
    seed: Annotated[int, typer.Option(min=0, max=1_000_000, help="Of all that is drawn.")] = 0,
    families: Annotated[
        str, typer.Option(metavar="NAMES", help="Families to draw from, separated by commas; by default all.")
    ] = "",
    stages: Annotated[
        str, typer.Option(metavar="NAMES", help="Of lint, simulate, accelerate and synthesize; by default all.")
    ] = "",
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for results and failures.")] = Path("fuzz"),
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=0, help="Designs at a time; 0: one a processor.")] = 0,
    scheduler: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Dask scheduler, tcp://HOST:PORT; by default processes of this machine."),
    ] = "",
    retry: Annotated[bool, typer.Option("--retry", help="Try again what broke off.")] = False,
    shrink: Annotated[bool, typer.Option(help="Look for a smaller design with each kind of fault.")] = True,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Draw random designs, and try each: refused in one line, or linted, simulated and synthesized.

    Operands are drawn as well: extremes, zeros, subnormals, outliers, infinities and NaN. Of a design that is given,
    only these are. Results are kept at once; what was tried before with the same macforge is not tried again. Each kind
    of fault ends in a small design file.
    """
    require_extras("fuzz", "sweep")
    check_output_folder(output, "Results")
    # these take the extras, which other commands do without
    from macforge.measure.fuzz.run import Run, write_failures
    from macforge.measure.fuzz.trial import STAGES
    from macforge.measure.sweep.run import run_sweep
    from macforge.measure.sweep.store import Store, as_csv
    from pe import FAMILIES

    chosen, given = names_of("Family", families, FAMILIES), _given(designs, settings)
    if given and chosen:
        raise ValueError(f"Families are drawn from where no design is given, and not with {', '.join(given)}")
    through = names_of("Stage", stages, STAGES)
    run = Run(seed=seed, first=first, count=count, families=chosen, stages=through, given=given or None)
    output.mkdir(parents=True, exist_ok=True)
    with Store(output / "trials.sqlite") as store, progress_bar() as bar:
        task = bar.add_task("trying", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        run_sweep(run, store, scheduler=scheduler, jobs=jobs, retry=retry, progress=show)
        rows = store.table(run)
    write_whole(output / "trials.csv", as_csv(rows))
    faults = write_failures(run, rows, output / "failed", shrink=shrink)
    if faults or json_:
        print_rows(faults, json_, _COLUMNS)
    _judge(rows, faults, output)


def _judge(rows: list[dict[str, Any]], faults: list[dict[str, Any]], output: Path) -> None:
    """Say what came of all trials; an error, if one has failed."""
    outcomes = Counter(row.get("fuzz.outcome") or "broken off" for row in rows)
    told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
    err.print(f"{len(rows)} trials: {told}; results are in {output}", highlight=False, soft_wrap=True)
    if outcomes["failed"]:
        raise MismatchError(f"{outcomes['failed']} of {len(rows)} trials, by {len(faults)} kinds of faults")
    if outcomes["broken off"]:
        broken = next(row["failed"] for row in rows if row["failed"])
        raise ToolError(f"{outcomes['broken off']} of {len(rows)} trials broke off (--retry tries again): {broken}")


def _given(designs: list[str] | None, settings: list[str] | None) -> dict[str, dict[str, object]]:
    from macforge.design.named import design_table

    if settings and not designs:
        raise ValueError("Settings must come with a design that they change")
    return dict(design_table(each, settings or ()) for each in designs or ())
