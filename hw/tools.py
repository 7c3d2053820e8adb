"""Runs the command-line tools: where they are found, and what becomes of their errors."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from hw.cache import digest, root, write_whole

__all__ = ["ToolError", "banner", "find", "run"]

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


def run(argv: Sequence[str | PathLike[str]], *, cwd: str | PathLike[str], limit: float | None = None) -> str:
    """Run one tool to its end and return its log (standard output and error as they came).

    Name files relative to ``cwd``: the WebAssembly builds of Yosys and nextpnr see the folder they run in,
    but not the system's temporary folder.

    Parameters
    ----------
    argv
        Executable, as found by `find`, and its arguments.
    cwd
        Folder to run in.
    limit
        Seconds after which it is stopped; None to let it run on.

    Raises
    ------
    ToolError
        If the tool ends with another status than 0, or is stopped. Its complete log stays under ``root() / "logs"``.
    """
    command = [str(word) for word in argv]
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as stop:
        raise _failure(command, stop.stdout, f"was stopped after {limit:g} s") from None
    if done.returncode != 0:
        raise _failure(command, done.stdout, f"ended with status {done.returncode}")
    return _text(done.stdout)


def banner(name: str, option: str = "--version") -> str:
    """First line of what the executable ``name`` says of itself; empty if there is none of that name."""
    try:
        return _first_line(find(name), option)
    except ToolError:
        return ""


@functools.cache
def _first_line(executable: Path, option: str) -> str:
    return run([executable, option], cwd=".").strip().partition("\n")[0]


def _text(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace").replace("\r\n", "\n")


def _failure(command: list[str], output: bytes | None, end: str) -> ToolError:
    """What is told of a tool that came to such an ``end``."""
    text = _text(output)
    log = root() / "logs" / f"{Path(command[0]).stem}-{digest(command, text)[:16]}.log"
    write_whole(log, text)
    error = ToolError(f"{Path(command[0]).stem}: {_reason(text, end)} (complete log: {log})")
    # for whoever cannot read this machine's files
    error.add_note(text)
    return error


def _reason(text: str, end: str) -> str:
    """The tool's first ERROR line; a crash has none, and then its last line says most."""
    error = _ERROR.search(text)
    if error is not None:
        return error[0].strip()
    lines = text.strip().splitlines() or ["no output"]
    return f"{end}: {lines[-1].strip()}"
