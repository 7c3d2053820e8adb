"""The page of mutants says which faults of the NumPy model its tests find."""

import sqlite3
from contextlib import closing

import pytest

from docs.figures.model_mutants import MARKS, Fault, annotated, drawn, faults, section
from docs.figures.mutants import PATH

SOURCE = "def f(x: int | None = 3) -> int | None:\n    y: int | None = x\n    return y * 2 + 1\n"
# Rows and columns of operators and numbers: the first three are in annotations.
PLACES = [(1, 13), (1, 32), (2, 11), (1, 22), (3, 13), (3, 15), (3, 17), (3, 19)]


@pytest.fixture
def session(tmp_path):
    """A session of cosmic-ray with two faults at each place, and the source they are in."""
    (tmp_path / "f.py").write_text(SOURCE)
    path = tmp_path / "session.sqlite"
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("create table work_items (job_id)")
        file.execute(
            "create table mutation_specs (module_path, operator_name, occurrence, start_pos_row, start_pos_col, "
            "definition_name, job_id)"
        )
        file.execute("create table work_results (job_id, test_outcome, diff)")
        for index, (row, column) in enumerate(PLACES):
            for operator in ("a", "b"):
                job = f"{operator}{index}"
                file.execute("insert into work_items values (?)", (job,))
                values = ("f.py", operator, index, row, column, "f", job)
                file.execute("insert into mutation_specs values (?, ?, ?, ?, ?, ?, ?)", values)
    return path


def jobs(session):
    with closing(sqlite3.connect(session)) as file:
        found = {
            table: file.execute(f"select job_id from {table}").fetchall() for table in ("work_items", "mutation_specs")
        }
    assert sorted(found["work_items"]) == sorted(found["mutation_specs"])
    return [job for (job,) in found["work_items"]]


def test_annotations():
    lines = SOURCE.splitlines()
    texts = [lines[top - 1][left:right] for top, left, _bottom, right in annotated(SOURCE)]
    assert texts == ["int | None"] * 3


@pytest.mark.parametrize(("count", "left"), [(3, 3), (100, 5)])
def test_no_two_faults_of_a_place_and_none_of_annotations(session, count, left):
    drawn(session, session.parent, count)
    found = jobs(session)
    assert len(found) == left
    places = {int(job[1:]) for job in found}
    assert len(places) == left and not places & {0, 1, 2}


def test_faults_are_those_that_were_run(session):
    drawn(session, session.parent, 2)
    with pytest.raises(ValueError, match=r"^Faults must be killed or survive, which one of f\.py does not: None$"):
        faults(session)
    diff = "--- a/f.py\n+++ b/f.py\n@@ -1 +1 @@\n def f\n-    return y * 2\n+    return y * 3\n"
    with closing(sqlite3.connect(session)) as file, file:
        for job, outcome in zip(jobs(session), ("KILLED", "SURVIVED"), strict=True):
            file.execute("insert into work_results values (?, ?, ?)", (job, outcome, diff))
    assert faults(session) == [Fault("f.py", "f", "return y * 2", "return y * 3", killed) for killed in (False, True)]


def test_section():
    found = [Fault("sw_ref/arith/x.py", "f", "a | b", "a & b", killed) for killed in (False, True, True)]
    text = section([*found, Fault("sw_ref/drain/y.py", "g", "1", "2", True)], "0123abc")
    assert "commit 0123abc" in text and "4 faults" in text
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    assert rows[2:5] == [
        ["`sw_ref/arith`", "3", "2", "66.7%"],
        ["`sw_ref/drain`", "1", "1", "100.0%"],
        ["all", "4", "3", "75.0%"],
    ]
    assert rows[-1] == ["`arith/x.py`", "f", r"a \| b", "a & b"]


def test_page_has_a_place_for_them():
    assert all(mark in PATH.read_text(encoding="utf-8") for mark in MARKS)
