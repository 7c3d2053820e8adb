"""How fast Verilog text can be clocked: its longest path of logic, and its frequency after open place and route."""

from __future__ import annotations

import functools
import json
import re
import statistics
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from fpga import families
from fpga.families import Family, PlaceAndRoute
from fpga.map.synth import map_netlist, quick_flow
from fpga.map.three import files_for
from fpga.time.levels import longest_path
from hw.core.digest import digest
from hw.emit import tools, yosys
from hw.emit.cache import cached_json
from hw.emit.tools import ToolError

__all__ = ["SlowestPath", "Timing", "logic_levels", "measure_timing", "place_and_route", "tool_identity"]

# What Yosys and nextpnr put behind the name of a net or register.
_SUFFIX = re.compile(r"(_(LUT4|TRELLIS_FF|CCU2C|PFUMX|L6MUX21|DFF\w*|FD1P3\w*)_.*|\$.*)$")

# Seconds. What is routed takes minutes; what cannot be is tried for ever.
_LIMIT = 7200


@dataclass(frozen=True, kw_only=True)
class SlowestPath:
    """What limits a clock.

    Attributes
    ----------
    start, end
        Where it begins and ends, as near as names of the netlist tell.
    logic_ns, wire_ns
        What it takes in cells, clock to output and setup among them, and between them.
    """

    start: str
    end: str
    logic_ns: float
    wire_ns: float

    @classmethod
    def of(cls, path: Sequence[Mapping[str, Any]]) -> SlowestPath:
        """The path of a report of nextpnr."""
        wires = sum(step["delay"] for step in path if step["type"] == "routing")
        ends = path[0]["from"]["cell"], path[-1]["to"]["cell"]
        start, end = (_SUFFIX.sub("", each) for each in ends)
        total = sum(step["delay"] for step in path)
        return cls(start=start, end=end, logic_ns=round(total - wires, 2), wire_ns=round(wires, 2))


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How fast a design can be clocked.

    Attributes
    ----------
    top
        Name of the top module.
    family
        Short name of the family.
    tool
        Name and version of the tool.
    path
        Primitives along the longest path of logic, see `fpga.time.levels.longest_path`.
    fmax_mhz
        Highest clock frequency in MHz for each seed of the placer, over the paths from register to register; empty
        without place and route.
    slowest
        The path that limits it, for each seed.
    """

    top: str
    family: str
    tool: str
    path: tuple[str, ...]
    fmax_mhz: Mapping[int, float] = field(default_factory=dict)
    slowest: Mapping[int, SlowestPath] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What is known: ``"Fmax"``, or else ``"logic levels"``, which leave out wires and how slow a primitive is."""
        return "Fmax" if self.fmax_mhz else "logic levels"

    @property
    def levels(self) -> int:
        """Primitives along the longest path: LUTs, carry cells and multiplexers, or gates."""
        return len(self.path)

    @property
    def path_cells(self) -> dict[str, int]:
        """How many of each primitive are on that path."""
        return dict(sorted(Counter(self.path).items()))

    @property
    def median_mhz(self) -> float | None:
        """Median over the seeds, in MHz; None without place and route."""
        return statistics.median(self.fmax_mhz.values()) if self.fmax_mhz else None

    @property
    def spread_mhz(self) -> tuple[float, float] | None:
        """Lowest and highest of the seeds, in MHz; None without place and route."""
        return (min(self.fmax_mhz.values()), max(self.fmax_mhz.values())) if self.fmax_mhz else None

    def to_table(self, prefix: str = "") -> dict[str, Any]:
        """Fmax in MHz and the longest path as plain data, each with ``prefix`` before its name."""
        table = {
            "fmax_mhz": self.median_mhz,
            "fmax_spread_mhz": self.spread_mhz,
            "fmax_mhz_by_seed": {str(seed): fmax for seed, fmax in self.fmax_mhz.items()},
            "slowest_by_seed": {str(seed): asdict(path) for seed, path in self.slowest.items()},
            "levels": self.levels,
            "level_cells": self.path_cells,
        }
        return {f"{prefix}{key}": value for key, value in table.items()}


def measure_timing(
    verilog: str,
    *,
    top: str,
    family: str,
    seeds: Sequence[int] = (1,),
    dsp: bool = False,
    flatten: bool = False,
    clock: str = "clk",
) -> Timing:
    """What can be told of a design's speed: `place_and_route` if the family has it, else `logic_levels`.

    Parameters
    ----------
    verilog, top, family, dsp, flatten, clock
        As for `place_and_route`, but for any family.
    seeds
        Seeds of the placer; none to leave place and route out.
    """
    if seeds and families.find(family).has_pnr:
        return place_and_route(verilog, top=top, family=family, seeds=seeds, dsp=dsp, flatten=flatten, clock=clock)
    return logic_levels(verilog, top=top, family=family, dsp=dsp, flatten=flatten)


def logic_levels(verilog: str, *, top: str, family: str, dsp: bool = False, flatten: bool = False) -> Timing:
    """The longest path of logic in a design, whose netlist is the one that `fpga.map.synth.synthesize` counts.

    Parameters
    ----------
    verilog
        Text of the whole design.
    top
        Name of the top module.
    family
        As `fpga.families.find` takes it.
    dsp
        Whether multipliers may become DSP blocks, at which paths end.
    flatten
        Whether to dissolve the modules before mapping.

    Raises
    ------
    ValueError
        If the family is unknown, or logic feeds back on itself.
    ToolError
        If Yosys refuses the design.
    """
    target = families.find(family)
    path = longest_path(_netlist(verilog, target, top, dsp, flatten), target, top=top)
    return Timing(top=top, family=family, tool=f"yosys {yosys.version()}", path=path)


