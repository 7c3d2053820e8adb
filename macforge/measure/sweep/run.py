"""Runs sweeps on dask.distributed: whatever is not recorded yet is computed, and recorded as it comes."""

import logging
import os
import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from macforge.extras import require_extras
from macforge.measure.sweep import worker
from macforge.measure.sweep.points import Task, Tasks
from macforge.measure.sweep.store import Store
from macforge.measure.sweep.worker import WorkerError, compute

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

__all__ = ["run_sweep"]

_PATIENCE = 30
"""Seconds that a scheduler may take to answer, or to get its first worker."""
# dask gives up a process of its own that is not there 15 s after one of its name has died: not if it dies again
# meanwhile, or its machine is busy. Then nobody is left to compute anything.
_NEVER_LOST = {"distributed.deploy.lost-worker-timeout": "365 days"}


def run_sweep(
    sweep: Tasks,
    store: Store,
    *,
    scheduler: str = "",
    jobs: int = 0,
    retry: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Compute and record every point of a sweep that is not recorded, and give their number.

    Each is recorded at once, so that nothing of it is lost when the rest does not come to its end. A point that fails
    is recorded with its log, and so is one whose workers die again and again.

    Parameters
    ----------
    sweep : Tasks
        Such as a `macforge.measure.sweep.points.Sweep`.
    store : Store
    scheduler : str
        Address of a dask scheduler, such as ``tcp://host:8786``, whose workers have this macforge; empty for processes
        of this machine.
    jobs : int
        So many of these; 0 for one a processor.
    retry : bool
        Whether what has failed is computed again.
    progress : callable
        Told how many of how many points are done.

    Raises
    ------
    ValueError
        If there are both a scheduler and jobs.
    WorkerError
        If the scheduler is not there or goes away, or a worker has another macforge.
    """
    if scheduler and jobs:
        raise ValueError(f"Jobs are processes of this machine: with a scheduler they must be 0, not {jobs}")
    store.list_points(sweep)
    known = {key for key, result in store.results(sweep).items() if not (retry and result["status"] == "failed")}
    missing = [point for point in sweep.points if point.key not in known]
    if not missing:
        return 0
    progress(0, len(missing))
    with _connected(scheduler, min(jobs or os.cpu_count() or 1, len(missing))) as client:
        for done, (point, result) in enumerate(_computed(client, missing), start=1):
            if isinstance(result, BaseException):
                store.record_failure(point, _reason(result), "".join(traceback.format_exception(result)))
            else:
                store.record(point, **result)
            progress(done, len(missing))
    return len(missing)


@contextmanager
def _connected(scheduler: str, jobs: int) -> Iterator["Client"]:
    """A client of that scheduler, or of one with so many processes here, which are gone afterwards."""
    require_extras("sweep")
    # only sweeps need it, and it takes a second to import
    import dask.config
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port

    if not scheduler:
        with (
            dask.config.set(_NEVER_LOST),
            _processes(jobs) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client
        return
    try:
        # a client that finds nobody leaves threads behind
        socket.create_connection(get_address_host_port(scheduler), timeout=_PATIENCE).close()
        client = Client(scheduler, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise WorkerError(f"Scheduler must be the address of a dask scheduler, not {scheduler!r}: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError:
            raise WorkerError(f"Scheduler {scheduler} must have a worker, and has had none for {_PATIENCE} s") from None
        yield client


def _processes(jobs: int) -> "LocalCluster":
    from distributed import LocalCluster

    try:
        return LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            # whose type is inferred from its default
            dashboard_address=None,  # pyright: ignore[reportArgumentType]
            # it listens all the same, without pages to show
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
            preload=worker.__name__,
        )
    except RuntimeError as error:
        raise WorkerError(f"Processes of this machine must start, but do not: {error}") from error


def _computed(client: "Client", points: list[Task]) -> Iterator[tuple[Task, dict[str, Any] | BaseException]]:
    """Each point with what `compute` gave or raised, as they come.

    Only so many are given to the scheduler as there are threads: when a worker dies, it takes nothing with it that was
    only waiting behind what killed it.
    """
    from distributed import as_completed

    waiting = iter(points)
    running = {}
    results = as_completed(loop=client.loop, with_results=True, raise_errors=False)
    assert client.scheduler is not None, "the client is connected"
    gone = WorkerError(f"Scheduler {client.scheduler.address} has gone; what was computed is recorded")

    def submit() -> None:
        try:
            # a coroutine only of a client that is asynchronous
            counts: Any = client.nthreads()
            threads = sum(counts.values())
        except OSError as error:
            raise gone from error
        # should all workers be gone for the moment, something waits for the next
        for point in islice(waiting, max(0, max(1, threads) - len(running))):
            future = client.submit(compute, point.figures, point.inputs, key=f"{point.measure}-{point.key}")
            running[future] = point
            results.add(future)

    submit()
    for future, result in results:
        point = running.pop(future)
        if future.cancelled():
            raise gone
        if future.status == "error":
            _, error, trace = result
            if isinstance(error, WorkerError | ImportError):
                raise WorkerError(f"Workers must have the macforge that they work for: {error}") from error
            result = error.with_traceback(trace)
        # or the scheduler would have it computed again, should its worker die
        future.release()
        yield point, result
        submit()


def _reason(error: BaseException) -> str:
    """One line."""
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
