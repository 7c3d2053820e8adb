"""The named designs, as the data of their files."""

import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from macforge.design.plain import read_toml, set_key
from sw_ref.fields import one_of

__all__ = ["DEFAULTS", "design_names", "design_table", "named_table", "named_tables"]

DEFAULTS = {"lanes": 1, "dataflow": "output_stationary"}
"""What a design has of these fields if its file does not say."""

_FOLDER = resources.files("macforge") / "designs"


def design_names() -> list[str]:
    """Names of all named designs, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in _FOLDER.iterdir() if file.name.endswith(".toml"))


def named_table(name: str) -> dict[str, object]:
    """The data of a named design's file."""
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def named_tables() -> dict[str, dict[str, object]]:
    """The data of all of them, by their names."""
    return {name: named_table(name) for name in design_names()}


def design_table(design: str | Path, settings: Iterable[str] = ()) -> tuple[str, dict[str, object]]:
    """Name and data of a named design, or of the one of a TOML file, with ``settings`` such as ``array.rows=4``.

    A table ``derived``, as `macforge show` adds it, is passed over: it follows from the rest.

    Raises
    ------
    ValueError
        If there is no such design, or its file cannot be read.
    """
    path = Path(design)
    if path.suffix == ".toml":
        name, table = path.stem, read_toml(path, "Design")
    else:
        name = one_of("Design", str(design), design_names(), "; or a path that ends in .toml")
        table = named_table(name)
    table.pop("derived", None)
    for setting in settings:
        set_key(table, setting)
    return name, table
