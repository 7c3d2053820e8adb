"""macforge mutate: how many faults of a design its benches find."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from macforge.cli.arguments import All, DesignNames, Headline, Json, Settings, chosen_designs, names_of, out
from macforge.extras import require_extras
from macforge.progress import at_once
from macforge.tables import print_rows

if TYPE_CHECKING:
    from macforge.design.design import Design

# Whatever else the command takes it imports itself.

__all__ = ["mutate"]

_COLUMNS = {
    "design": "design",
    "part": "part",
    "mutants": "mutants",
    "killed": "killed",
    "equivalent": "equivalent",
    "survived": "survived",
    "not decided": "not decided",
    "score": "score",
    "seconds": "CPU s",
}


def mutate(
    designs: DesignNames = None,
    all_: All = False,
    headline: Headline = False,
    parts: Annotated[
        str, typer.Option("--part", metavar="NAMES", help="Of cell, drain, control and dma; by default all there are.")
    ] = "",
    count: Annotated[int, typer.Option(min=1, help="Faults of each part.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of which faults are taken.")] = 0,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long a single question to the solver may take.")] = 10.0,
    only: Annotated[int | None, typer.Option(min=1, help="The one fault to run, by its number.")] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=0, help="Parts at a time; 0: one a processor.")] = 1,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Give parts of designs one fault after the other, and count those that their benches find.

    Faults that change nothing are told by SAT. What has become of a fault is kept, so that the next run goes on from
    there.
    """
    require_extras("prove")
    from macforge.mutate.parts import PARTS, parts_of

    chosen = chosen_designs(designs, all_, settings, headline=headline)
    named = names_of("Part", parts, PARTS)
    asked = [(design, part) for design in chosen for part in named or parts_of(design)]
    if only is not None and len(asked) > 1:
        raise ValueError(f"Option --only is of one design and one --part, not of {len(asked)}")

    run = partial(_mutated, count=count, seed=seed, seconds=seconds, only=only)
    rows = list(at_once(run, asked, "mutating", jobs))
    print_rows(rows, json_, _COLUMNS)
    for row in () if json_ else rows:
        for each in row["survivors"]:
            place = f"{row['design']} {row['part']} {each['number']} {each['mode']} {each['place']} {each['source']}"
            told = f"{place}: {each['result']}" + (f", {each['how']}" if each["how"] else "")
            out.print(told, markup=False, soft_wrap=True)


def _mutated(asked: "tuple[Design, str]", **how: Any) -> dict[str, Any]:
    from macforge.mutate.design import mutate_design

    return mutate_design(*asked, **how)
