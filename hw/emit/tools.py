"""Runs the command-line tools: where they are found, and what becomes of their errors."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import platformdirs

from hw.core.digest import digest
from hw.emit.cache import require_cache, root, write_whole

__all__ = ["ToolError", "banner", "failure", "find", "keep_log", "run"]

# What the tools' own words begin with: of Yosys and nextpnr, Verilator, compilers, a shell and make; the first that is
# found in a log says most.
_ERRORS = [
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^.*\bERROR: .*$",
        r"^%Error.*$",
        r"^.*\b(?:fatal )?error: .*$",
        r"^.*(?:not found|No such file or directory|No space left on device|Permission denied).*$",
        r"^.*\*\*\* .*$",
    )
]
_LONGEST = 400


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
            env=_surroundings(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as stop:
        raise failure(Path(command[0]).stem, _text(stop.stdout), f"was stopped after {limit:g} s") from None
    if done.returncode != 0:
        raise failure(Path(command[0]).stem, _text(done.stdout), _end(done.returncode))
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


def _surroundings() -> dict[str, str]:
    """Environment of a tool: the WebAssembly builds keep their machine code in the user's cache, or else in ours."""
    usual = Path(platformdirs.user_cache_dir("YoWASP", appauthor=False))
    chosen = {}
    if "YOWASP_CACHE_DIR" not in os.environ:
        try:
            usual.mkdir(parents=True, exist_ok=True)
        except OSError:
            require_cache()
            chosen = {"YOWASP_CACHE_DIR": str(root() / "yowasp")}
    return {**os.environ, **chosen}


def _text(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace").replace("\r\n", "\n")


def _end(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def failure(name: str, log: str, end: str, kind: type[ToolError] = ToolError) -> ToolError:
    """What is raised when a tool comes to such an ``end``; its log is kept.

    Parameters
    ----------
    name : str
        What the tool is called, or what it could not do.
    log : str
        All that it has said.
    end : str
        Such as ``ended with status 1``.
    kind : type
        Of the error.
    """
    error = kind(f"{name}: {_reason(log, end)} (complete log: {keep_log(name, log)})")
    # for whoever cannot read this machine's files
    error.add_note(log)
    return error


def keep_log(name: str, text: str) -> Path:
    """Path of a file with this text below ``root() / "logs"``, or in the system's temporary folder."""
    file = f"{re.sub(r'[^a-z0-9]+', '-', name.lower())[:40]}-{digest(name, text)[:16]}.log"
    for folder in (root() / "logs", Path(tempfile.gettempdir())):
        try:
            write_whole(folder / file, text)
        except OSError:
            continue
        return folder / file
    return Path(os.devnull)


def _reason(text: str, end: str) -> str:
    """The tool's first line that says what is wrong; a crash has none, and then its last line says most."""
    for pattern in _ERRORS:
        if error := pattern.search(text):
            return error[0].strip()[:_LONGEST]
    lines = text.strip().splitlines() or ["no output"]
    return f"{end}: {lines[-1].strip()[:_LONGEST]}"
