"""Builds simulators of Verilog with Verilator: each once, with what all of them share compiled beforehand."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path

from cocotb_tools import config
from cocotb_tools.runner import Verilator, VerilatorControlFile

from hw.core.digest import digest
from hw.emit import tools
from hw.emit.cache import cached_dir, require_cache, root
from hw.emit.tools import ToolError, failure

__all__ = [
    "SimulationError",
    "built_simulator",
    "compiled_headers",
    "read_log",
    "require_simulator",
    "simulator_environment",
    "tool_key",
    "verilator_folder",
]

# Registers without a reset start from random values, so that nothing leans on how they start.
# Modules are not inlined, because an array is many of a few kinds: that is several times less C++ to compile.
_BUILD_ARGS = ("-Wall", "-Wno-fatal", "--x-assign", "unique", "--x-initial", "unique", "-O3", "-fno-inline")
# Cycles from which on optimized C++ gains more time than its compilation takes, which is twice that of plain C++.
_LONG = 20_000
# Seconds from when objects are copied to when make looks at them, at most: Verilator may take minutes in between.
_UNTIL_MAKE = 24 * 3600
_BY_PRODUCTS = (".a", ".cpp", ".d", ".h", ".mk", ".o")
_WAVE_ARGS = {"": (), "vcd": ("--trace-vcd",), "fst": ("--trace-fst",)}
# What every simulator includes; to read it takes the compiler longer than the C++ of a small array.
_HEADERS = ("verilated.h", "verilated_dpi.h", "verilated_vpi.h")
# How simulators are built is written in this file; the text is taken before it is run.
_RECIPE = digest(Path(__file__).read_bytes())
# What make and the compiler heed of the surroundings.
_HEEDED = (
    *("CXXFLAGS", "CPPFLAGS", "LDFLAGS", "LDLIBS", "LIBS", "LOADLIBES", "OBJCACHE", "OPT", "MAKEFILES", "GNUMAKEFLAGS"),
    *("USER_CPPFLAGS", "USER_LDFLAGS", "USER_LDLIBS", "CPATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH"),
    *("GCC_EXEC_PREFIX", "SOURCE_DATE_EPOCH"),
)
# What would have cocotb or Verilator do something else than what is asked of them here, or benches assert nothing.
_MEDDLING = re.compile(r"(?:COCOTB|PYGPI|GPI|VERILATOR)_.*|SIM_CMD_.*|WAVES|GUI|PYTEST_CURRENT_TEST|PYTHONOPTIMIZE")
# Of names of files: make and the shell take anything else as more than that.
_PLAIN = re.compile(r"[\w.,:@+=/-]*")
_NEEDED = {"make": "make", "c++": "g++", "perl": "perl"}
"""Commands that Verilator takes, and the packages that have them."""


class SimulationError(ToolError):
    """The simulator could not be built, or ended without an outcome; the message names its log."""


def require_simulator() -> None:
    """Check what can be checked before anything is built.

    Raises
    ------
    ValueError
        If the cache, or Verilator itself, is in a folder that make cannot take.
    CacheError
        If the cache cannot be written.
    SimulationError
        If a command is missing.
    """
    places = {"Cache": (root(), "; the variable MACFORGE_CACHE chooses another"), "Verilator": (verilator_folder(), "")}
    for what, (folder, more) in places.items():
        if not _PLAIN.fullmatch(str(folder)):
            raise ValueError(
                f"{what} must be in a folder whose path make can take, of letters, digits and -_.,:@+=, not in "
                f"{str(folder)!r}{more}"
            )
    require_cache()
    missing = [command for command in _NEEDED if shutil.which(command) is None]
    if missing:
        packages = " ".join(_NEEDED[command] for command in missing)
        raise SimulationError(
            f"Simulators are built with {', '.join(_NEEDED)}, of which {', '.join(missing)} must be on PATH: "
            f"sudo apt-get install {packages}"
        )


def built_simulator(verilog: str, top: str, *, cycles: int, waves: str) -> Path:
    """Folder with the simulator of a design, built unless it has been built before.

    Parameters
    ----------
    verilog, top : str
        The design.
    cycles : int
        How many are to be simulated, about: a simulator that runs for long is compiled for longer.
    waves : {"", "vcd", "fst"}
        Format of the waves it can record, if any.

    Raises
    ------
    ValueError, SimulationError
        As `require_simulator`, or if Verilator or the compiler fails.
    """
    require_simulator()
    optimization = "-Os" if cycles > _LONG else "-O0"

    def build(folder: Path) -> None:
        _take_objects(_runtime(waves), folder)
        options = [f"OPT_FAST={optimization}"]
        # waves are recorded too seldom for it to pay
        if not waves:
            options += _including(compiled_headers(optimization))
        _verilate(verilog, top, folder, waves=waves, options=options)
        # nine tenths of what a simulator leaves behind
        for path in folder.iterdir():
            if path.suffix in _BY_PRODUCTS:
                path.unlink()

    return cached_dir("verilator", digest(verilog, top, tool_key(waves), optimization), build)


def _runtime(waves: str) -> Path:
    """Folder with the compiled run-time library of Verilator, which every simulator is linked with."""
    empty = "module empty(input clk, output reg q);\n  always @(posedge clk) q <= !q;\nendmodule\n"

    def build(folder: Path) -> None:
        if waves:
            # what writes them is compiled besides; all else is the same with and without
            _take_objects(_runtime(""), folder)
        _verilate(empty, "empty", folder, waves=waves, options=())

    return cached_dir("verilator-runtime", digest(tool_key(waves)), build)


def _take_objects(runtime: Path, folder: Path) -> None:
    """Copy the objects of a compiled library to where a simulator is built."""
    # make takes objects that are there already and newer than the makefile still to come, however long that takes
    later = time.time() + _UNTIL_MAKE
    for compiled in runtime.glob("verilated*.o"):
        os.utime(shutil.copy(compiled, folder), (later, later))


def compiled_headers(optimization: str) -> Path:
    """Folder with Verilator's headers, compiled for simulators of this ``optimization`` that record no waves."""

    def compile_headers(folder: Path) -> None:
        includes = "".join(f'#include "{name}"\n' for name in _HEADERS)
        # the rule makes x.fast.gch of x; the compiler looks beside x.fast, and reads that where the other does not fit
        for name in ("runtime", "runtime.fast"):
            (folder / name).write_text(includes)
        runtime = _runtime("")
        command = ["make", "-C", str(runtime), "-f", "Vtop.mk", "VM_PARALLEL_BUILDS=1", f"OPT_FAST={optimization}"]
        command.append(str(folder / "runtime.fast.gch"))
        surroundings = {**os.environ, "MAKEFLAGS": ""}
        made = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
        if made.returncode:
            told = "The C++ compiler could not take Verilator's headers"
            raise failure(told, made.stdout + made.stderr, f"ended with status {made.returncode}", SimulationError)

    return cached_dir("verilator-headers", digest(tool_key(""), optimization), compile_headers)


