"""Hardware in Verilator as a library of C functions, which a model in C++ around it gives."""

import subprocess
from collections import Counter
from pathlib import Path

from hw.core.digest import digest
from hw.emit.cache import cached_dir
from hw.emit.tools import failure
from tb.simulator import SimulationError, require_simulator, simulator_environment, tool_key, verilator_folder

__all__ = ["model_library"]

_OPTIONS = ("--cc", "--prefix", "Vtop", "-O3", "--x-assign", "unique", "--x-initial", "unique", "-Wno-fatal", "-Wall")
# Cycles from which on optimized C++ gains more time than its compilation takes.
_LONG = 100_000
# Cycles of this process with each hardware, about.
_simulated: Counter[str] = Counter()


def model_library(verilog: str, *, top: str, model: Path, cycles: int) -> Path:
    """The library of a simulator, built unless it has been before.

    Parameters
    ----------
    verilog, top : str
        The hardware, and its top module, which the model knows as ``Vtop``.
    model : Path
        C++ of the functions.
    cycles : int
        How many are to be simulated, about: a simulator that runs for long, in all that this process asks for, is
        compiled for longer.

    Raises
    ------
    ValueError, SimulationError
        As `tb.simulator.built_simulator`.
    """
    require_simulator()
    hardware = digest(verilog, top)
    _simulated[hardware] += cycles
    compiled = ("-O2" if _simulated[hardware] > _LONG else "-O0", "-fPIC")
    options = " ".join(compiled)
    recipe = [model.read_text(), Path(__file__).read_text(), tool_key("")]

    def build(folder: Path) -> None:
        source = folder / "design.v"
        source.write_text(verilog)
        with simulator_environment():
            _run(["verilator", *_OPTIONS, "--top-module", top, "-Mdir", "model", "design.v"], folder)
            made = ["-f", "Vtop.mk", "VM_PARALLEL_BUILDS=0", f"OPT_FAST={options}", f"OPT_SLOW={options}"]
            made.append(f"OPT_GLOBAL={options}")
            _run(["make", "-C", "model", *made, "Vtop__ALL.a", "libverilated.a"], folder)
            include = verilator_folder() / "include"
            command = ["c++", "-std=c++17", *compiled, "-shared", "-Imodel", f"-I{include}", f"-I{include}/vltstd"]
            _run([*command, str(model), "model/Vtop__ALL.a", "model/libverilated.a", "-o", "model.so"], folder)
        for path in sorted((folder / "model").iterdir()):
            path.unlink()
        (folder / "model").rmdir()

    return cached_dir("bus", digest(hardware, options, *recipe), build) / "model.so"


def _run(command: list[str], folder: Path) -> None:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        told = f"{command[0]} could not build the simulator of a design"
        raise failure(told, ended.stdout + ended.stderr, f"ended with status {ended.returncode}", SimulationError)
