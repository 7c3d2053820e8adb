"""Figures that are computed side by side, each in a process of its own, of which any may fail."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from macforge.exits import INTERRUPTED, explained

__all__ = ["Outcome", "Step", "take_steps"]

assert np  # loads BLAS, whose threads are limited


@dataclass(frozen=True, eq=False)
class Step:
    """One thing to compute.

    Parameters
    ----------
    label : str
        What it is, for people, such as ``mixpe_w4a8 area on xc7``.
    kind : str
        Steps of one kind take about as long as each other.
    function : callable
        ``function(*arguments, **keywords)`` gives figures by their names. It is called in another process.
    arguments : tuple
    keywords : dict
    """

    label: str
    kind: str
    function: Callable[..., Mapping[str, Any]]
    arguments: tuple = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a step.

    Parameters
    ----------
    step : Step
    figures : dict or None
        None if it failed.
    reason : str or None
        Why it failed, in one line; None if it did not.
    seconds : float or None
        That it took; None if it failed.
    """

    step: Step
    figures: Mapping[str, Any] | None = None
    reason: str | None = None
    seconds: float | None = None


def take_steps(steps: Sequence[Step], *, every: float | None = None, processes: int = 0) -> Iterator[Outcome | None]:
    """Take all steps on several processes, in their order as far as processes are free, and give outcomes as they come.

    A step that fails does not end the others; nor does one whose process is ended from outside.

    Parameters
    ----------
    steps : sequence of Step
    every : float, optional
        Give None after so many seconds without an outcome.
    processes : int
        0 for as many as there are cores.
    """
    alone = []
    for outcome in _outcomes(steps, processes or os.cpu_count() or 1, every):
        if isinstance(outcome, Step):
            # it, or what ran beside it, has ended the processes of all
            alone.append(outcome)
        else:
            yield outcome
    for step in alone:
        for outcome in _outcomes([step], 1, every):
            yield _failed(step, BrokenProcessPool()) if isinstance(outcome, Step) else outcome


def _outcomes(steps: Sequence[Step], processes: int, every: float | None) -> Iterator[Outcome | Step | None]:
    """What came of each step, or the step itself if its process was ended."""
    # fresh processes: a fork would copy the threads' locks, of the progress bar for one
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_prepare)
    try:
        # a pool that was interrupted while it started its own thread cannot be shut down
        with _uninterrupted():
            waiting = {_submitted(pool, step): step for step in steps}
        while waiting:
            done, _ = wait(waiting, timeout=every, return_when=FIRST_COMPLETED)
            for future in done:
                yield _outcome(waiting.pop(future), future)
            if not done:
                yield None
    finally:
        # after an interruption, nobody waits for the rest
        pool.shutdown(cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off an interrupt that comes meanwhile to the end."""
    if threading.current_thread() is not threading.main_thread():
        # where none is raised
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


def _outcome(step: Step, future: Future) -> Outcome | Step:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        return step
    if error is not None:
        return _failed(step, error)
    figures, seconds = future.result()
    return Outcome(step=step, figures=figures, seconds=seconds)


def _failed(step: Step, error: BaseException) -> Outcome:
    _, reason = explained(error)
    return Outcome(step=step, reason=reason.partition("\n")[0])


def _submitted(pool: ProcessPoolExecutor, step: Step) -> Future:
    try:
        return pool.submit(_timed, step.function, step.arguments, step.keywords)
    except BrokenProcessPool as error:
        broken: Future = Future()
        broken.set_exception(error)
        return broken


def _timed(
    function: Callable[..., Mapping[str, Any]], arguments: tuple, keywords: Mapping[str, Any]
) -> tuple[Mapping[str, Any], float]:
    begin = time.perf_counter()
    figures = function(*arguments, **keywords)
    return figures, time.perf_counter() - begin


def _prepare() -> None:
    """Have BLAS, which is loaded with this module, start no threads: with a process for each core they only wait.

    A process that the terminal interrupts ends without a word: who has started it says what there is to say.
    """
    threadpool_limits(1)
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
