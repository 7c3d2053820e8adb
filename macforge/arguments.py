"""Arguments and options that several commands take."""

from typing import Annotated

import typer

__all__ = ["All", "Cells", "DesignName", "DesignNames", "Json", "Settings"]

DesignName = Annotated[str, typer.Argument(metavar="DESIGN", help="Named design, or path of a .toml file.")]
DesignNames = Annotated[
    list[str] | None, typer.Argument(metavar="DESIGN...", help="Named designs, or paths of .toml files.")
]
All = Annotated[bool, typer.Option("--all", help="All named designs.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a field, such as array.rows=8. Repeatable."),
]
Cells = Annotated[
    int | None, typer.Option(min=1, max=256, help="Resize arrays to so many cells each way; a flat array stays flat.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
