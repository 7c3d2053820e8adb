"""Synthesis of Verilog text for a family, with each module mapped once however often it is used."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fpga import families
from fpga.count import Resources, tally
from fpga.families import Family
from fpga.map.absorb import absorb
from fpga.map.output_register import move_output_registers
from fpga.map.three import files_for
from hw.core.digest import digest
from hw.emit import yosys
from hw.emit.cache import cached_dir
from hw.emit.tools import ToolError

__all__ = ["ModuleResources", "Synthesis", "has_memories", "map_netlist", "quick_flow", "synthesize"]

_NETLIST = "netlist.json"

# Escaped names, in which there can be anything, are taken out.
_ESCAPED = re.compile(r"\\\S+", re.ASCII)
_MEMORY = re.compile(r"\breg\b[^;]*\w\s*\[[^]]*\]\s*;|\bcase", re.ASCII)
# What a family's own Verilog makes a DSP block of, see `hw.integer.multiply_accumulate`.
_DSP = re.compile(r"\bmultiply_accumulate_", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ModuleResources:
    """One module of a mapped design.

    Attributes
    ----------
    resources
        What one of it occupies itself, without the modules it instantiates.
    instances
        How many of it the whole design holds.
    children
        How many of each module one of it instantiates.
    """

    resources: Resources
    instances: int
    children: Mapping[str, int]

    @property
    def total(self) -> Resources:
        """What all its instances occupy together."""
        return self.resources * self.instances


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """A design mapped to a family.

    Attributes
    ----------
    top
        Name of the top module.
    family
        Short name of the family.
    flow
        Yosys command that mapped it.
    tool
        Name and version of the tool.
    modules
        Every module that is used, the top first.
    """

    top: str
    family: str
    flow: str
    tool: str
    modules: Mapping[str, ModuleResources]

    @functools.cached_property
    def resources(self) -> Resources:
        """What the whole design occupies."""
        return sum((module.total for module in self.modules.values()), Resources())

    def inside(self, name: str) -> Resources:
        """What one instance of a module occupies, with all that it instantiates."""
        module = self.modules[name]
        below = (self.inside(child) * number for child, number in module.children.items())
        return sum(below, module.resources)


def synthesize(verilog: str, *, top: str, family: str, dsp: bool = False, flatten: bool = False) -> Synthesis:
    """Map Verilog to a family and count what it occupies.

    The modules are kept by default: each is mapped once and counted for every instance, so an array takes the
    time of one cell. Nothing is then optimized across a module's ports: registers behind an output that is
    left open, as at the edge of an array, count there too. Carry cells of LUT4 families then take in what look-up
    tables before them compute (`fpga.map.absorb`), and block RAMs the registers behind them
    (`fpga.map.output_register`), but not in a flat design, which is as Yosys maps it.

    Parameters
    ----------
    verilog
        Text of the whole design.
    top
        Name of the top module.
    family
        Short name of the family, such as ``"ecp5"``.
    dsp
        Whether multipliers may become DSP blocks.
    flatten
        Whether to dissolve the modules first and map the design as a whole.

    Raises
    ------
    ValueError
        If the family is unknown, the top is not a plain name, or the netlist holds a primitive without a
        counting rule.
    ToolError
        If Yosys refuses the design.
    """
    target = families.find(family)
    flow = target.synth(dsp=dsp, flatten=flatten)
    quick = quick_flow(target, verilog, dsp=dsp, flatten=flatten)
    netlist = map_netlist(verilog, top=top, flow=quick, files=files_for(target, verilog), absorbing=not flatten)
    return Synthesis(
        top=top,
        family=family,
        flow=flow,
        tool=f"yosys {yosys.version()}",
        modules={name: _module_resources(module, target) for name, module in tally(netlist, top=top).items()},
    )


def quick_flow(family: Family, verilog: str, *, dsp: bool = False, flatten: bool = False) -> str:
    """What maps ``verilog`` to the netlist of `Family.synth`, without reading what it has no use for."""
    has_dsp = dsp or _DSP.search(verilog) is not None
    return family.quick(family.synth(dsp=dsp, flatten=flatten), memories=has_memories(verilog), dsp=has_dsp)


def has_memories(verilog: str) -> bool:
    """Whether something in ``verilog`` may become a memory: an array of words, or a table."""
    return _MEMORY.search(_ESCAPED.sub("name", verilog)) is not None


def map_netlist(
    verilog: str,
    *,
    top: str,
    flow: str,
    files: Mapping[str, str] = MappingProxyType({}),
    absorbing: bool = True,
) -> dict[str, Any]:
    """Netlist that a Yosys flow maps Verilog to.

    Only what Yosys wrote is kept on disk, by everything that it was given; what is made of that is made anew.

    Parameters
    ----------
    verilog
        Text of the whole design.
    top
        Name of the top module.
    flow
        Yosys commands, as formed by `fpga.families.Family.synth`.
    files
        Texts that the flow reads, by their names.
    absorbing
        Whether carry cells then take in the look-up tables before them, and block RAMs the registers behind them, see
        `fpga.map.absorb` and `fpga.map.output_register`.

    Returns
    -------
    dict
        What Yosys's ``write_json`` wrote, parsed.

    Raises
    ------
    ValueError
        If the top is not a plain name.
    ToolError
        If Yosys refuses the design, or what it has written is not whole.
    """
    if not re.fullmatch(r"[\w.$]+", top, re.ASCII):
        raise ValueError(f"Top must be a name of letters, digits, '_', '.' and '$', not {top!r}")
    script, texts = _script(top, flow, files), {**files, "design.v": verilog}

    def build(folder: Path) -> None:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        yosys.run(script, cwd=folder)
        # yosys does not notice when its file is cut short, nor its WebAssembly build when ABC ends all of it
        netlist = folder / _NETLIST
        if not (netlist.exists() and netlist.read_bytes().endswith(b"}\n")):
            raise ToolError(f"yosys: the netlist of {top} breaks off; is there room on the disk?")

    folder = cached_dir("netlist", digest(script, texts, yosys.banner()), build)
    netlist = json.loads((folder / _NETLIST).read_bytes())
    if absorbing:
        modules = netlist["modules"].items()
        netlist["modules"] = {name: move_output_registers(absorb(module)) for name, module in modules}
    return netlist


def _module_resources(module: Mapping[str, Any], family: Family) -> ModuleResources:
    resources = Resources.of(module["cells"], family)
    return ModuleResources(resources=resources, instances=module["instances"], children=module["children"])


def _script(top: str, flow: str, files: Mapping[str, str]) -> str:
    own = "".join(f"read_verilog -overwrite {name}\n" for name in sorted(files) if name.endswith(".v"))
    # $scopeinfo cells only remember what was flattened where.
    return f"read_verilog design.v\n{own}hierarchy -top {top}\n{flow}\nwrite_json -noscopeinfo {_NETLIST}"
