"""Verilator's lint of Verilog, with all of its warnings."""

import os
import subprocess
import tempfile
from pathlib import Path

from tb.simulator import verilator_folder

__all__ = ["lint"]


def lint(verilog: str, top: str) -> str:
    """What Verilator has against a design; empty if it is clean.

    Parameters
    ----------
    verilog, top : str
        The design, and its top module.
    """
    with tempfile.TemporaryDirectory(prefix="macforge-lint-") as folder:
        source = Path(folder) / f"{top}.v"
        source.write_text(verilog)
        done = subprocess.run(
            [verilator_folder() / "bin" / "verilator", "--lint-only", "-Wall", "--top-module", top, source.name],
            cwd=folder,
            env={**os.environ, "VERILATOR_ROOT": str(verilator_folder())},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    return done.stderr or ("" if done.returncode == 0 else f"Verilator's lint ended with status {done.returncode}")
