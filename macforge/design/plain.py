"""Plain nested data: out of TOML and as TOML, as dataclasses, and with single keys replaced."""

import dataclasses
import functools
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, get_type_hints

from sw_ref.fields import FieldError, one_of, shown

__all__ = ["build", "field_types", "parse_toml", "read_toml", "set_key", "to_toml"]


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


_T = TypeVar("_T", bound=_Dataclass)


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


def read_toml(path: Path, what: str) -> dict[str, object]:
    """The data of a TOML file in UTF-8; ``what`` is what the file is, as messages have it.

    Raises
    ------
    ValueError
        If there is no such file, it cannot be read, or is not TOML.
    """
    if not path.is_file():
        raise ValueError(f"{what} must be a file that exists, not {path}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{what} {path} cannot be read: {error.strerror}") from error
    try:
        # some editors put a mark in front, which is no part of the text
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        marked = "; it begins as UTF-16 does" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise ValueError(
            f"{what} {path} must be text in UTF-8, not have a byte {data[error.start]:#x} at {error.start}{marked}"
        ) from error
    return parse_toml(text, f"{what} {path}")


def parse_toml(text: str, what: str) -> dict[str, object]:
    """The data of a TOML text; ValueError if it is not TOML."""
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise ValueError(f"{what} is not TOML: {error}") from error
    except RecursionError:
        raise ValueError(f"{what} must not be nested so deeply") from None


def build(kind: type[_T], table: object, where: str = "", **values: Any) -> _T:
    """A dataclass out of plain nested data, with wrong, unknown and missing keys refused by their full names.

    ``values`` are fields that are no keys of the data.
    """
    if not isinstance(table, Mapping):
        raise ValueError(f"Design key {where.removesuffix('.')} must be a table, not {shown(table)}")
    hints = field_types(kind)
    members = {member.name: member for member in dataclasses.fields(kind) if member.name not in values}
    for key, value in table.items():
        one_of("Design key", f"{where}{key}", [f"{where}{member}" for member in members])
        values[key] = build(hints[key], value, f"{where}{key}.") if dataclasses.is_dataclass(hints[key]) else value
    for member in members.values():
        optional = member.default is not dataclasses.MISSING or member.default_factory is not dataclasses.MISSING
        if member.name not in values and not optional:
            raise ValueError(f"Design must have the key {where}{member.name}")
    try:
        return kind(**values)
    except FieldError as error:
        raise ValueError(error.text("Design key", where)) from error


@functools.cache
def field_types(kind: type) -> dict[str, Any]:
    """The types of a dataclass's fields, without what `sw_ref.fields` reads beside them."""
    return get_type_hints(kind)


def set_key(table: dict[str, object], setting: str) -> None:
    """Replace one field of a design's plain data; what is not TOML is text."""
    key, equals, text = setting.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ValueError(f"Setting must be key=value, such as array.rows=4, not {shown(setting)}")
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        found = {}
    # a line end may begin another key
    value = found["value"] if found.keys() == {"value"} else text
    *path, last = key.split(".")
    for part in path:
        below = table.setdefault(part, {})
        if not isinstance(below, dict):
            raise ValueError(f"Setting {shown(setting)} goes below {part}, which is a single value")
        table = below
    table[last] = value
