"""An engine's description as plain data, for files: every object by its class and fields, formats by their names."""

import dataclasses
from collections.abc import Mapping

from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import AlignedSum, PartialSum, RoundedSum
from sw_ref.arith.rules import Exact
from sw_ref.arith.table import RoundedTable
from sw_ref.drain.edge import Drain
from sw_ref.drain.steps import STEPS
from sw_ref.engine.spec import EngineSpec, Field, Mode
from sw_ref.formats.base import Format
from sw_ref.formats.catalog import parse_format

__all__ = ["spec_of", "to_plain"]

_CLASSES = {
    kind.__name__: kind
    for kind in (
        Accumulator,
        AlignedSum,
        Drain,
        EngineSpec,
        Exact,
        Field,
        Mode,
        PartialSum,
        RoundedSum,
        RoundedTable,
    )
}


def _known() -> dict[str, type]:
    """Classes by their names: those above, and the steps of drain edges."""
    return _CLASSES | {step.__name__: step for step in STEPS}


def to_plain(value: object) -> object:
    """Plain data for JSON, of which `spec_of` makes an equal object."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Format():
            return {"format": value.name}
        case Mapping():
            return {"items": {key: to_plain(each) for key, each in value.items()}}
        case tuple() | list():
            return [to_plain(each) for each in value]
    if _known().get(type(value).__name__) is not type(value):
        raise ValueError(f"A file can hold an engine of macforge's own classes, which {type(value).__name__} is not")
    assert dataclasses.is_dataclass(value)
    fields = {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init}
    return {"class": type(value).__name__, "fields": fields}


def spec_of(plain: object) -> EngineSpec:
    """The description that `to_plain` made this of.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        spec = _made(plain)
    except (KeyError, TypeError) as error:
        raise ValueError(f"An engine's description must be what macforge wrote, without {error}") from error
    if not isinstance(spec, EngineSpec):
        raise ValueError(f"An engine's description must be that of an engine, not of {type(spec).__name__}")
    return spec


def _made(plain: object) -> object:
    match plain:
        case list():
            return tuple(_made(each) for each in plain)
        case {"format": str() as name}:
            return parse_format(name)
        case {"items": dict() as items}:
            return {key: _made(each) for key, each in items.items()}
        case {"class": str() as kind, "fields": dict() as fields}:
            return _known()[kind](**{name: _made(each) for name, each in fields.items()})
    return plain
