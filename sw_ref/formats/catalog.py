"""The formats by their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sw_ref.fields import close_to, shown
from sw_ref.formats.base import Format, Int
from sw_ref.formats.bitmod import BitMoD, SelectedBitMoD
from sw_ref.formats.codebook import IQ4_NL, NF4, Codebook
from sw_ref.formats.fixed import Fixed
from sw_ref.formats.minifloat import FLOAT_PATTERN, FLOATS, named_float, parse_float
from sw_ref.formats.posit import Posit
from sw_ref.formats.rf8 import RF8
from sw_ref.formats.signs import Bipolar, PowerOfTwo, SumOfPowers, Ternary

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
        spelling="int<1..53>",
        pattern=r"int([0-9]{1,4})",
        build=lambda bits: Int(int(bits), signed=True),
        description="two's complement integer",
        examples=("int2", "int4", "int8", "int16"),
    ),
    FormatFamily(
        spelling="uint<1..53>",
        pattern=r"uint([0-9]{1,4})",
        build=lambda bits: Int(int(bits), signed=False),
        description="unsigned integer",
        examples=("uint1", "uint2", "uint4", "uint8"),
    ),
    FormatFamily(
        spelling="fixed<1..53>_<0..16>",
        pattern=r"fixed([0-9]{1,4})_([0-9]{1,4})",
        build=lambda bits, fraction: Fixed(int(bits), int(fraction)),
        description="two's complement, with so many bits after the point (MXINT8)",
        examples=("fixed8_6",),
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
        spelling="iq4_nl",
        pattern=r"iq4_nl",
        build=lambda: IQ4_NL,
        description="16 integers of 8 bits, denser near 0 (GGUF's IQ4_NL)",
        examples=("iq4_nl",),
    ),
    FormatFamily(
        spelling="codebook[<2**bits integers>]",
        pattern=r"codebook\[(-?[0-9]+(?:,-?[0-9]+)*)\]",
        build=lambda values: Codebook(tuple(map(int, values.split(",")))),
        description="any 2, 4, ... 256 integers, the value of each code",
        examples=("codebook[-8,-3,0,3]",),
    ),
    FormatFamily(
        spelling=f"{'|'.join(FLOATS)}[_nonsat]",
        pattern=f"({'|'.join(FLOATS)})(_nonsat|)",
        build=named_float,
        description="floating point of a standard; nonsat: what is too large becomes infinity or NaN",
        examples=tuple(FLOATS),
    ),
    FormatFamily(
        spelling="[u]e<1..8>m<0..23>[_finite|_fn|_ieee][_bias<int>][_flushed|_nozero][_nonsat]",
        pattern=FLOAT_PATTERN,
        build=parse_float,
        description="any floating point: all codes finite; fn: one NaN (as ue5m3 has); ieee: infinity and NaN",
        examples=("e2m2", "e3m3", "e4m3", "ue4m3", "ue5m3", "ue5m3_finite", "ue5m3_ieee", "e3m4_bias5"),
    ),
    FormatFamily(
        spelling="posit<3..16>_<0..3>",
        pattern=r"posit([0-9]{1,4})_([0-9]{1,4})",
        build=lambda bits, es: Posit(int(bits), int(es)),
        description="posit of so many bits, and bits of exponent (XR-NPE)",
        examples=("posit4_1", "posit8_0", "posit8_1", "posit16_1"),
    ),
    FormatFamily(
        spelling="rf8",
        pattern=r"rf8",
        build=RF8,
        description="signed sum of two powers of two at most 4 places apart, 5 bits of exponent",
        examples=("rf8",),
    ),
    FormatFamily(
        spelling="bitmod<3|4>_<0..3>",
        pattern=r"bitmod([0-9]{1,4})_([0-9]{1,4})",
        build=lambda bits, select: BitMoD(int(bits), int(select)),
        description="FP3, or FP4 times 2, with one of four special values for -0 (BitMoD)",
        examples=("bitmod3_0", "bitmod4_3"),
    ),
    FormatFamily(
        spelling="bitmod<3|4>",
        pattern=r"bitmod([0-9]{1,4})",
        build=lambda bits: SelectedBitMoD(int(bits)),
        description="the same, in 5 or 6 bits: which special value it is comes with each code",
        examples=("bitmod3", "bitmod4"),
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
    hint = close_to(text.lower(), examples)
    raise ValueError(f"Format must be {' or '.join(f.spelling for f in FAMILIES)}, not {shown(text)}{hint}")
