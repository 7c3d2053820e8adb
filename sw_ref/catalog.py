"""The formats by their names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from sw_ref.codebook import NF4, Codebook
from sw_ref.formats import Format, Int
from sw_ref.signs import Bipolar, PowerOfTwo, SumOfPowers, Ternary

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
        spelling="bipolar<1..8>",
        pattern=r"bipolar([0-9]{1,4})",
        build=lambda bits: Bipolar(int(bits)),
        description="odd integer, each bit of which is a sign (bipolar-INT, LUT Tensor Core)",
        examples=("bipolar1", "bipolar2", "bipolar4"),
    ),
    FormatFamily(
        spelling="ternary",
        pattern=r"ternary",
        build=Ternary,
        description="-1, 0 and 1 in two bits (BitNet b1.58)",
        examples=("ternary",),
    ),
    FormatFamily(
        spelling="pot<3..5>",
        pattern=r"pot([0-9]{1,4})",
        build=lambda bits: PowerOfTwo(int(bits)),
        description="0 or a signed power of two",
        examples=("pot3", "pot4", "pot5"),
    ),
    FormatFamily(
        spelling="apot<5|7>",
        pattern=r"apot([0-9]{1,4})",
        build=lambda bits: SumOfPowers(int(bits)),
        description="signed sum of two or three powers of two (APoT)",
        examples=("apot5", "apot7"),
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
