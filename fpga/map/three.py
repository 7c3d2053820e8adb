"""Modules of a family's own in place of a design's, among them additions of three words in one carry chain."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fpga.families import Family
from hw.core.naming import DIGEST

__all__ = ["files_for"]

# Names without their digests say what such a module is.
_ADD_THREE = re.compile(rf"\bmodule (add_three((?:_[iu]\d+){{4}})(?:{DIGEST})?)\b", re.ASCII)
_MULTIPLY_ACCUMULATE = re.compile(rf"\bmodule ((multiply_accumulate_\w+){DIGEST})\b", re.ASCII)

# O5 is the majority of I0 to I2, and O6 the parity of I0 to I3; I5 is 1.
_INIT = "64'h69966996e8e8e8e8"


def files_for(family: Family, verilog: str) -> Mapping[str, str]:
    """Texts that the flow of ``family`` reads for a design: its own, and its adders of three words.

    A multiplier with its accumulator, see `hw.integer.multiply_accumulate`, is one that the family has, under the name
    that the design calls it by.

    A carry chain takes the place of each `hw.integer.compress.AddThree` where the family has ``add_three``. A bit of it
    is one LUT6_2: O5 is the carry of its three bits into the next, and O6 their parity, with the carry of the bit
    below; a CARRY4 for each four adds O5 of the bit below (AMD UG474, UG574).

    Parameters
    ----------
    family
        Whose flow it is.
    verilog
        Text of the whole design.
    """
    own = dict(family.files)
    for name, stem in _MULTIPLY_ACCUMULATE.findall(verilog):
        own = {file: re.sub(rf"\b{stem}\b", name, text, flags=re.ASCII) for file, text in own.items()}
    adders = _ADD_THREE.findall(verilog) if family.add_three else ()
    modules = [_module(name, formats[1:].split("_")) for name, formats in adders]
    return {**own, "add_three.v": "".join(modules)} if modules else own


def _module(name: str, formats: list[str]) -> str:
    *_, bits = widths = [int(each[1:]) for each in formats]
    ports = ", ".join(f"input [{width - 1}:0] {port}" for port, width in zip("abc", widths, strict=False))
    lines = [f"module {name}({ports}, output [{bits - 1}:0] sum);"]
    for port, width, form in zip("abc", widths, formats, strict=False):
        beyond = f"{port}[{width - 1}]" if form[0] == "i" else "1'b0"
        lines.append(f"  wire [{width + bits - 1}:0] {port}_long = {{{{{bits}{{{beyond}}}}}, {port}}};")
    chains = -(-bits // 4)
    lines += [
        f"  wire [{4 * chains}:0] saved, carry;",
        f"  wire [{4 * chains - 1}:0] parity, whole;",
        "  assign saved[0] = 1'b0, carry[0] = 1'b0, sum = whole;",
    ]
    for bit in range(bits):
        inputs = ", ".join(f".I{index}({port}_long[{bit}])" for index, port in enumerate("abc"))
        lines.append(
            f"  LUT6_2 #(.INIT({_INIT})) bit_{bit}({inputs}, .I3(saved[{bit}]), .I4(1'b0), .I5(1'b1), "
            f".O5(saved[{bit + 1}]), .O6(parity[{bit}]));"
        )
    if bits % 4:
        lines.append(f"  assign parity[{4 * chains - 1}:{bits}] = 0, saved[{4 * chains}:{bits + 1}] = 0;")
    for low in range(0, 4 * chains, 4):
        high = low + 3
        lines.append(
            f"  CARRY4 carry_{low}(.CI(carry[{low}]), .CYINIT(1'b0), "
            f".DI(saved[{high}:{low}]), .S(parity[{high}:{low}]), .O(whole[{high}:{low}]), "
            f".CO(carry[{high + 1}:{low + 1}]));"
        )
    return "\n".join([*lines, "endmodule\n\n"])
