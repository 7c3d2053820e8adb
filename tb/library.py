"""Hardware in Verilator as a library of C functions, which a model in C++ around it gives."""

import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hw.core.digest import digest
from hw.emit.cache import cached_dir
from hw.emit.tools import failure
from tb.simulator import SimulationError, require_simulator, simulator_environment, tool_key, verilator_folder

__all__ = ["model_library"]

_OPTIONS = ("--cc", "--prefix", "Vtop", "-O3", "--x-assign", "unique", "--x-initial", "unique", "-Wno-fatal", "-Wall")
# Cycles from which on optimized C++ gains more time than its compilation takes.
_LONG = 100_000
# What Verilator's makefile tells its C++, for a simulator of one thread.
_DEFINED = ("VERILATOR=1", "VM_COVERAGE=0", "VM_SC=0", "VM_TIMING=0")
# What of Verilator's own every library has, and what all of its C++ and the models include.
_OWN, _OWN_WAVES = ("verilated", "verilated_threads"), ("verilated_vcd_c",)
_HEADERS = ("verilated.h", "cstdint", "deque", "memory", "vector")
_INCLUDED = re.compile(r'^#include "(\w+\.h)"$', re.MULTILINE)
# Cycles of this process with each hardware, about.
_simulated: Counter[str] = Counter()


def model_library(verilog: str, *, top: str, model: Path, cycles: int, control: str = "", waves: bool = False) -> Path:
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
    control : str
        Text of a control file of Verilator's, such as of what C++ can reach.
    waves : bool
        Whether it can record waves (VCD).

    Raises
    ------
    ValueError, SimulationError
        As `tb.simulator.built_simulator`.
    """
    require_simulator()
    hardware = digest(verilog, top, control)
    _simulated[hardware] += cycles
    optimization = "-O2" if _simulated[hardware] > _LONG else "-O0"

    def build(folder: Path) -> None:
        (folder / "design.v").write_text(verilog)
        (folder / "design.vlt").write_text(f"`verilator_config\n{control}")
        options = [*_OPTIONS, *(("--trace-vcd",) if waves else ())]
        with simulator_environment():
            _run(["verilator", *options, "--top-module", top, "-Mdir", "model", "design.vlt", "design.v"], folder)
        made = folder / "model"
        # in one file, as the compiler takes longer to start on many small ones than to compile them
        parts = [*sorted(path.name for path in made.glob("*.cpp")), model]
        (made / "all.cpp").write_text("".join(f'#include "{part}"\n' for part in parts))
        own = _own_objects(optimization, waves)
        linked = ["-include", own / "runtime.h", "model/all.cpp", *sorted(own.glob("*.o"))]
        _run([*_compiler(optimization, waves), "-Imodel", "-shared", *linked, "-o", "model.so"], folder)
        for path in made.iterdir():
            path.unlink()
        made.rmdir()

    key = digest(hardware, *_texts(model), *_recipe(optimization, waves))
    return cached_dir("bus", key, build) / "model.so"


def _texts(model: Path) -> list[str]:
    """Of a model, and of what it includes that lies beside it."""
    text = model.read_text()
    beside = (model.with_name(name) for name in _INCLUDED.findall(text))
    return [text, *(each for path in beside if path.exists() for each in _texts(path))]


def _recipe(optimization: str, waves: bool) -> tuple[object, ...]:
    return Path(__file__).read_text(), tool_key(""), optimization, waves


def _own_objects(optimization: str, waves: bool) -> Path:
    """Folder with what every library has of Verilator's own, and with the headers of all, compiled."""

    def build(folder: Path) -> None:
        compiler = _compiler(optimization, waves)
        (folder / "runtime.h").write_text("".join(f"#include <{name}>\n" for name in _HEADERS))
        _run([*compiler, "-x", "c++-header", "runtime.h", "-o", "runtime.h.gch"], folder)
        for name in (*_OWN, *(_OWN_WAVES if waves else ())):
            _run([*compiler, "-c", verilator_folder() / "include" / f"{name}.cpp", "-o", f"{name}.o"], folder)

    return cached_dir("bus-runtime", digest(*_recipe(optimization, waves)), build)


def _compiler(optimization: str, waves: bool) -> list[str]:
    """The compiler, with what must be the same for headers, objects and libraries.

    Libraries of one process share nothing: with and without waves, the same classes are not alike.
    """
    include = verilator_folder() / "include"
    traced = int(waves)
    defined = [f"-D{name}" for name in (*_DEFINED, f"VM_TRACE={traced}", f"VM_TRACE_VCD={traced}")]
    return [
        "c++",
        "-std=c++17",
        optimization,
        "-fPIC",
        "-fno-gnu-unique",
        *defined,
        f"-I{include}",
        f"-I{include}/vltstd",
    ]


def _run(command: Sequence[str | Path], folder: Path) -> None:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        told = f"{command[0]} could not build the simulator of a design"
        raise failure(told, ended.stdout + ended.stderr, f"ended with status {ended.returncode}", SimulationError)
