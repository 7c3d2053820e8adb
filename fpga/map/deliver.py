"""Modules of a design as stock synthesis must get them, so that it makes of them what macforge counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fpga import families
from fpga.count import Resources, is_library
from fpga.families import Family
from fpga.map.absorb import absorb
from fpga.map.equal import prove_equal
from fpga.map.output_register import move_output_registers
from fpga.map.structural import structural
from fpga.map.synth import has_memories, map_netlist, quick_flow
from fpga.map.three import files_for
from hw.emit.verilog import modules_of

__all__ = ["Delivered", "deliver", "deliver_memories"]

# A module in cells is hard to read, and so there is one only where it saves more than one LUT of so many.
_WORTH = 20
# Yosys has only their ports; `tests/fpga/map` simulates them as their makers describe them.
_WITHOUT_MODEL = ("DSP48E2",)
_SIMULATED = "cells of the family, not proven but simulated: Yosys has no model."
_MACRO = re.compile(r"^`define (\w+)\(([^)]*)\) \\\n((?:.*\\\n)*.*)\n", re.MULTILINE)
_INSTANCE = re.compile(r"^  (\w+) (?:#\(.*?\) )?\w+ ?\(", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """Modules that a family's Verilog has in place of the portable ones, by their names.

    Attributes
    ----------
    proven
        Texts in cells of the family, each proven equal to the portable module.
    blocks
        Texts that instantiate a cell which Yosys has no model of, so that there is no proof.
    kept
        Portable texts with an attribute by which synthesis keeps the module: it would else merge its additions and
        tables with those of its neighbours, and most designs would get larger.
    unused
        Names of modules that those with a DSP block take the place of too.
    """

    proven: Mapping[str, str] = field(default_factory=dict)
    blocks: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    @property
    def texts(self) -> dict[str, str]:
        """All of them; nothing in place of those that are not used any more."""
        return {**self.proven, **self.blocks, **self.kept, **dict.fromkeys(self.unused, "")}


def deliver(verilog: str, *, top: str, family: str, dsp: bool = False) -> Delivered:
    """Modules of ``verilog`` that a family's stock synthesis needs another text of, proven equal to the portable ones.

    Parameters
    ----------
    verilog
        Text of the whole design, as `hw.emit.verilog.emit_verilog` writes it.
    top
        Name of the top module.
    family
        Short name of the family.
    dsp
        Whether multipliers may become DSP blocks.

    Raises
    ------
    ValueError
        If the family is unknown, or has no models of its cells.
    UnprovenError
        If a module in cells is not proven equal to the portable one.
    ToolError
        If Yosys refuses the design.
    """
    target = families.find(family)
    if not target.models:
        able = [name for name, each in families.FAMILIES.items() if each.models]
        raise ValueError(f"Family must be one of {', '.join(able)} to have Verilog of its own, not {family!r}")
    portable, files = modules_of(verilog), files_for(target, verilog)
    flow = quick_flow(target, verilog, dsp=dsp)
    netlist = map_netlist(verilog, top=top, flow=flow, files=files, absorbing=False)["modules"]
    own = _own(files, portable)
    mapped = {**own, **dict(_absorbed(netlist, portable, target))}
    proven, blocks = {}, {}
    for name, text in mapped.items():
        if any(cell in text for cell in _WITHOUT_MODEL):
            blocks[name] = _comment(target, _SIMULATED) + text
            continue
        below = "".join(portable[part] for part in _below(portable, name))
        prove_equal(portable[name] + below, text + below, top=name, family=target)
        proven[name] = _comment(target, "cells of the family, proven equal to it by Yosys.") + text
    kept = {
        name: f'(* keep_hierarchy = "yes" *)\n{text}'
        for name, text in portable.items()
        if name not in mapped and name != top and _is_leaf(netlist.get(name), netlist, target)
    }
    unused = tuple(part for name in own for part in _below(portable, name) if part not in netlist)
    return Delivered(proven=proven, blocks=blocks, kept=kept, unused=unused)


def deliver_memories(verilog: str, *, family: str) -> Delivered:
    """Memories of ``verilog`` as block RAMs with a register of their own, see `fpga.map.output_register`.

    Stock synthesis would leave the register outside. There is no proof, as for DSP blocks.

    Parameters
    ----------
    verilog, family
        As for `deliver`.

    Raises
    ------
    ToolError
        If Yosys refuses a memory.
    """
    target, blocks = families.find(family), {}
    for name, text in modules_of(verilog).items():
        if _INSTANCE.search(text) or not has_memories(text):
            continue
        flow = quick_flow(target, text)
        module = map_netlist(text, top=name, flow=flow, absorbing=False)["modules"][name]
        after = move_output_registers(module)
        if len(after["cells"]) < len(module["cells"]):
            blocks[name] = _comment(target, _SIMULATED) + structural(after, text)
    return Delivered(blocks=blocks)


def _comment(family: Family, what: str) -> str:
    return f"// {family.title}. The portable module of this name as {what}\n"


def _absorbed(netlist: Mapping[str, Any], portable: Mapping[str, str], family: Family) -> Iterator[tuple[str, str]]:
    """Modules that are worth it, with gates moved into their carry cells.

    Those with a DSP block or a memory stay portable: there is no proof of what these cells compute.
    """
    for name, text in portable.items():
        before = netlist.get(name)
        if before is None or _has_blocks(before, family):
            continue
        after = absorb(before)
        saved = _lut(before, netlist, family) - _lut(after, netlist, family)
        if saved * _WORTH > _lut(after, netlist, family):
            yield name, structural(after, text)


def _has_blocks(module: Mapping[str, Any], family: Family) -> bool:
    costs = [family.costs[cell["type"]] for cell in module["cells"].values() if cell["type"] in family.costs]
    return any(cost.dsp or cost.bram for cost in costs)


def _lut(module: Mapping[str, Any], netlist: Mapping[str, Any], family: Family) -> int:
    """LUTs of a module without those of the modules that it instantiates."""
    kinds = Counter(cell["type"] for cell in module["cells"].values())
    own = {kind: number for kind, number in kinds.items() if kind not in netlist or is_library(netlist[kind])}
    return Resources.of(own, family).lut


def _is_leaf(module: Mapping[str, Any] | None, netlist: Mapping[str, Any], family: Family) -> bool:
    """Whether a module holds logic, and no other module."""
    if module is None:
        return False
    kinds = {cell["type"] for cell in module["cells"].values()}
    parts = [kind for kind in kinds if kind in netlist and not is_library(netlist[kind])]
    return not parts and _lut(module, netlist, family) > 0


def _own(files: Mapping[str, str], portable: Mapping[str, str]) -> dict[str, str]:
    """The family's own modules that the design has, spelled out where its file has a macro of them."""
    found = {}
    for text in files.values():
        for macro, parameters, body in _MACRO.findall(text):
            for given in re.findall(rf"^`{macro}\(([^)]*)\)", text, re.MULTILINE):
                values = dict(zip(parameters.split(", "), given.split(", "), strict=True))
                plain = re.sub(rf"\b({'|'.join(values)})\b", lambda word, of=values: of[word[0]], body)
                text += re.sub(r" *\\\n", "\n", plain) + "\n"
        found.update({name: module for name, module in modules_of(text).items() if name in portable})
    return found


def _below(portable: Mapping[str, str], name: str) -> list[str]:
    """Modules that a module instantiates, and that these do."""
    found: list[str] = []
    waiting = [name]
    while waiting:
        parts = [part for part in _INSTANCE.findall(portable[waiting.pop()]) if part in portable and part not in found]
        found += dict.fromkeys(parts)
        waiting += dict.fromkeys(parts)
    return sorted(found)
