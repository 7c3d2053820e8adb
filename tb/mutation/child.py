"""Runs what may hang or abort in a process of its own, which begins as a copy of this one."""

import faulthandler
import json
import math
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from hw.emit.tools import ToolError

__all__ = ["Ended", "in_child"]


@dataclass(frozen=True)
class Ended:
    """How it ended.

    Parameters
    ----------
    failure : str
        What the bench has against the hardware; empty if nothing.
    seconds : float
        Of a processor.
    hung : bool
        It was stopped since it went on for too long.
    """

    failure: str
    seconds: float
    hung: bool = False


def in_child(bench: Callable[[], str], *, seconds: float) -> Ended:
    """Run a bench, which returns what it has against the hardware, for so many seconds of a processor at most.

    Raises
    ------
    ToolError
        If the bench raises: it is to return whatever hardware may do.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _run(bench, writer, math.ceil(seconds))
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    _child, status, used = os.wait4(child, 0)
    spent = used.ru_utime + used.ru_stime
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) == signal.SIGXCPU:
            return Ended(f"not done after {math.ceil(seconds)} s of a processor", spent, hung=True)
        # as Verilator ends where values do not settle
        return Ended(f"simulator ended with {signal.Signals(os.WTERMSIG(status)).name}", spent)
    if not told:
        # as foreign code ends that calls exit
        return Ended(f"simulator ended with status {os.WEXITSTATUS(status)}", spent)
    answer = json.loads(told)
    if "raised" in answer:
        raise ToolError(f"Bench of a mutant raised: {answer['raised']}")
    return Ended(answer["failure"], spent)


def _run(bench: Callable[[], str], writer: int, seconds: int) -> None:
    """In the child: never returns."""
    answer: dict[str, str] = {}
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # what aborts is told by how it ends
        faulthandler.disable()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        answer = {"failure": bench()}
    finally:
        if not answer:
            answer = {"raised": "".join(traceback.format_exception(*sys.exc_info())[-3:])}
        with os.fdopen(writer, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
