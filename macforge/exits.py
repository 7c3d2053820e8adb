"""Exit codes: what each stands for, and the one line that says why a command ended with it."""

import errno
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from types import TracebackType
from typing import cast

import typer
from rich.console import Console

from hw.emit.tools import ToolError, keep_log
from macforge.errors import MismatchError
from macforge.extras import missing_package
from macforge.versions import package_version

__all__ = ["BUG", "DIFFERENT", "FAILED", "INTERRUPTED", "UNREAD", "WRONG", "exit_code", "explained"]

DIFFERENT = 1
"""RTL and model differ."""
WRONG = 2
"""The request is wrong."""
FAILED = 3
"""A tool, or a row of a sweep or report, has failed."""
BUG = 70
"""macforge is at fault; the traceback is kept in a log."""
INTERRUPTED = 130
UNREAD = 141
"""Whoever reads the output has closed it."""

# What Typer raises for options, arguments and files that are off; it exports only this kind of it.
_UsageError = cast(type[typer.BadParameter], typer.BadParameter.__mro__[2])
_LONGEST = 2000

_err = Console(stderr=True)


def exit_code(command: Callable[[], int | None]) -> int:
    """Run a command and give its exit code; if it ends with an exception, one line says why."""
    with _Outcome() as outcome:
        outcome.code = command() or 0
        sys.stdout.flush()
    return outcome.code


class _Outcome:
    """Takes every exception, so that none ends as Python's own exit code 1, which means that RTL and model differ."""

    code = 0

    def __enter__(self) -> "_Outcome":
        return self

    def __exit__(self, _kind: type | None, error: BaseException | None, _trace: TracebackType | None) -> bool:
        if error is not None:
            self.code, message = explained(error)
            _say(message)
        return True


def _say(message: str) -> None:
    lines = message.splitlines() or [""]
    _err.print(f"macforge: {lines[0][:_LONGEST]}", markup=False, highlight=False, soft_wrap=True)


def explained(error: BaseException) -> tuple[int, str]:
    """The exit code that an exception stands for, and what to say of it; what is nobody's but macforge's has a log."""
    match error:
        case MismatchError():
            return DIFFERENT, f"RTL and model differ: {error}"
        case _UsageError():
            return WRONG, error.format_message()
        case ToolError():
            return FAILED, str(error)
        case BrokenExecutor():
            return FAILED, "a process was ended from outside, perhaps since memory ran out"
        case BrokenPipeError():
            # or Python would try to write the rest when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return UNREAD, "whoever reads the output has closed it"
        case OSError():
            return WRONG, _file_message(error)
        case MemoryError():
            return WRONG, f"the request takes more memory than there is: {error}"
        case ModuleNotFoundError():
            return WRONG, missing_package(error)
        case ValueError():
            return WRONG, str(error)
        case SystemExit(code=1):
            # Click's own way out, once nobody reads what it prints
            return UNREAD, "whoever reads the output has closed it"
        case KeyboardInterrupt() | typer.Abort():
            return INTERRUPTED, "interrupted"
        case _:
            return BUG, _bug(error)


def _file_message(error: OSError) -> str:
    """A file that cannot be read or written, by its name; errors with words of their own have those."""
    if error.strerror is None:
        return str(error)
    if error.filename is None and error.errno == errno.ENOSPC:
        return f"{error.strerror}: of the output, of the cache, or of {tempfile.gettempdir()}"
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def _bug(error: BaseException) -> str:
    versions = f"macforge {package_version('macforge')}, Python {platform.python_version()}, {platform.platform()}"
    told = [f"{versions}\n{sys.argv}\n", *traceback.format_exception(error)]
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"this is a bug of macforge's, {what} (traceback: {keep_log('bug', ''.join(told))})"
