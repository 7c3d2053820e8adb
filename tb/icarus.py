"""Builds simulators of Verilog with Icarus Verilog, which knows what is unknown: registers start as X."""

import re
import shutil
from pathlib import Path

from cocotb_tools.runner import get_runner

from hw.core.digest import digest
from hw.emit.cache import cached_dir
from hw.emit.tools import banner, failure
from hw.emit.verilog import modules_of
from tb.simulator import SimulationError, read_log

__all__ = ["built_icarus", "with_unknown_collisions"]

_MEMORY = re.compile(r"^ *reg (?:\[(\d+):0\] )?(\w+) \[\d+:0\];", re.MULTILINE)

# How simulators are built is written in this file; the text is taken before it is run.
_RECIPE = digest(Path(__file__).read_bytes())


def built_icarus(verilog: str, top: str) -> Path:
    """Folder with the simulator of a design, built unless it has been built before.

    Raises
    ------
    SimulationError
        If Icarus Verilog is missing or refuses the design.
    """
    if shutil.which("iverilog") is None:
        raise SimulationError("Icarus Verilog (iverilog) is missing: sudo apt-get install iverilog")

    def build(folder: Path) -> None:
        source, log = folder / f"{top}.v", folder / "build.log"
        source.write_text(with_unknown_collisions(verilog))
        try:
            get_runner("icarus").build(
                sources=[source], hdl_toplevel=top, build_dir=folder, log_file=log, timescale=("1ns", "1ps")
            )
        except RuntimeError as stop:
            told = f"Icarus Verilog could not build {top}"
            raise failure(told, read_log(log), str(stop), SimulationError) from stop

    return cached_dir("icarus", digest(verilog, top, _RECIPE, banner("iverilog", "-V")), build)


def with_unknown_collisions(verilog: str) -> str:
    """The text with memories whose words are unknown where they are read in the cycle in which they are written.

    So they can be in an FPGA, and ``no_rw_check`` lets synthesis make them so.
    """
    for module in modules_of(verilog).values():
        verilog = verilog.replace(module, _collided(module))
    return verilog


def _collided(module: str) -> str:
    for width, name in _MEMORY.findall(module):
        if not re.search(rf"\b{name}\[.*?\] <= ", module):
            # a table, which nothing writes
            continue
        write = re.search(rf"if \((.*)\)\n +{name}\[(.*?)\] <= ", module)
        if write is None:
            raise SimulationError(f"Memory {name} must be written in an if of its own, to see what collides")
        unknown = f"({write[1]}) && ({write[2]}) == (\\1) ? {int(width or 0) + 1}'bx : {name}[\\1];"
        module = re.sub(rf"(?<=<= ){name}\[(.*)\];", unknown, module)
    return module
