"""Measurements for tests of sweeps, which note every time that they are computed."""

import os
import signal
import time
from pathlib import Path

__all__ = ["MARKS", "deadly", "faulty", "slow"]

MARKS = "SWEEP_PROBE_MARKS"
"""Environment variable that names the file of notes: a line with seed and process for each time."""


def slow(design, *, seed: int, millis: int = 0):
    """A sum that takes so long."""
    with Path(os.environ[MARKS]).open("a") as marks:
        marks.write(f"{seed} {os.getpid()}\n")
    time.sleep(millis / 1000)
    return {"total": sum(range(seed)), "lanes": design.lanes}


def faulty(design, *, seed: int):
    """Only even seeds go well."""
    figures = slow(design, seed=seed)
    if seed % 2:
        error = KeyError(f"odd seed {seed}")
        error.add_note("what the tool said")
        raise error
    return figures


def deadly(design, *, seed: int):
    """Seed 1 kills whoever computes it."""
    figures = slow(design, seed=seed)
    if seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return figures
