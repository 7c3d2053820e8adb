"""Formats of the drain edge by the names that designs give them."""

from __future__ import annotations

import re

from sw_ref.fields import shown
from sw_ref.formats.base import Int
from sw_ref.formats.binary_float import BF16, FP16, FP32, FloatShape
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.signs import PowerOfTwo

__all__ = ["FLOATING", "FLOATS", "float_format", "integer_format", "scale_format"]

FLOATS = {"float32": FP32, "bfloat16": BF16, "float16": FP16}
"""Floats with a name of their own."""
FLOATING = "float32, bfloat16, float16, a float such as e5m3 or e8m0"
"""What `float_format` takes, for messages."""


def float_format(name: object) -> FloatShape | None:
    """The float of this name, if it is one."""
    fields = re.fullmatch(r"e([2-8])m(\d{1,2})", str(name))
    return FloatShape(int(fields[1]), int(fields[2])) if fields else FLOATS.get(str(name))


def integer_format(key: str, given: object) -> Int | None:
    """The integer format of a key; None for ``none``."""
    form = _parsed(given)
    if given != "none" and not isinstance(form, Int):
        raise ValueError(f"Drain {key} must be an integer format such as int8, or none, not {shown(given)}")
    return form if isinstance(form, Int) else None


def scale_format(key: str, given: object) -> Int | PowerOfTwo | FloatShape | None:
    """The format of a factor: a float, an integer, or a power of two; None for ``none``."""
    if given == "none":
        return None
    form = float_format(given) or _parsed(given)
    if not isinstance(form, Int | PowerOfTwo | FloatShape):
        raise ValueError(
            f"Drain {key} must be {FLOATING}, a power of two such as pot5, an integer format such as int8, or none, "
            f"not {shown(given)}"
        )
    return form


def _parsed(given: object) -> object:
    try:
        return parse_format(str(given))
    except ValueError:
        return None
