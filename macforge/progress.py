"""How far a long command has come, and how long it still takes."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["at_once", "progress_bar", "tracked"]


def progress_bar() -> Progress:
    """A bar on standard error that goes when it is done; nothing, if that is no terminal."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, *times, console=console, transient=True, disable=not console.is_terminal)


def tracked(items: list, what: str) -> Iterable:
    """The items, one after the other, with a bar of how many are done."""
    with progress_bar() as bar:
        yield from bar.track(items, description=what)


def at_once(run: Callable, items: list, what: str, jobs: int) -> Iterable:
    """``run(item)`` of each, in their order, so many at a time in processes of their own; 0 for one a processor."""
    jobs = min(jobs or os.cpu_count() or 1, len(items))
    if jobs == 1:
        yield from map(run, tracked(items, what))
        return
    # a fresh interpreter each: what is running here has threads, which a fork would not copy
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool, progress_bar() as bar:
        yield from bar.track(pool.map(run, items), total=len(items), description=what)
