"""Plain nested data: as TOML, as dataclasses, and with single keys replaced."""

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["build", "one_of", "set_key", "to_toml"]

_KINDS = {str: "text", bool: "true or false"}


def to_toml(table: Mapping[str, object]) -> str:
    """Nested plain data as TOML: values first, then a section for each table."""
    return "".join(_toml_lines(table, ""))


def _toml_lines(table: Mapping[str, object], section: str) -> Iterator[str]:
    # what JSON writes for text, numbers, booleans and lists of these is TOML too
    values = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if section and (values or not table):
        yield f"\n[{section}]\n"
    for key, value in values.items():
        yield f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _toml_lines(value, f"{section}.{key}" if section else key)


def build(kind: type, table: object, where: str = "") -> object:
    """A dataclass out of plain nested data, with unknown and missing keys refused by their full names."""
    if not isinstance(table, Mapping):
        raise ValueError(f"Design key {where.removesuffix('.')} must be a table, not {table!r}")
    members = {member.name: member for member in dataclasses.fields(kind)}
    values = {}
    for key, value in table.items():
        one_of("Design key", f"{where}{key}", [f"{where}{member}" for member in members])
        member = members[key].type
        if dataclasses.is_dataclass(member):
            value = build(member, value, f"{where}{key}.")
        elif member in _KINDS and not isinstance(value, member):
            raise ValueError(f"Design key {where}{key} must be {_KINDS[member]}, not {value!r}")
        elif key == "options" and not isinstance(value, Mapping):
            raise ValueError(f"Design key {where}{key} must be a table, not {value!r}")
        values[key] = value
    for member in members.values():
        optional = member.default is not dataclasses.MISSING or member.default_factory is not dataclasses.MISSING
        if member.name not in values and not optional:
            raise ValueError(f"Design must have the key {where}{member.name}")
    return kind(**values)


def set_key(table: dict[str, object], setting: str) -> None:
    """Replace one field of a design's plain data."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise ValueError(f"Setting must be key=value, such as array.rows=4, not {setting!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *path, last = key.split(".")
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ValueError(f"Setting {setting!r} goes below {part}, which is a single value")
    table[last] = value


def one_of(what: str, given: object, accepted: Iterable[str], more: str = "") -> str:
    """``given``, if it is among what is accepted; ValueError, with the closest one, if not."""
    accepted = list(accepted)
    if given not in accepted:
        close = difflib.get_close_matches(str(given), accepted, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        listing = ", ".join(accepted) or "none at all"
        raise ValueError(f"{what} must be one of {listing}{more}, not {given!r}{hint}")
    return given
