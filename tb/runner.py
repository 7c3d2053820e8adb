"""Builds a simulator of some Verilog once, and runs cocotb benches on it."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

import numpy as np
from cocotb_tools.runner import Verilator, VerilatorControlFile, get_runner

from hw.cache import cached_dir, digest
from tb.request import load_arrays, save_arrays

__all__ = ["Bench", "Outcome", "SimulationError", "run_bench"]

# Registers without a reset start from random values, so that nothing leans on how they start.
# Modules are not inlined, because an array is many of a few kinds: that is several times less C++ to compile.
_BUILD_ARGS = ("-Wall", "-Wno-fatal", "--x-assign", "unique", "--x-initial", "unique", "-O3", "-fno-inline")
# Cycles from which on optimized C++ gains more time than its compilation takes, which is twice that of plain C++.
_LONG = 20_000
_BY_PRODUCTS = (".a", ".cpp", ".d", ".h", ".mk", ".o")
_WAVE_ARGS = {"": (), "vcd": ("--trace-vcd",), "fst": ("--trace-fst",)}


class SimulationError(RuntimeError):
    """The simulator could not be built, or ended without an outcome."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What to simulate.

    Parameters
    ----------
    verilog, top : str
        The design.
    module : str
        Python module of the bench, such as ``tb.engine_bench``.
    settings : mapping
        Plain values for the bench.
    arrays : mapping of str to ndarray
        Stimulus.
    cycles : int
        How many are to be simulated, about: a simulator that runs for long is compiled for longer.
    waves : {"", "vcd", "fst"}
        Format of the waves to record, if any.
    """

    verilog: str
    top: str
    module: str
    settings: Mapping[str, object]
    arrays: Mapping[str, np.ndarray]
    cycles: int
    waves: str = ""

    @property
    def optimization(self) -> str:
        """What the compiler is told of the simulator: its work pays off in long runs."""
        return "-Os" if self.cycles > _LONG else "-O0"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a bench found.

    Parameters
    ----------
    failure : str or None
        First line of what the bench has against the design; None if all its assertions hold.
    figures : dict
        Plain values, such as counts of cycles.
    arrays : dict of str to ndarray
        What the hardware put out.
    waves : bytes or None
        The recorded waves.
    seconds : float
        Wall-clock time of the simulation, without that of building the simulator.
    """

    failure: str | None
    figures: dict[str, object]
    arrays: dict[str, np.ndarray]
    waves: bytes | None
    seconds: float


def run_bench(bench: Bench) -> Outcome:
    """Build the simulator, unless it has been built before, and run the bench.

    Raises
    ------
    SimulationError
        With the path of the log.
    """
    build = _build(bench)
    with tempfile.TemporaryDirectory(prefix="macforge-sim-") as name:
        folder = Path(name)
        save_arrays(folder / "stimulus.npz", bench.arrays)
        (folder / "settings.json").write_text(json.dumps(dict(bench.settings)))
        results = folder / "results.xml"
        started = time.monotonic()
        # the outcome tells more than the runner's exit does
        with _simulator_environment(), contextlib.suppress(SystemExit):
            get_runner("verilator").test(
                test_module=bench.module,
                hdl_toplevel=bench.top,
                hdl_toplevel_lang="verilog",
                build_dir=build,
                test_dir=folder,
                results_xml=str(results),
                test_args=["+verilator+rand+reset+2", "+verilator+seed+1"],
                extra_env={"MACFORGE_BENCH": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
                waves=bool(bench.waves),
                log_file=folder / "log.txt",
            )
        if not results.exists():
            raise SimulationError(f"Simulation of {bench.top} broke off: {_tail(folder / 'log.txt')}")
        return _outcome(folder, results, bench, time.monotonic() - started)


def _outcome(folder: Path, results: Path, bench: Bench, seconds: float) -> Outcome:
    failure = None
    for element in ElementTree.parse(results).iter("failure"):
        message = element.get("error_msg") or element.get("message") or element.text or "failed"
        failure = message.splitlines()[0]
        break
    figures = folder / "figures.json"
    arrays = folder / "outcome.npz"
    if failure is None and not figures.exists():
        raise SimulationError(f"Bench {bench.module} left no figures: {_tail(folder / 'log.txt')}")
    stored = load_arrays(arrays) if arrays.exists() else {}
    waves = folder / f"dump.{bench.waves}"
    return Outcome(
        failure=failure,
        figures=json.loads(figures.read_text()) if figures.exists() else {},
        arrays=stored,
        waves=waves.read_bytes() if bench.waves else None,
        seconds=seconds,
    )


def _build(bench: Bench) -> Path:
    def build(folder: Path) -> None:
        # make takes objects that are there already and newer than the makefile still to come
        later = time.time() + 60
        for compiled in _runtime(bench.waves).glob("verilated*.o"):
            os.utime(shutil.copy(compiled, folder), (later, later))
        _verilate(bench.verilog, bench.top, folder, waves=bench.waves, optimization=bench.optimization)
        # nine tenths of what a simulator leaves behind
        for path in folder.iterdir():
            if path.suffix in _BY_PRODUCTS:
                path.unlink()

    key = digest(bench.verilog, bench.top, _tool_key(bench.waves), bench.optimization)
    return cached_dir("verilator", key, build)


def _runtime(waves: str) -> Path:
    """Folder with the compiled run-time library of Verilator, which every simulator is linked with."""
    empty = "module empty(input clk, output reg q);\n  always @(posedge clk) q <= !q;\nendmodule\n"
    return cached_dir(
        "verilator-runtime",
        digest(_tool_key(waves)),
        lambda folder: _verilate(empty, "empty", folder, waves=waves, optimization="-Os"),
    )


def _tool_key(waves: str) -> list[str]:
    return [
        metadata.version("verilator"),
        metadata.version("cocotb"),
        *_BUILD_ARGS,
        *_WAVE_ARGS[waves],
    ]


def _verilate(verilog: str, top: str, folder: Path, *, waves: str, optimization: str) -> None:
    """Build the simulator of ``top`` in ``folder``."""
    source = folder / f"{top}.v"
    source.write_text(verilog)
    ports = folder / f"{top}.vlt"
    ports.write_text(f'`verilator_config\npublic_flat_rw -module "{top}" -var "*"\n')
    log = folder / "build.log"
    if waves == "fst":
        _require_lz4()
    with _simulator_environment(optimization):
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
            raise SimulationError(f"Verilator could not build {top}: {_tail(log)}") from stop


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
def _simulator_environment(optimization: str = "") -> Iterator[None]:
    """The surroundings that cocotb's runner looks for, for as long as it runs, and what the compiler is told."""
    package = resources.files("verilator")
    changed = {
        # the runner looks for `verilator`, which the package keeps in a folder of its own, and Verilator for `python`
        "PATH": os.pathsep.join([str(package / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "VERILATOR_ROOT": str(package),
        # all C++ in one file: each of the many small ones takes longer to start on than to compile
        "MAKEFLAGS": f"VM_PARALLEL_BUILDS=0 OPT_FAST={optimization}",
        # under pytest the runner judges the results by itself
        "PYTEST_CURRENT_TEST": None,
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


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "no output"
