"""What a worker of a sweep does: it computes tasks, and takes the tools that it runs along when it goes.

Processes of a sweep's own have this module as dask's ``preload``; workers of another scheduler may have it so, too.
"""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from macforge.design.design import Design
from macforge.design.plain import build
from macforge.provenance import LOADED, made_by
from macforge.tables import finite

__all__ = ["WorkerError", "compute", "dask_setup", "dask_teardown", "figures_of"]


class WorkerError(OSError):
    """There is no scheduler, or no worker, that is fit to compute a sweep's points."""


def compute(figures: Callable[[Mapping[str, Any]], Mapping[str, Any]], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of one task as JSON, the seconds they took, and who computed them.

    Parameters
    ----------
    figures : callable
        Of the inputs, such as `figures_of` of a measurement.
    inputs : dict
        As `macforge.measure.sweep.points.Task.inputs` has them, ``made_by`` among them.

    Raises
    ------
    WorkerError
        If the figures would be those of another macforge, or of other tools, or macforge changes meanwhile.
    """
    here = f"{socket.gethostname()}:{os.getpid()}"
    if differences := _differences(made_by(), inputs["made_by"]):
        raise WorkerError(f"{here} has other versions: {differences}")
    begin = time.perf_counter()
    try:
        text = json.dumps(finite(figures(inputs)), allow_nan=False)
    finally:
        # what has failed may have failed of that
        if not LOADED.are_unchanged:
            raise WorkerError(f"files of macforge have changed since {here} began")
    return {"figures": text, "seconds": round(time.perf_counter() - begin, 3), "worker": here}


def _differences(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """What differs in `macforge.provenance.made_by`."""
    names = [name for name in sorted({*here, *there}) if here.get(name) != there.get(name)]
    return ", ".join(f"{name} {here.get(name, 'missing')}, not {there.get(name, 'missing')}" for name in names)


def figures_of(function: Callable[..., Mapping[str, Any]], inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a `macforge.measure.registry.Measurement` gives for `macforge.measure.sweep.points.Point.inputs`."""
    design = build(Design, inputs["design"], name="design")
    if inputs["cells"] is not None:
        design = design.resized(inputs["cells"])
    axes = {axis: inputs[axis] for axis in ("family", "seed") if inputs[axis] is not None}
    return function(design, **axes, **inputs["options"])


def dask_setup(worker: object) -> None:
    """Leave the group of processes that the terminal interrupts: when to stop is the client's business."""
    os.setpgrp()


def dask_teardown(worker: object) -> None:
    """End what is running in the worker's group, but for the worker itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