def _including(headers: Path) -> tuple[str, str]:
    """The makefile's variables for what is included ahead of everything, as MAKEFLAGS has them.

    After the headers that is cocotb's main program: the compiler then starts once and not twice.
    """
    includes = (headers / "runtime.fast", config.share_dir / "lib" / "verilator" / "verilator.cpp")
    return "USER_CPPFLAGS=" + "\\ ".join(f"-include\\ {path}" for path in includes), "VM_USER_CLASSES="


def tool_key(waves: str) -> dict[str, object]:
    """All that goes into a simulator besides the design."""
    return {
        "recipe": _RECIPE,
        "waves": waves,
        "versions": [metadata.version(name) for name in ("verilator", "cocotb")],
        "compiler": tools.banner("c++"),
        # simulators load libraries from there
        "places": [str(resources.files("verilator")), str(config.libs_dir)],
        "environment": {name: os.environ[name] for name in _HEEDED if name in os.environ},
    }


def _verilate(verilog: str, top: str, folder: Path, *, waves: str, options: Sequence[str]) -> None:
    """Build the simulator of ``top`` in ``folder``, with ``options`` for make."""
    # called alike whatever the design is called
    source = folder / "design.v"
    source.write_text(verilog)
    ports = folder / "design.vlt"
    public = (f'public_flat_rw -module "{top}" -var "{port}"\n' for port in _ports(verilog, top))
    ports.write_text("`verilator_config\n" + "".join(public))
    log = folder / "build.log"
    if waves == "fst":
        _require_lz4()
    with simulator_environment(*options):
        try:
            _Verilator().build(
                sources=[VerilatorControlFile(ports), source],
                hdl_toplevel=top,
                build_dir=folder,
                build_args=[*_BUILD_ARGS, *_WAVE_ARGS[waves]],
                waves=bool(waves),
                log_file=log,
                timescale=("1ns", "1ps"),
            )
        except RuntimeError as stop:
            told = f"Verilator could not build {top}"
            raise failure(told, read_log(log), str(stop), SimulationError) from stop


def _ports(verilog: str, top: str) -> list[str]:
    """Names of a module's ports: of the list behind its name, the last word of each."""
    found = re.search(rf"^\s*module {re.escape(top)}\s*\(([^;]*)\);", verilog, re.MULTILINE)
    return [re.findall(r"\w+", port)[-1] for port in found[1].split(",")] if found else []


class _Verilator(Verilator):
    """cocotb's runner, but unless waves are recorded, a bench reaches nothing except what the control file names.

    Its own way, everything within reach, doubles the C++ and the time of its compilation.
    """

    def _build_command(self) -> list[list[str]]:
        dropped = () if self.waves else ("--public-flat-rw",)
        return [[word for word in command if word not in dropped] for command in super()._build_command()]


def _require_lz4() -> None:
    """Verilator's writer of FST files includes a header that many machines lack."""
    found = subprocess.run(
        ["c++", "-x", "c++", "-E", "-include", "lz4.h", os.devnull], capture_output=True, check=False
    )
    if found.returncode:
        raise SimulationError("Waves as .fst need the headers of lz4 (apt-get install liblz4-dev); .vcd needs nothing")


@contextlib.contextmanager
def simulator_environment(*options: str) -> Iterator[None]:
    """The surroundings that cocotb's runner looks for, for as long as it runs, and ``options`` for make."""
    package = verilator_folder()
    changed = {
        # under pytest, for one, the runner judges the results by itself
        **dict.fromkeys(filter(_MEDDLING.fullmatch, os.environ)),
        # the runner looks for `verilator`, which the package keeps in a folder of its own, and Verilator for `python`
        "PATH": os.pathsep.join([str(package / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "VERILATOR_ROOT": str(package),
        # all C++ in one file: each of the many small ones takes longer to start on than to compile
        "MAKEFLAGS": " ".join(("VM_PARALLEL_BUILDS=0", *options)),
    }
    before = {name: os.environ.get(name) for name in changed}
    _set_environment(changed)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def verilator_folder() -> Path:
    """Verilator's package."""
    return Path(str(resources.files("verilator")))


def read_log(log: Path) -> str:
    """What a tool has said; nothing if it has not come so far."""
    return log.read_text(errors="replace") if log.exists() else ""
