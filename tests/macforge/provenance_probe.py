"""The keys under which macforge keeps figures and verdicts, as its own functions form them."""

import dataclasses
import json
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np

from macforge import provenance
from macforge.design.design import load_design
from macforge.measure.accuracy import accuracy
from macforge.measure.sweep.spec import load_sweep
from macforge.measure.verdict import verdict

__all__ = ["keys"]

DESIGN = load_design("w4a4_os").resized(2)
OPERANDS = (np.ones((2, 3), np.float32), np.ones((3, 4), np.float32), None)
# What stands in for what is not computed here.
FIGURES = {
    "accuracy": {"tokens": 1, "cosine_mean": 1.0, "cosine_min": 1.0, "sqnr_db": {}},
    "verdict": {"failure": None, "cycles": 1},
}


def _points():
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder, "all.toml")
        spec.write_text('designs = ["w4a4_os"]\nfamilies = ["ecp5"]\n[measure]\narea = {}\nsim = {}\naccuracy = {}\n')
        return load_sweep(spec).points


POINTS = _points()


def keys() -> dict[str, str]:
    """Key of each kind of figures, all of one design."""
    found = {f"sweep {point.measure}": dataclasses.replace(point).key for point in POINTS}

    def record(kind, key, compute, *, is_valid):
        found[kind] = key
        return FIGURES[kind]

    with mock.patch("hw.emit.cache.cached_json", record):
        accuracy(DESIGN, sentences=1)
        verdict(DESIGN, OPERANDS, [])
    return found


if __name__ == "__main__":
    print(json.dumps({"keys": keys(), "made_by": provenance.made_by()}))
