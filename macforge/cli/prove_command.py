"""macforge prove: what is proven of designs, rather than simulated."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from macforge.cli.arguments import All, Cells, DesignNames, Headline, Json, Settings, chosen_designs, names_of
from macforge.errors import MismatchError
from macforge.extras import require_extras
from macforge.files import check_output_file
from macforge.progress import at_once
from macforge.tables import print_rows
from sw_ref.fields import one_of

# Whatever else the command takes it imports itself.

__all__ = ["prove"]

_COLUMNS = {
    "design": "design",
    "part": "part",
    "statement": "statement",
    "result": "result",
    "depth": "depth",
    "instances": "asked",
    "seconds": "CPU s",
    "engine": "engine",
    "note": "note",
}


def prove(
    designs: DesignNames = None,
    all_: All = False,
    headline: Headline = False,
    parts: Annotated[
        str, typer.Option("--part", metavar="NAMES", help="Of cell, streams, control and mapping; by default all.")
    ] = "",
    seconds: Annotated[float, typer.Option(min=0.1, help="How long a single question to a solver may take.")] = 60.0,
    waves: Annotated[Path | None, typer.Option(help="Waves of a counterexample of a cell: .fst or .vcd.")] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=0, help="Designs at a time; 0: one a processor.")] = 1,
    settings: Settings = None,
    cells: Cells = None,
    json_: Json = False,
) -> None:
    """Prove what designs compute: cells for all codes and sums, streams, buses, control, modules in a family's cells.

    What has been decided is kept, so that the next run goes on from there.
    """
    require_extras("prove")
    from macforge.prove.design import prove_design
    from macforge.prove.parts import PARTS

    chosen = chosen_designs(designs, all_, settings, cells, headline=headline)
    named = names_of("Part", parts, PARTS) or tuple(PARTS)
    if waves is not None:
        if len(chosen) > 1:
            raise ValueError(f"Waves are recorded of one design, not of {len(chosen)}")
        one_of("Ending of waves", waves.suffix, (".fst", ".vcd"))
        check_output_file(waves, "Waves")
    run = partial(prove_design, parts=named, seconds=seconds, waves=waves)
    rows = [row for found in at_once(run, chosen, "proving", jobs) for row in found]
    print_rows(rows, json_, _COLUMNS)
    broken = [f"{row['design']}: {row['statement']} ({row['note']})" for row in rows if row["result"] == "broken"]
    if broken:
        raise MismatchError("; ".join(broken))
