"""Arguments and options that several commands take, and what they print to."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from macforge.extras import require_extras
from macforge.files import check_output_file
from sw_ref.fields import one_of

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = [
    "All",
    "Cells",
    "DesignName",
    "DesignNames",
    "Headline",
    "Json",
    "Settings",
    "check_chart",
    "chosen_designs",
    "err",
    "names_of",
    "out",
]

_CHARTS = (".html", ".png", ".svg")

out = Console()
err = Console(stderr=True)

DesignName = Annotated[str, typer.Argument(metavar="DESIGN", help="Named design, or path of a .toml file.")]
DesignNames = Annotated[
    list[str] | None, typer.Argument(metavar="DESIGN...", help="Named designs, or paths of .toml files.")
]
All = Annotated[bool, typer.Option("--all", help="All named designs.")]
Headline = Annotated[bool, typer.Option("--headline", help="Those that a report has by default.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a field, such as array.rows=8. Repeatable."),
]
Cells = Annotated[
    int | None, typer.Option(min=1, max=256, help="Resize arrays to so many cells each way; a flat array stays flat.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def check_chart(path: Path) -> None:
    """Check that a chart can be written there.

    Raises
    ------
    ValueError
        If its ending is none of a chart's, or as `macforge.files.check_output_file`.
    ModuleNotFoundError
        If the extra ``report`` is not installed.
    """
    require_extras("report")
    check_output_file(path, "Chart")
    one_of("Chart's ending", path.suffix, _CHARTS)


def chosen_designs(
    designs: list[str] | None,
    all_: bool,
    settings: list[str] | None,
    cells: int | None = None,
    *,
    headline: bool = False,
) -> "list[Design]":
    """The designs that a command line names, or all, or those of the headline, with its settings.

    Raises
    ------
    ValueError
        If more than one of these or none is asked for, or one of them cannot be had.
    """
    from macforge.design.design import load_design
    from macforge.design.named import design_names

    if headline and (designs or all_):
        raise ValueError("Give names of designs, --headline or --all, one of them")
    if not headline and all_ == bool(designs):
        raise ValueError("Give names of designs or --all, one of both; `macforge list designs` shows them")
    chosen = [load_design(name, settings or ()) for name in designs or design_names()]
    chosen = [design for design in chosen if design.headline or not headline]
    return chosen if cells is None else [design.resized(cells) for design in chosen]


def names_of(what: str, names: str, known: Iterable[str]) -> tuple[str, ...]:
    """Names that are separated by commas; ValueError unless each of them is known."""
    chosen = tuple(name.strip() for name in names.split(",") if name.strip())
    for name in chosen:
        one_of(what, name, known)
    return chosen