def place_and_route(
    verilog: str,
    *,
    top: str,
    family: str = "ecp5",
    seeds: Sequence[int] = (1,),
    dsp: bool = False,
    flatten: bool = False,
    clock: str = "clk",
    target_mhz: int = 200,
) -> Timing:
    """Place and route a design without pins, and report its clock frequency.

    The netlist is the one that `fpga.map.synth.synthesize` counts for the same arguments. Nothing holds the design at
    the edge of the device, and paths from and to its ports do not count.

    Parameters
    ----------
    verilog
        Text of the whole design, its inputs and outputs registered as far as their paths are to count.
    top
        Name of the top module.
    family
        Short name of a family with an open place and route tool.
    seeds
        Seeds of the placer; each is a run of its own.
    dsp
        Whether multipliers may become DSP blocks.
    flatten
        Whether to dissolve the modules before mapping.
    clock
        Clock port of the top module.
    target_mhz
        Frequency in MHz that the tool works towards.

    Raises
    ------
    ValueError
        If the family is unknown or has no open place and route tool, there is no seed, or no path leads from
        register to register.
    ToolError
        If a tool refuses the design, such as one that does not fit the device.
    """
    target = families.find(family)
    if target.pnr is None:
        routable = ", ".join(name for name, other in families.FAMILIES.items() if other.has_pnr)
        raise ValueError(f"Family must be one with open place and route ({routable}), not {family!r}")
    if not seeds:
        raise ValueError("Seeds must hold at least one number, not none")
    netlist = _netlist(verilog, target, top, dsp, flatten)
    bare = json.dumps(_for_tool(netlist, target.pnr, top))
    reports = {seed: _clocks(bare, target.pnr, top, seed, target_mhz) for seed in seeds}
    return Timing(
        top=top,
        family=family,
        tool=f"nextpnr {_version(target.pnr.tool)}",
        path=longest_path(netlist, target, top=top),
        fmax_mhz={seed: _fmax(report["fmax"], top, clock) for seed, report in reports.items()},
        slowest={seed: SlowestPath(**report["slowest"][clock]) for seed, report in reports.items()},
    )


def _netlist(verilog: str, family: Family, top: str, dsp: bool, flatten: bool) -> dict[str, Any]:
    flow = quick_flow(family, verilog, dsp=dsp, flatten=flatten)
    return map_netlist(verilog, top=top, flow=flow, files=files_for(family, verilog), absorbing=not flatten)


def _clocks(netlist: str, pnr: PlaceAndRoute, top: str, seed: int, target_mhz: int) -> dict[str, Any]:
    """Highest frequency of each clock, in MHz, and the path that limits it."""
    options = [*pnr.options, *["--out-of-context"] * pnr.has_out_of_context, "--timing-allow-fail"]
    options += ["--top", top, "--freq", str(target_mhz), "--seed", str(seed)]

    def compute() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            # The tool may see nothing but the folder it runs in.
            Path(folder, "netlist.json").write_text(netlist)
            files = ["--json", "netlist.json", "--report", "report.json"]
            tools.run([tools.find(pnr.tool), *files, *options], cwd=folder, limit=_LIMIT)
            return _limits(json.loads(Path(folder, "report.json").read_bytes()))

    return cached_json("timing", digest(netlist, options, tool_identity(pnr.tool)), compute)


def _limits(report: Mapping[str, Any]) -> dict[str, Any]:
    """Of each clock in a report of nextpnr."""
    paths = {}
    for each in report["critical_paths"]:
        # from one edge of it to the next
        if each["from"] == each["to"]:
            paths[each["from"].removeprefix("posedge ")] = asdict(SlowestPath.of(each["path"]))
    return {"fmax": {name: clock["achieved"] for name, clock in report["fmax"].items()}, "slowest": paths}


def _for_tool(netlist: Mapping[str, Any], pnr: PlaceAndRoute, top: str) -> dict[str, Any]:
    """The netlist as the tool takes it: its top without ports, and chains without a carry that enters."""
    modules = {name: _with_open_chains(module, *pnr.chain) for name, module in netlist["modules"].items()}
    ports = modules[top]["ports"] if pnr.has_out_of_context else {}
    return {"modules": {**modules, top: {**modules[top], "ports": ports}}}


def _with_open_chains(module: Mapping[str, Any], kind: str = "", enters: str = "", leaves: str = "") -> dict[str, Any]:
    carries = {
        bit for cell in module["cells"].values() if cell["type"] == kind for bit in cell["connections"].get(leaves, ())
    }

    def opened(cell: dict[str, Any]) -> dict[str, Any]:
        pins = {pin: bits for pin, bits in cell["connections"].items() if pin != enters or carries.issuperset(bits)}
        return {**cell, "connections": pins} if cell["type"] == kind else cell

    return {**module, "cells": {name: opened(cell) for name, cell in module["cells"].items()}}


def _fmax(clocks: Mapping[str, float], top: str, clock: str) -> float:
    if clock not in clocks:
        others = f" (clocks that have one: {', '.join(sorted(clocks))})" if clocks else ""
        raise ValueError(f"Top must hold a path between two registers on clock {clock!r}, but {top} has none{others}")
    return clocks[clock]


def _version(tool: str) -> str:
    found = re.search(r"Version nextpnr-(\S+?)\)", _banner(tool))
    if found is None:
        raise ToolError(f"{tool} does not tell its version, but says: {_banner(tool)}")
    return found[1]


def tool_identity(tool: str) -> list[str]:
    """What the tool says of itself; and the version of its package, in which are the data of its devices."""
    packages = [each.version for each in metadata.distributions(name=tool)][:1]
    return [tool, _banner(tool), *packages]


@functools.cache
def _banner(tool: str) -> str:
    return tools.run([tools.find(tool), "--version"], cwd=".").strip()
