"""What a worker of a sweep does: it computes points, and takes the tools that it runs along when it goes.

Processes of a sweep's own have this module as dask's ``preload``; workers of another scheduler may have it so, too.
"""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping

from macforge.design import Design
from macforge.plain import build
from macforge.sweep.points import made_by

__all__ = ["WorkerError", "compute", "dask_setup", "dask_teardown"]


class WorkerError(OSError):
    """There is no scheduler, or no worker, that is fit to compute a sweep's points."""


def compute(function: Callable[..., Mapping[str, object]], inputs: Mapping[str, object]) -> dict[str, object]:
    """The figures of one point as JSON, the seconds they took, and who computed them.

    Parameters
    ----------
    function : callable
        Of a `macforge.sweep.measures.Measurement`.
    inputs : dict
        As `macforge.sweep.points.Point.inputs` has them.

    Raises
    ------
    WorkerError
        If the figures would be those of another macforge, or of other tools.
    """
    here = f"{socket.gethostname()}:{os.getpid()}"
    if inputs["made_by"] != made_by():
        raise WorkerError(f"that of {here} differs, or its tools do")
    begin = time.perf_counter()
    design = build(Design, inputs["design"], name="design")
    if inputs["cells"] is not None:
        design = design.resized(inputs["cells"])
    axes = {axis: inputs[axis] for axis in ("family", "seed") if inputs[axis] is not None}
    figures = json.dumps(function(design, **axes, **inputs["options"]), allow_nan=False)
    return {"figures": figures, "seconds": round(time.perf_counter() - begin, 3), "worker": here}


def dask_setup(worker: object) -> None:
    """Leave the group of processes that the terminal interrupts: when to stop is the client's business."""
    os.setpgrp()


def dask_teardown(worker: object) -> None:
    """End what is running in the worker's group, but for the worker itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
