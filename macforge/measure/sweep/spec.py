"""The file that asks for a sweep, read and checked."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fpga.families import FAMILIES
from macforge.design.design import Design, load_design
from macforge.design.named import design_names
from macforge.design.plain import field_types, read_toml
from macforge.measure.registry import MEASUREMENTS
from macforge.measure.sweep.points import Sweep
from sw_ref.fields import one_of, shown

__all__ = ["load_sweep"]

_MOST = (1 << 20) - 1
"""Largest size of a product, and largest seed."""

_KEYS = ("designs", "families", "seeds", "cells", "set", "measure")


def load_sweep(path: str | Path) -> Sweep:
    """The sweep of a TOML file; designs that are files themselves are found from its folder.

    Raises
    ------
    ValueError
        If there is no such file, or something in it is not to be had; says what was given and what would do.
    """
    path = Path(path)
    table = read_toml(path, "Sweep")
    for key in table:
        one_of("Sweep key", key, _KEYS)
    families = _list(table, "families", "names", list(FAMILIES), str)
    for family in families:
        one_of("Sweep family", family, FAMILIES)
    seeds = _list(table, "seeds", "integers from 0", [1], int)
    if min(seeds) < 0 or max(seeds) > _MOST:
        raise ValueError(f"Sweep seeds must be a list of integers from 0 to {_MOST}, not {shown(seeds)}")
    return Sweep(
        name=path.stem,
        designs=_designs(table, path.parent),
        settings=_settings(table.get("set", {})),
        families=families,
        seeds=seeds,
        measurements=_measurements(table.get("measure", {"area": {}}), table.get("cells"), families),
    )


def _list(table: Mapping[str, Any], key: str, what: str, default: object, kind: type) -> list:
    given = table.get(key, default)
    if not isinstance(given, list) or not given or any(type(each) is not kind for each in given):
        raise ValueError(f"Sweep {key} must be a list of {what}, not {given!r}")
    if len(set(given)) < len(given):
        raise ValueError(f"Sweep {key} must be given once each, not {given!r}")
    return given


def _designs(table: Mapping[str, Any], folder: Path) -> list[Design]:
    if "designs" not in table:
        raise ValueError("Sweep must have the key designs: a list of names, all or headline")
    if table["designs"] in ("all", "headline"):
        designs = [load_design(name) for name in design_names()]
        return designs if table["designs"] == "all" else [design for design in designs if design.headline]
    names = _list(table, "designs", "names, or all or headline", None, str)
    designs = [load_design(folder / name if name.endswith(".toml") else name) for name in names]
    if len({design.name for design in designs}) < len(designs):
        raise ValueError(f"Sweep designs must have different names, not {', '.join(each.name for each in designs)}")
    return designs


def _settings(given: Any) -> list[dict[str, Any]]:
    """Every combination of values, grid after grid."""
    grids = given if isinstance(given, list) else [given]
    if not grids or not all(isinstance(grid, dict) for grid in grids):
        raise ValueError(f"Sweep set must be a table of design keys with their values, or several, not {given!r}")
    combinations = []
    for grid in grids:
        axes = dict(_axes(grid))
        combinations += [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    return combinations


def _axes(grid: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, list[object]]]:
    for key, value in grid.items():
        if isinstance(value, dict):
            yield from _axes(value, f"{where}{key}.")
            continue
        _require_design_key(f"{where}{key}")
        values = value if isinstance(value, list) else [value]
        if not values:
            raise ValueError(f"Sweep set {where}{key} must have at least one value, not none")
        for each in values:
            if not isinstance(each, str | int | float | list):
                raise ValueError(f"Sweep set {where}{key} must be numbers, text, booleans or lists, not {each!r}")
        yield f"{where}{key}", values


def _require_design_key(key: str, kind: Any = Design, where: str = "") -> None:
    """Whether a value fits a design is seen when its point is computed; that there is such a field, here."""
    name, _, rest = key.removeprefix(where).partition(".")
    members = {f"{where}{field}": member for field, member in field_types(kind).items() if field != "name"}
    member = members[one_of("Sweep set key", f"{where}{name}", members)]
    if dataclasses.is_dataclass(member):
        _require_design_key(key, member, f"{where}{name}.")
    elif rest and name != "options":
        raise ValueError(f"Sweep set key {key} goes below {where}{name}, which is a single value")


def _measurements(given: object, cells: object, families: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Options of each measurement, its own and those left out; ``cells`` is one that all have."""
    if not isinstance(given, dict) or not given:
        raise ValueError(f"Sweep measure must be a table for each of {', '.join(MEASUREMENTS)}, not {given!r}")
    if cells is not None:
        _number("Sweep cells", cells, like=1, least=1)
    chosen = {}
    for name, table in given.items():
        measurement = MEASUREMENTS[one_of("Sweep measure", name, MEASUREMENTS)]
        if not isinstance(table, dict):
            raise ValueError(f"Sweep measure.{name} must be a table, not {table!r}")
        if "family" in measurement.axes and not any(map(measurement.fits, families)):
            routed = [family for family in FAMILIES if measurement.fits(family)]
            raise ValueError(f"Sweep measure.{name} needs one of the families {', '.join(routed)}, not {families!r}")
        options = {"cells": cells, **measurement.options}
        for option, value in table.items():
            one_of(f"Option of sweep measure.{name}", option, options)
            options[option] = _option(f"Sweep measure.{name}.{option}", option, value, options[option])
        chosen[name] = options
    return chosen


def _option(what: str, option: str, given: Any, default: Any) -> Any:
    """What is given for an option, of the kind of its default."""
    if option == "cells":
        return _number(what, given, like=1, least=1)
    if not isinstance(default, str):
        return _number(what, given, like=default, least=0)
    if not isinstance(given, str):
        raise ValueError(f"{what} must be a string, not {shown(given)}")
    return given


def _number(what: str, given: Any, *, like: float, least: int) -> float:
    """A number of the kind that ``like`` is."""
    # which is false of a NaN
    if type(given) not in {int, type(like)} or not least <= given <= _MOST:
        kind = "an integer" if isinstance(like, int) else "a number"
        raise ValueError(f"{what} must be {kind} from {least} to {_MOST}, not {shown(given)}")
    return type(like)(given)
