"""The formats by their names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from sw_ref.codebook import NF4, Codebook
from sw_ref.formats import Format, Int

__all__ = ["FAMILIES", "FormatFamily", "parse_format"]


@dataclass(frozen=True, kw_only=True)
class FormatFamily:
    """One way of writing formats, as :func:`parse_format` reads it and ``macforge list formats`` shows it.

    Parameters
    ----------
    spelling : str
        How a name is written, for people: ``int<bits>``.
    pattern : str
        Regular expression of a whole name; its groups are the arguments of ``build``.
    build : callable
        Makes the format out of the matched groups.
    description : str
        One line.
    examples : tuple of str
        Names that parse.
    """

    spelling: str
    pattern: str
    build: Callable[..., Format]
    description: str
    examples: tuple[str, ...]


FAMILIES: tuple[FormatFamily, ...] = (
    FormatFamily(
        spelling="int<1..16>",
        pattern=r"int([0-9]{1,4})",
        build=lambda bits: Int(int(bits), signed=True),
        description="two's complement integer",
        examples=("int2", "int4", "int8", "int16"),
    ),
    FormatFamily(
        spelling="uint<1..16>",
        pattern=r"uint([0-9]{1,4})",
        build=lambda bits: Int(int(bits), signed=False),
        description="unsigned integer",
        examples=("uint1", "uint2", "uint4", "uint8"),
    ),
    FormatFamily(
        spelling="nf4",
        pattern=r"nf4",
        build=lambda: NF4,
        description="NormalFloat 4, its 16 values in steps of 1/127 (QLoRA, FLUTE)",
        examples=("nf4",),
    ),
    FormatFamily(
        spelling="codebook[<2**bits integers>]",
        pattern=r"codebook\[(-?[0-9]+(?:,-?[0-9]+)*)\]",
        build=lambda values: Codebook(tuple(map(int, values.split(",")))),
        description="any 2, 4, ... 256 integers, the value of each code",
        examples=("codebook[-8,-3,0,3]",),
    ),
)


def parse_format(text: str) -> Format:
    """The format of a name, such as ``int8`` or ``uint4``.

    Raises
    ------
    ValueError
        If no family of :data:`FAMILIES` reads ``text``; lists what is accepted, with the closest example.
    """
    for family in FAMILIES:
        if match := re.fullmatch(family.pattern, text):
            return family.build(*match.groups())
    examples = [example for family in FAMILIES for example in family.examples]
    close = difflib.get_close_matches(text.lower(), examples, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ValueError(f"Format must be {' or '.join(f.spelling for f in FAMILIES)}, not {text!r}{hint}")
