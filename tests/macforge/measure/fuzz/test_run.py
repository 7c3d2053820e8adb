"""Runs of random designs: what is planted is found, shrunk and written; what is done is not done again."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from macforge.design.design import design_of, load_design
from macforge.design.named import design_table
from macforge.measure.fuzz import run as fuzz_run
from macforge.measure.fuzz.run import Failure, Run, drawn_design, failures_of, shrunk_design, write_failures
from macforge.measure.fuzz.trial import Fault, Verdict, try_design
from macforge.measure.sweep.store import Store
from tests.broken import STUCK_BIT

ROOT = Path(__file__).parents[4]
FAULT = Fault(stage="simulate", kind="simulate: planted", reason="planted", log="planted, in full")


def planted(_name, table, *, seed, stages=()):
    """Whatever has two lanes and several rows fails."""
    shows = table["lanes"] > 1 and table["array"]["rows"] > 1
    return Verdict(faults=(FAULT,) if shows else ())


def first_failure():
    number = next(n for n in range(99) if planted("", drawn_design(4, n, ("mac",)), seed=0).faults)
    return Failure(fault=FAULT, count=1, name="fuzzed", number=number, design=drawn_design(4, number, ("mac",)))


def test_failures_shrink_to_what_they_are_about():
    failure = first_failure()
    small = shrunk_design(failure, seed=4, families=("mac",), tries=25, attempt=planted)
    assert planted("", small, seed=0).faults
    assert len(json.dumps(small)) < len(json.dumps(failure.design))
    assert set(small) <= {"family", "act", "weight", "lanes", "dataflow", "array", "tiling"}
    # what has run out of tries is the smallest so far
    assert planted("", shrunk_design(failure, seed=4, families=("mac",), tries=3, attempt=planted), seed=0).faults


def test_failures_are_written_as_designs(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_run, "shrunk_design", lambda failure, **_how: failure.design)
    failure = first_failure()
    figures = {"fuzz.faults": [vars(FAULT)], "fuzz.design": failure.design}
    rows = [{"design": "fuzzed", "seed": number, **figures} for number in (failure.number, 90)]
    rows.append({"design": "fuzzed", "seed": 91, "fuzz.faults": []})
    assert [(one.count, one.number) for one in failures_of(rows)] == [(2, failure.number)]
    (written,) = write_failures(Run(seed=4, count=1, families=("mac",)), rows, tmp_path / "failed")
    assert written["designs"] == 2
    text = Path(written["file"]).read_text()
    assert text.startswith("# simulate: planted\n# planted\n# 2 designs of seed 4 show it; again:\n")
    # of a given design there is a file
    given = Run(seed=4, count=1, given={"fuzzed": failure.design})
    assert write_failures(given, rows, tmp_path / "failed") == [{"fault": FAULT.kind, "designs": 2, "file": "fuzzed"}]
    assert load_design(written["file"]).to_table() == design_of("00_simulate", failure.design).to_table()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, None),
        ({"act": "fp4_e2m1"}, "refused"),
        ({"summary": "two\nlines", "act": "foo\nbar"}, "refused"),
    ],
)
def test_designs_are_refused_or_go_on(changes, kind):
    name, table = design_table("w4a4_os", ["array.rows=1", "array.cols=1", "tiling.max_k=8"])
    verdict = try_design(name, {**table, **changes}, seed=0, stages=["lint"])
    assert verdict.outcome == (kind or "passed"), verdict


def test_what_is_not_one_line_is_a_fault(monkeypatch):
    def breaks(*_arguments):
        raise ValueError("two\nlines")

    monkeypatch.setattr("macforge.measure.fuzz.trial.design_of", breaks)
    (fault,) = try_design("any", {}, seed=0).faults
    assert fault.kind.startswith("describe: Refusal must be one line")

    def fails(*_arguments):
        raise KeyError("what nobody thought of")

    monkeypatch.setattr("macforge.measure.fuzz.trial.design_of", fails)
    (fault,) = try_design("any", {}, seed=0).faults
    assert fault.kind == "describe: KeyError in tests/macforge/measure/fuzz/test_run.py:fails"
    assert "Traceback" in fault.log


def test_run_goes_on_where_it_stopped(macforge, tmp_path):
    command = ["fuzz", "-o", tmp_path / "out", "--seed", 3, "--stages", "lint", "--families", "bit_serial", "-j", 1]
    code, out, err = macforge(*command, "--count", 2)
    assert (code, out) == (0, "") and "2 trials: " in err
    code, _out, err = macforge(*command, "--count", 3)
    assert code == 0 and "3 trials: " in err
    lines = (tmp_path / "out" / "trials.csv").read_text().splitlines()
    assert len(lines) == 4 and "bit_serial" in lines[1]
    run = Run(seed=3, count=3, families=("bit_serial",), stages=("lint",))
    with Store(tmp_path / "out" / "trials.sqlite") as store:
        done = store.results(run)
    # the first two were not computed again
    assert set(done) == {task.key for task in run.points}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--families", "mak"], r"Family must be one of mac, .*, not 'mak'; did you mean mac\?"),
        (["--stages", "lnt"], "Stage must be one of lint, simulate, accelerate, synthesize, not 'lnt'"),
        (["--set", "lanes=2"], "Settings must come with a design that they change"),
        (["w8a8_os", "--families", "mac"], "Families are drawn from where no design is given"),
    ],
)
def test_wrong_requests_are_one_line(macforge, tmp_path, arguments, message):
    code, _out, err = macforge("fuzz", "-o", tmp_path / "out", *arguments)
    assert code == 2
    assert re.match(f"macforge: {message}", err)


# Tries products whose second bit is stuck, until one is found, and shrinks it.
HUNT = """
import json
from macforge.measure.fuzz.run import Failure, drawn_design, operand_seed, shrunk_design
from macforge.measure.fuzz.trial import try_design

for number in range(20):
    table = drawn_design(0, number, ("mac",))
    verdict = try_design("fuzzed", table, seed=operand_seed(0, number), stages=["simulate"])
    if verdict.faults:
        break
failure = Failure(fault=verdict.faults[0], count=1, name="fuzzed", number=number, design=table)
small = shrunk_design(failure, seed=0, families=("mac",), tries=12)
print(json.dumps({"kind": failure.fault.kind, "before": table, "after": small}))
"""


@pytest.mark.long
def test_broken_pe_is_found_and_shrunk():
    done = subprocess.run(
        [sys.executable, "-c", STUCK_BIT + HUNT], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kind"] == "simulate: # of # results differ, the first in row #, column #: #, not #"
    assert len(json.dumps(found["after"])) < len(json.dumps(found["before"]))
