"""Clock frequency of Verilog text after open place and route, seed by seed."""

from __future__ import annotations

import functools
import json
import re
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpga import families
from fpga.families import Family
from fpga.synth import map_netlist
from hw import tools
from hw.cache import cached_json, digest
from hw.tools import ToolError

__all__ = ["Timing", "place_and_route"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How fast a placed and routed design can be clocked.

    Attributes
    ----------
    top
        Name of the top module.
    family
        Short name of the family.
    tool
        Name and version of the tool.
    fmax_mhz
        Highest clock frequency in MHz for each seed of the placer, over the paths from register to register.
    """

    top: str
    family: str
    tool: str
    fmax_mhz: Mapping[int, float]

    @property
    def median_mhz(self) -> float:
        """Median over the seeds, in MHz."""
        return statistics.median(self.fmax_mhz.values())


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

    The netlist is the one that `fpga.synth.synthesize` counts for the same arguments.

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
        routable = ", ".join(sorted(name for name, other in families.FAMILIES.items() if other.has_pnr))
        raise ValueError(f"Family must be one with open place and route ({routable}), not {family!r}")
    if not seeds:
        raise ValueError("Seeds must hold at least one number, not none")
    netlist = map_netlist(verilog, top=top, flow=target.synth(dsp=dsp, flatten=flatten))
    reports = {seed: _clocks(netlist, target, top, seed, target_mhz) for seed in seeds}
    return Timing(
        top=top,
        family=family,
        tool=f"nextpnr {_version(target.pnr.tool)}",
        fmax_mhz={seed: _fmax(clocks, top, clock) for seed, clocks in reports.items()},
    )


def _clocks(netlist: Path, family: Family, top: str, seed: int, target_mhz: int) -> dict[str, float]:
    """Highest frequency of each clock, in MHz."""
    options = [*family.pnr.device, "--out-of-context", "--timing-allow-fail"]
    options += ["--top", top, "--freq", str(target_mhz), "--seed", str(seed)]
    key = digest(netlist.read_bytes(), family.pnr.tool, _version(family.pnr.tool), options)

    def compute() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            # The tool may see nothing but the folder it runs in.
            shutil.copyfile(netlist, Path(folder, "netlist.json"))
            files = ["--json", "netlist.json", "--report", "report.json"]
            tools.run([tools.find(family.pnr.tool), *files, *options], cwd=folder)
            report = json.loads(Path(folder, "report.json").read_bytes())
        return {name: clock["achieved"] for name, clock in report["fmax"].items()}

    return cached_json("fmax", key, compute)


def _fmax(clocks: Mapping[str, float], top: str, clock: str) -> float:
    if clock not in clocks:
        others = f" (clocks that have one: {', '.join(sorted(clocks))})" if clocks else ""
        raise ValueError(f"Top must hold a path between two registers on clock {clock!r}, but {top} has none{others}")
    return clocks[clock]


@functools.cache
def _version(tool: str) -> str:
    banner = tools.run([tools.find(tool), "--version"], cwd=".")
    found = re.search(r"Version nextpnr-(\S+?)\)", banner)
    if found is None:
        raise ToolError(f"{tool} does not tell its version, but says: {banner.strip()}")
    return found[1]
