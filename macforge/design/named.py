"""The named designs, as the data of their files."""

import tomllib
from importlib import resources

__all__ = ["DEFAULTS", "design_names", "named_table", "named_tables"]

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
