"""Bitstreams by open tools: Yosys, nextpnr and the packers of their projects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from fpga import families
from fpga.boards.board import Board
from fpga.boards.top import TOP, board_files
from fpga.time.timing import tool_identity
from hw.core.digest import digest
from hw.emit import tools, yosys
from hw.emit.cache import cached_dir
from hw.emit.tools import ToolError

__all__ = ["Bitstream", "TimingError", "make_bitstream"]

# Seconds.
_LIMIT = 7200
_NETLIST, _REPORT = "netlist.json", "report.json"


class TimingError(ToolError):
    """A design does not reach the clock of its board."""


@dataclass(frozen=True, kw_only=True)
class _Flow:
    """What is different from family to family.

    Attributes
    ----------
    placed
        Arguments of nextpnr for the constraints and for what it writes, with ``{family}`` where the board's name of
        the family belongs.
    pack
        The packer and its arguments.
    suffix
        What the name of a bitstream ends with.
    package
        The packer's own, unless nextpnr's has it.
    """

    placed: tuple[str, ...]
    pack: tuple[str, ...]
    suffix: str
    package: str = ""


_FLOWS = {
    "ecp5": _Flow(
        placed=("--lpf", "top.lpf", "--textcfg", "top.config"),
        pack=("yowasp-ecppack", "--input", "top.config", "--bit", "top.bit"),
        suffix="bit",
    ),
    "gowin": _Flow(
        placed=("--vopt", "family={family}", "--vopt", "cst=top.cst", "--write", "top.pnr.json"),
        pack=("gowin_pack", "-d", "{family}", "-o", "top.fs", "top.pnr.json"),
        suffix="fs",
        package="apycula",
    ),
    "ice40": _Flow(
        placed=("--pcf", "top.pcf", "--asc", "top.asc"),
        pack=("yowasp-icepack", "top.asc", "top.bin"),
        suffix="bin",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """A bitstream that meets the timing of its board.

    Attributes
    ----------
    content, suffix
        The file, and what its name ends with.
    fmax_mhz
        Highest frequency of the accelerator's clock, in MHz.
    used
        Cells of each kind that nextpnr has placed, and how many the device has.
    tools
        What made it.
    """

    content: bytes
    suffix: str
    fmax_mhz: float
    used: Mapping[str, tuple[int, int]]
    tools: tuple[str, ...]


def make_bitstream(board: Board, verilog: str, name: str, *, seed: int = 1) -> Bitstream:
    """The bitstream of a design; the same for the same arguments and tools.

    Parameters
    ----------
    board
    verilog
        The design, see `fpga.boards.top.board_files`.
    name
        Of its module.
    seed
        Of the placer.

    Raises
    ------
    TimingError
        If the clock is not reached; says which is.
    ToolError
        If a tool refuses the design, such as one that does not fit.
    """
    family, flow = families.find(board.family), _FLOWS[board.family]
    assert family.pnr is not None, "every family of a board has place and route"
    place = family.pnr.tool
    files = board_files(board, verilog, name)
    packages = [f"{flow.package} {metadata.version(flow.package)}"] if flow.package else []
    made_by = (yosys.banner(), " ".join(tool_identity(place)), *packages)
    script = _synthesis(board, family)
    placed = [word.format(family=board.tool_family) for word in flow.placed]
    options = [*board.place_and_route, *placed, "--freq", f"{board.clock_mhz:g}", "--seed", str(seed)]
    packer, *packed = (word.format(family=board.tool_family) for word in flow.pack)

    def build(folder: Path) -> None:
        for file, text in files.items():
            Path(folder, file).write_text(text)
        yosys.run(script, cwd=folder)
        tools.run(
            [tools.find(place), "--json", _NETLIST, "--report", _REPORT, "--timing-allow-fail", *options],
            cwd=folder,
            limit=_LIMIT,
        )
        _check_timing(json.loads(Path(folder, _REPORT).read_bytes()), board)
        tools.run([tools.find(packer), *board.pack, *packed], cwd=folder, limit=_LIMIT)
        for path in folder.iterdir():
            if path.name not in (f"{TOP}.{flow.suffix}", _REPORT):
                path.unlink()

    made = cached_dir("bitstream", digest(files, script, options, board.pack, flow.pack, made_by), build)
    report = json.loads((made / _REPORT).read_bytes())
    return Bitstream(
        content=(made / f"{TOP}.{flow.suffix}").read_bytes(),
        suffix=flow.suffix,
        fmax_mhz=_slowest(report, board)[1],
        used={kind: (cells["used"], cells["available"]) for kind, cells in sorted(report["utilization"].items())},
        tools=made_by,
    )


def _synthesis(board: Board, family: families.Family) -> str:
    options = [family.flat, family.with_dsp if board.dsp else family.without_dsp]
    command = (board.synthesis or family.flow).format(options="".join(f" {each}" for each in options if each))
    return f"read_verilog design.v; read_rtlil {TOP}.il; {command} -top {TOP}; write_json {_NETLIST}"


def _slowest(report: Mapping[str, Any], board: Board) -> tuple[str, float, float]:
    """The clock with the least margin, its highest frequency, and the one that it is to have, in MHz."""
    clocks = [
        (name, clock["achieved"], max(clock["constraint"], board.clock_mhz)) for name, clock in report["fmax"].items()
    ]
    if not clocks:
        raise TimingError(f"nextpnr must report the frequency of a clock of {board.name}, and reports none")
    return min(clocks, key=lambda clock: clock[1] / clock[2])


def _check_timing(report: Mapping[str, Any], board: Board) -> None:
    _name, achieved, wanted = _slowest(report, board)
    if achieved < wanted:
        raise TimingError(
            f"Design must reach the {wanted:g} MHz of {board.name}, not {achieved:.1f} MHz; a smaller array or another "
            "--seed may"
        )
