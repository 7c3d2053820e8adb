"""Names of modules: readable, and different for whatever differs."""

import dataclasses
import functools
import re
from collections.abc import Hashable, Mapping
from importlib import resources
from numbers import Integral
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data

from hw.core.digest import digest
from sw_ref.formats.base import Format

__all__ = ["ADDED", "DIGEST", "MOST_LETTERS", "format_name", "identifier", "keywords", "module_name", "plain"]

ADDED = {"added": True}
"""Metadata of a dataclass's field that came later: names leave it out while it has its default, and so stay."""

DIGEST = r"_[0-9a-f]{8}"
"""Regular expression of what every name of `module_name` ends with."""

MOST_LETTERS = 100
"""Longer stems are cut: formats may be lists of values, and some tools keep modules in files of their names."""

# Letters of a format's name, and how many of a longer one are kept.
_LONGEST, _BEGINNING = 48, 16


def module_name(stem: str, kind: type, arguments: Mapping[str, Hashable]) -> str:
    """``<stem>_<digest>``: a stem says what a module is, and the digest whose it is.

    The digest is that of the class with all of its arguments, so that a name is the same on every run and machine, and
    no two circuits share one, whatever their stems leave out.

    Parameters
    ----------
    stem : str
        Of letters, digits and underscores; of more than `MOST_LETTERS`, those in the middle are left out.
    kind, arguments
        Class of a unit, and its arguments.

    Raises
    ------
    TypeError
        If an argument is of a kind that `plain` does not know.
    """
    if len(stem) > MOST_LETTERS:
        half = MOST_LETTERS // 2 - 1
        stem = f"{stem[:half]}__{stem[-half:]}"
    return f"{stem}_{digest(_told(kind, arguments))[:8]}"


def plain(value: object) -> object:
    """Plain data for JSON that is equal for equal values, and different for different ones.

    Raises
    ------
    TypeError
        If nothing is known of values of this kind; a name must not leave out what it does not understand.
    """
    match value:
        case None | str():
            return value
        case Integral():
            return int(value)
        case float():
            # equal to an integer, then plain as that is
            return int(value) if value.is_integer() else {"float": value.hex()}
        case type():
            return {"type": _qualified(value)}
        case tuple() | list():
            return [plain(each) for each in value]
        case Mapping():
            return {"items": sorted(([plain(key), plain(each)] for key, each in value.items()), key=repr)}
        case Shape():
            return {"bits": value.width, "signed": value.signed}
        case data.Layout():
            fields = {str(key): [field.offset, plain(field.shape)] for key, field in value}
            return {"layout": fields, "bits": value.size}
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if _tells(value, field)}
        return _told(type(value), fields)
    if (identity := getattr(value, "identity", None)) is not None:
        kind, arguments = identity
        return _told(kind, dict(arguments))
    raise TypeError(f"Arguments of units must be plain values, dataclasses, layouts or units, not {value!r}")


def _tells(owner: Any, field: dataclasses.Field) -> bool:
    """Whether a field is part of names: one more field whose default says nothing does not make values alike."""
    silent = field.metadata == ADDED and getattr(owner, field.name) == field.default
    return field.compare and not silent


def _told(kind: type, arguments: Mapping[str, object]) -> dict[str, object]:
    return {"class": _qualified(kind), "arguments": {name: plain(value) for name, value in arguments.items()}}


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def format_name(form: Format) -> str:
    """The format's name as a part of module names; of a long one its beginning, and a digest of all."""
    name = form.name.replace("-", "m")
    name = "_".join("".join(c if c.isalnum() else " " for c in name).split())
    # names of modules become names of files, and tools take no longer ones than 1024
    return name if len(name) <= _LONGEST else f"{name[:_BEGINNING].rstrip('_')}_{digest(form.name)[:8]}"


def identifier(text: str) -> str:
    """``text`` as a name that Verilog takes: itself, if it is one.

    Whatever is no letter of ASCII, digit or underscore becomes an underscore. What then does not begin with a letter,
    or is a word of SystemVerilog's own, gets ``design_`` before it.
    """
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    return name if re.match(r"[A-Za-z]", name) and name not in keywords() else f"design_{name}"


@functools.cache
def keywords() -> frozenset[str]:
    """Words that Verilog and SystemVerilog keep for themselves."""
    return frozenset((resources.files("hw.core") / "keywords.txt").read_text(encoding="utf-8").split())
