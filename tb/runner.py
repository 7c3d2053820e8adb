"""Runs cocotb benches on simulators of Verilog."""

import contextlib
import json
import os
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cocotb_tools.runner import get_runner

from hw.emit.tools import ToolError, failure
from tb.icarus import built_icarus
from tb.request import load_arrays, save_arrays
from tb.simulator import SimulationError, built_simulator, read_log, simulator_environment

__all__ = ["Bench", "Outcome", "SimulationError", "run_bench"]


# cocotb would have pytest rewrite every assertion, of which ours tell all they have to, and load all of its plugins:
# two thirds of what it takes to start a simulation.
_QUICK_START = {"COCOTB_REWRITE_ASSERTION_FILES": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
# Each with its arguments: Verilator's registers start from random values.
_SIMULATORS = {"verilator": ["+verilator+rand+reset+2", "+verilator+seed+1"], "icarus": []}


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
        Format of the waves to record, if any; Verilator's alone.
    simulator : {"verilator", "icarus"}
        Verilator is fast and knows only 0 and 1. Icarus Verilog starts registers and memories as X, and carries X on.
    """

    verilog: str
    top: str
    module: str
    settings: Mapping[str, object]
    arrays: Mapping[str, np.ndarray]
    cycles: int
    waves: str = ""
    simulator: str = "verilator"

    def __post_init__(self) -> None:
        if self.simulator not in _SIMULATORS:
            raise ValueError(f"Simulator must be {' or '.join(_SIMULATORS)}, not {self.simulator!r}")
        if self.waves and self.simulator != "verilator":
            raise ValueError(f"Waves must be left out with {self.simulator}, not {self.waves!r}")

    def build(self) -> Path:
        """Folder with the simulator."""
        if self.simulator == "icarus":
            return built_icarus(self.verilog, self.top)
        return built_simulator(self.verilog, self.top, cycles=self.cycles, waves=self.waves)


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
    figures: dict[str, Any]
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
    build = bench.build()
    with tempfile.TemporaryDirectory(prefix="macforge-sim-") as name:
        folder = Path(name)
        save_arrays(folder / "stimulus.npz", bench.arrays)
        (folder / "settings.json").write_text(json.dumps(dict(bench.settings)))
        results = folder / "results.xml"
        started = time.monotonic()
        # the outcome tells more than the runner's exit does
        with simulator_environment(), contextlib.suppress(SystemExit):
            get_runner(bench.simulator).test(
                test_module=bench.module,
                hdl_toplevel=bench.top,
                hdl_toplevel_lang="verilog",
                build_dir=build,
                test_dir=folder,
                results_xml=str(results),
                test_args=_SIMULATORS[bench.simulator],
                extra_env={**_QUICK_START, "MACFORGE_BENCH": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
                waves=bool(bench.waves),
                log_file=folder / "log.txt",
            )
        if not results.exists():
            raise _broken(f"Simulation of {bench.top} broke off", folder)
        return _outcome(folder, results, bench, time.monotonic() - started)


def _broken(what: str, folder: Path) -> ToolError:
    return failure(what, read_log(folder / "log.txt"), "ended", SimulationError)


def _outcome(folder: Path, results: Path, bench: Bench, seconds: float) -> Outcome:
    failure = None
    for element in ElementTree.parse(results).iter("failure"):
        message = element.get("error_msg") or element.get("message") or element.text or "failed"
        failure = message.splitlines()[0]
        break
    figures = folder / "figures.json"
    arrays = folder / "outcome.npz"
    if failure is None and not figures.exists():
        raise _broken(f"Bench {bench.module} left no figures", folder)
    stored = load_arrays(arrays) if arrays.exists() else {}
    waves = folder / f"dump.{bench.waves}"
    return Outcome(
        failure=failure,
        figures=json.loads(figures.read_text()) if figures.exists() else {},
        arrays=stored,
        waves=waves.read_bytes() if bench.waves else None,
        seconds=seconds,
    )
