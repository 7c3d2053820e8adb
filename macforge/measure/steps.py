"""Figures that are computed side by side, each in a process of its own, of which any may fail."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from threadpoolctl import threadpool_limits

from macforge.exits import explained

__all__ = ["Step", "take_steps"]

assert np  # loads BLAS, whose threads are limited


@dataclass(frozen=True, eq=False)
class Step:
    """One thing to compute.

    Parameters
    ----------
    row : dict
        Gets the figures; if there are none, its ``failed`` says why.
    what : str
        What they are of, as ``failed`` has it.
    function : callable
        ``function(*arguments)`` gives figures by their names. It is called in another process.
    arguments : tuple
    """

    row: dict[str, object]
    what: str
    function: Callable[..., dict[str, object]]
    arguments: tuple

    def finish(self, future: Future) -> None:
        """Enter what came of it into the row."""
        error = future.exception()
        if error is None:
            self.row.update(future.result())
            return
        _, reason = explained(error)
        reason, before = reason.partition("\n")[0], self.row.get("failed")
        if before is None:
            self.row["failed"] = f"{self.what}: {reason}"
        elif reason not in before:
            self.row["failed"] = f"{before}; {self.what}: {reason}"


def take_steps(steps: Sequence[Step], progress: Callable[[int, int], None]) -> None:
    """Take all steps, on as many processes as there are cores.

    One that fails does not end the others; nor does one whose process is ended from outside.

    Parameters
    ----------
    steps : sequence of Step
    progress : callable
        Told how many of how many steps are done.
    """
    alone = []
    for count, (step, future) in enumerate(_futures(steps, os.cpu_count()), start=1):
        if isinstance(future.exception(), BrokenProcessPool):
            # it, or what ran beside it, has ended the processes of all
            alone.append(step)
            continue
        step.finish(future)
        progress(count - len(alone), len(steps))
    for count, step in enumerate(alone, start=1):
        for _, future in _futures([step], 1):
            step.finish(future)
        progress(len(steps) - len(alone) + count, len(steps))


def _futures(steps: Sequence[Step], processes: int | None) -> Iterator[tuple[Step, Future]]:
    """Each step and what came of it, as they come."""
    # fresh processes: a fork would copy the threads' locks, of the progress bar for one
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_use_one_thread)
    try:
        started = {_submitted(pool, step): step for step in steps}
        for future in as_completed(started):
            yield started[future], future
    finally:
        # after an interruption, nobody waits for the rest
        pool.shutdown(cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, step: Step) -> Future:
    try:
        return pool.submit(step.function, *step.arguments)
    except BrokenProcessPool as error:
        broken: Future = Future()
        broken.set_exception(error)
        return broken


def _use_one_thread() -> None:
    """Have BLAS, which is loaded with this module, start no threads: with a process for each core they only wait."""
    threadpool_limits(1)
