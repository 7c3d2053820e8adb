"""How far a long command has come, and how long it still takes."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import fmean

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

__all__ = ["Pace", "State", "at_once", "duration", "progress_bar", "progress_shown", "tracked"]


@dataclass(frozen=True, kw_only=True)
class State:
    """How far something has come.

    Parameters
    ----------
    done, total : int
        Steps.
    elapsed : float
        Seconds since it began.
    left : float or None
        Seconds that it still takes, as far as can be said.
    last : str
        What was done last.
    """

    done: int
    total: int
    elapsed: float = 0
    left: float | None = None
    last: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether all is done."""
        return self.done == self.total

    @property
    def line(self) -> str:
        """All of it in one line, such as ``[ 7/41] 1m12s, about 6m left: mixpe_w4a8 area on xc7``."""
        left = "" if self.left is None or self.is_complete else f", about {duration(self.left, rough=True)} left"
        count = f"[{self.done:>{len(str(self.total))}}/{self.total}]"
        return f"{count} {duration(self.elapsed)}{left}" + (f": {self.last}" if self.last else "")


class Pace:
    """Tells the state of steps from what has been done of them: steps of one kind take about as long as each other.

    Parameters
    ----------
    kinds : sequence of str
        Of every step.
    processes : int
        Steps that are taken at a time.
    clock : callable
        Seconds, from whenever.
    """

    def __init__(self, kinds: Sequence[str], *, processes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._waiting = Counter(kinds)
        self._total, self._processes = len(kinds), processes
        self._clock, self._begin = clock, clock()
        self._seconds: dict[str, list[float]] = {}
        self._last = ""

    def finish(self, kind: str, label: str, seconds: float | None) -> None:
        """Count a step that is done; None for one whose seconds say nothing about others."""
        self._waiting[kind] -= 1
        self._last = label
        if seconds is not None:
            self._seconds.setdefault(kind, []).append(seconds)

    @property
    def state(self) -> State:
        """How far it has come by now."""
        waiting = self._waiting.total()
        return State(
            done=self._total - waiting,
            total=self._total,
            elapsed=self._clock() - self._begin,
            left=self._left(),
            last=self._last,
        )

    def _left(self) -> float | None:
        if not self._seconds:
            return None
        means = {kind: fmean(found) for kind, found in self._seconds.items()}
        # of kinds that none is done of, nothing better is known
        unknown = fmean(means.values())
        return sum(count * means.get(kind, unknown) for kind, count in self._waiting.items()) / self._processes


def duration(seconds: float, *, rough: bool = False) -> str:
    """Seconds for people, such as ``1m12s``; or, if that is rather too exact, ``1m``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if rough:
        minutes = round(whole / 60)
        return f"{minutes}m" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{whole % 60:02}s"


@contextmanager
def progress_shown(what: str) -> Iterator[Callable[[State], None]]:
    """Shows on standard error how far something has come: a bar on a terminal, else a line for each step done."""
    with progress_bar() as bar:
        if not bar.disable:
            task = bar.add_task(what, total=None)
            yield lambda state: bar.update(task, completed=state.done, total=state.total)
            return
        shown = -1

        def show(state: State) -> None:
            nonlocal shown
            if state.done > shown:
                shown = state.done
                print(state.line, file=sys.stderr, flush=True)

        yield show


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
