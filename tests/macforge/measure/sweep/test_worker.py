"""What a worker refuses to compute, or to have computed."""

import shutil
from functools import partial
from pathlib import Path

import pytest

import hw
from macforge.design.design import load_design
from macforge.measure.sweep import worker
from macforge.measure.sweep.worker import WorkerError, compute, figures_of
from macforge.provenance import LOADED, Sources, made_by

INPUTS = {
    "design": load_design("w4a4_os").to_table(),
    "cells": 2,
    "family": None,
    "seed": 3,
    "options": {"times": 2},
    "made_by": made_by(),
}


def lanes(design, *, seed, times):
    return {"lanes": times * design.lanes * seed, "cells": design.array.rows * design.array.cols}


def test_figures_are_those_of_the_function():
    done = compute(partial(figures_of, lanes), INPUTS)
    assert done["figures"] == '{"lanes": 6, "cells": 4}'
    assert set(done) == {"figures", "seconds", "worker"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "another"}, f"source {LOADED.digest}, not another"),
        ({"amaranth": "0.1", "cocotb": "0.2"}, r"amaranth [\d.]+, not 0\.1, cocotb [\d.]+, not 0\.2"),
        ({"unheard-of": "1.0"}, r"unheard-of missing, not 1\.0"),
    ],
)
def test_other_versions_are_named(change, message):
    with pytest.raises(WorkerError, match=rf"^.+:\d+ has other versions: {message}$"):
        compute(partial(figures_of, lanes), {**INPUTS, "made_by": made_by() | change})


def test_what_only_this_worker_has_is_named():
    fewer = {name: version for name, version in made_by().items() if name != "tokenizers"}
    with pytest.raises(WorkerError, match=r"^.+:\d+ has other versions: tokenizers [\d.]+, not missing$"):
        compute(partial(figures_of, lanes), {**INPUTS, "made_by": fewer})


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_counts_once_files_have_changed(fails, tmp_path, monkeypatch):
    shutil.copytree(Path(hw.__file__).parent, tmp_path / "hw")
    monkeypatch.setattr(worker, "LOADED", Sources({"hw": tmp_path / "hw"}))

    def changing(design, *, seed, times):
        (tmp_path / "hw" / "ram.py").write_text("")
        if fails:
            raise KeyError("module half written")
        return {}

    assert "figures" in compute(partial(figures_of, lanes), INPUTS)
    message = r"^files of macforge have changed since .+:\d+ began$"
    with pytest.raises(WorkerError, match=message):
        compute(partial(figures_of, changing), INPUTS)
    # nor is what comes after
    with pytest.raises(WorkerError, match=message):
        compute(partial(figures_of, lanes), INPUTS)
