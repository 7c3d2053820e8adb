"""Runs the command-line tools: where they are found, and what becomes of their errors."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from hw.cache import digest, root, write_whole

__all__ = ["ToolError", "find", "run"]

_ERROR = re.compile(r"^.*\bERROR: .*$", re.MULTILINE)


class ToolError(RuntimeError):
    """A tool is missing or has failed; the message holds the tool's own words and where its log is kept."""


def find(name: str) -> Path:
    """Path of the executable ``name``: beside this Python's own scripts first, else on PATH.

    Raises
    ------
    ToolError
        If it is in neither place.
    """
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        raise ToolError(f"{name} was found neither beside this Python's scripts nor on PATH")
    return Path(found)


def run(argv: Sequence[str | PathLike[str]], *, cwd: str | PathLike[str]) -> str:
    """Run one tool to its end and return its log (standard output and error as they came).

    Name files relative to ``cwd``: the WebAssembly builds of Yosys and nextpnr see the folder they run in,
    but not the system's temporary folder.

    Parameters
    ----------
    argv
        Executable, as found by `find`, and its arguments.
    cwd
        Folder to run in.

    Raises
    ------
    ToolError
        If the tool ends with another status than 0. Its complete log stays under ``root() / "logs"``.
    """
    command = [str(word) for word in argv]
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        log = root() / "logs" / f"{Path(command[0]).stem}-{digest(command, done.stdout)[:16]}.log"
        write_whole(log, done.stdout)
        error = ToolError(f"{Path(command[0]).stem}: {_reason(done)} (complete log: {log})")
        # for whoever cannot read this machine's files
        error.add_note(done.stdout)
        raise error
    return done.stdout


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """The tool's first ERROR line; a crash has none, and then its last line says most."""
    error = _ERROR.search(done.stdout)
    if error is not None:
        return error[0].strip()
    lines = done.stdout.strip().splitlines() or ["no output"]
    return f"ended with status {done.returncode}: {lines[-1].strip()}"
