"""The families that designs are mapped to: a data file for each, and any library of standard cells."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from fpga.families.family import Cost, Family, PlaceAndRoute
from fpga.families.liberty import read_liberty

__all__ = ["COMPARED", "FAMILIES", "Cost", "Family", "PlaceAndRoute", "find"]


def _load() -> dict[str, Family]:
    """A family for each data file beside this module, by the file's name, with the Verilog of that name."""
    texts = {
        file.name: file.read_text(encoding="utf-8")
        for file in resources.files(__name__).iterdir()
        if file.name.endswith((".toml", ".v"))
    }
    names = sorted(file.removesuffix(".toml") for file in texts if file.endswith(".toml"))
    files = {name: {file: text for file, text in texts.items() if file == f"{name}.v"} for name in names}
    return {name: Family.from_table(name, tomllib.loads(texts[f"{name}.toml"]), files[name]) for name in names}


FAMILIES: Mapping[str, Family] = _load()
"""Every family, by its short name."""

COMPARED = tuple(sorted((name for name, family in FAMILIES.items() if family.compared), reverse=True))
"""Families that designs are compared on unless asked otherwise: look-up tables of six inputs, and of four."""


def find(name: str) -> Family:
    """The family of that short name, or of the standard cells in a Liberty file.

    Parameters
    ----------
    name
        A key of `FAMILIES`, or the path of a ``.lib`` file.

    Raises
    ------
    ValueError
        If there is none, or the file holds no cell that has an area.
    ToolError
        If Yosys cannot read the file.
    """
    if name.endswith(".lib"):
        return read_liberty(Path(name))
    if name not in FAMILIES:
        raise ValueError(f"Family must be one of {', '.join(FAMILIES)}, or a Liberty file (.lib), not {name!r}")
    return FAMILIES[name]
