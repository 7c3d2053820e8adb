"""Formats by the names that a design's keys give them; ``what`` is the key in an error, such as ``Drain scale``."""

from __future__ import annotations

from sw_ref.fields import shown
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import Float
from sw_ref.formats.signs import PowerOfTwo

__all__ = ["float_format", "integer_format", "scale_format"]

# For messages.
_FLOAT = "a float such as fp32, fp16, e5m3_ieee or e8m0"


def float_format(what: str, given: object, *, without: str = "none") -> Float | None:
    """The float format that a key has; None for ``without``."""
    form = _parsed(given)
    if given != without and not isinstance(form, Float):
        raise ValueError(f"{what} must be {_FLOAT}, or {without or 'empty'}, not {shown(given)}")
    return form if isinstance(form, Float) else None


def integer_format(what: str, given: object) -> Int | None:
    """The integer format that a key has; None for ``none``."""
    form = _parsed(given)
    if given != "none" and not isinstance(form, Int):
        raise ValueError(f"{what} must be an integer format such as int8, or none, not {shown(given)}")
    return form if isinstance(form, Int) else None


def scale_format(what: str, given: object) -> Int | PowerOfTwo | Float | None:
    """The format of a factor: a float, an integer, or a power of two; None for ``none``."""
    form = None if given == "none" else _parsed(given)
    if given != "none" and not isinstance(form, Int | PowerOfTwo | Float):
        raise ValueError(
            f"{what} must be {_FLOAT}, a power of two such as pot5, an integer format such as int8, or none, "
            f"not {shown(given)}"
        )
    assert form is None or isinstance(form, Int | PowerOfTwo | Float)
    return form


def _parsed(given: object) -> object:
    try:
        return parse_format(str(given))
    except ValueError:
        return None
