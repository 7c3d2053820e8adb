"""A name for anything by its content."""

import hashlib
import json
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["digest"]


def digest(*parts: Any) -> str:
    """SHA-256 of a sequence of parts, as 64 hexadecimal digits.

    Each part is hashed with its kind and its length before it, so that no two different sequences share
    their bytes: ``digest("ab", "c") != digest("a", "bc")`` and ``digest("a") != digest(b"a")``.

    Parameters
    ----------
    *parts
        ``bytes``, an array of numbers, or whatever JSON can write: text, numbers, booleans, None, and lists, tuples
        and mappings of these. A tuple counts as a list, and the order of a mapping does not matter. An array counts
        with its dtype and shape.

    Raises
    ------
    TypeError
        If a part cannot be written as JSON, a mapping has a key that is not text, or an array holds objects.
    ValueError
        If a number is infinite or not a number.
    """
    state = hashlib.sha256()
    for part in parts:
        kind, data = _spelled(part)
        state.update(f"{kind} {len(data)}\n".encode())
        state.update(data)
    return state.hexdigest()


def _spelled(part: Any) -> tuple[str, bytes]:
    if isinstance(part, bytes):
        return "bytes", part
    # without NumPy there are no arrays, and loading it takes longer than listing all designs
    numpy = sys.modules.get("numpy")
    if numpy and isinstance(part, numpy.ndarray):
        if part.dtype.hasobject:
            # their bytes are addresses
            raise TypeError(f"Arrays must hold numbers, not {part.dtype}")
        return f"array {part.dtype.str} {part.shape}", part.tobytes()
    return "json", _canonical(part)


def _canonical(part: Any) -> bytes:
    _require_text_keys(part)
    return json.dumps(part, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _require_text_keys(part: Any) -> None:
    # json writes the key 1 as "1", which would give two different mappings one digest.
    if isinstance(part, Mapping):
        for key, value in part.items():
            if not isinstance(key, str):
                raise TypeError(f"Keys of a mapping must be text, not {key!r}")
            _require_text_keys(value)
    elif isinstance(part, list | tuple):
        for value in part:
            _require_text_keys(value)
