"""Builds simulators of Verilog with Icarus Verilog, which knows what is unknown: registers start as X."""

import shutil
from pathlib import Path

from cocotb_tools.runner import get_runner

from hw.core.digest import digest
from hw.emit.cache import cached_dir
from hw.emit.tools import banner, failure
from tb.simulator import SimulationError, read_log

__all__ = ["built_icarus"]

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
        source.write_text(verilog)
        try:
            get_runner("icarus").build(
                sources=[source], hdl_toplevel=top, build_dir=folder, log_file=log, timescale=("1ns", "1ps")
            )
        except RuntimeError as stop:
            told = f"Icarus Verilog could not build {top}"
            raise failure(told, read_log(log), str(stop), SimulationError) from stop

    return cached_dir("icarus", digest(verilog, top, _RECIPE, banner("iverilog", "-V")), build)
