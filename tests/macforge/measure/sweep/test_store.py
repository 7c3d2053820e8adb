"""The file of results: what is in it, for whom, and what else it must not be."""

import csv
import io
import json
import re
import sqlite3
from contextlib import closing

import pytest

from macforge.measure.sweep.spec import load_sweep
from macforge.measure.sweep.store import Store, as_csv


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.sqlite"


@pytest.fixture
def load(tmp_path):
    def call(name, text):
        file = tmp_path / f"{name}.toml"
        file.write_text(f'designs = ["w4a8_os"]\nfamilies = ["xc7", "ecp5"]\n{text}')
        return load_sweep(file)

    return call


def record(store, point, **figures):
    store.record(point, json.dumps(figures), seconds=1.5, worker="here:1")


def test_results_are_found_by_content(path, load):
    wide, narrow = load("wide", "set.lanes = [1, 2]"), load("narrow", "")
    with Store(path) as store:
        store.list_points(wide)
        for number, point in enumerate(wide.points):
            record(store, point, lut=number)
    with Store(path) as store:
        store.list_points(narrow)
        found = store.results(narrow)
        assert [found[point.key]["figures"] for point in narrow.points] == [{"lut": 0}, {"lut": 1}]
        assert {result["status"] for result in found.values()} == {"done"}
        assert len(found) == 2
        assert len(store.results(wide)) == 4
        # what a sweep does not ask for any more stays for the next that does
        fewer = load("wide", "set.lanes = [2]")
        store.list_points(fewer)
        assert len(store.results(fewer)) == 2
        store.list_points(wide)
        assert len(store.results(wide)) == 4


def test_last_result_of_a_point_holds(path, load):
    sweep = load("one", "")
    point = sweep.points[0]
    with Store(path) as store:
        store.list_points(sweep)
        store.record_failure(point, "ToolError: no", "all of it")
        assert store.results(sweep) == {
            point.key: {"key": point.key, "status": "failed", "figures": {}, "error": "ToolError: no"}
        }
        record(store, point, lut=3)
        assert store.results(sweep)[point.key] == {
            **{"key": point.key, "status": "done", "figures": {"lut": 3}, "error": None}
        }


@pytest.mark.parametrize("figures", ["", "{", '{"lut": 1', "[1]", "3", "garbage"])
def test_damaged_figures_are_not_believed(path, load, figures):
    sweep = load("one", "")
    first, second = sweep.points
    with Store(path) as store:
        store.list_points(sweep)
        for point in (first, second):
            record(store, point, lut=1)
        with closing(sqlite3.connect(path)) as other:
            other.execute("UPDATE results SET figures = ? WHERE key = ?", (figures, first.key))
            other.commit()
        assert list(store.results(sweep)) == [second.key]
        assert [row["area.lut"] for row in store.table(sweep)] == [None, 1]
        record(store, first, lut=2)
        assert [row["area.lut"] for row in store.table(sweep)] == [2, 1]


def test_table_has_the_same_columns_in_every_row(path, load):
    sweep = load("table", "[[set]]\n[[set]]\nlanes = 2\n[measure.area]\n[measure.schedule]")
    with Store(path) as store:
        store.list_points(sweep)
        assert {tuple(row.values()) for row in store.table(sweep)} == {
            ("w4a8_os", lanes, family, None, None) for lanes in (None, 2) for family in ("xc7", "ecp5")
        }
        areas = [point for point in sweep.points if point.measure == "area"]
        record(store, areas[0], lut=5, modes=[1, 2])
        record(store, areas[1], lut=6, note=None)
        for point in sweep.points:
            if point not in areas[:2]:
                store.record_failure(point, "ValueError: no", "")
        table = store.table(sweep)
    assert {tuple(row) for row in table} == {
        ("design", "set.lanes", "family", "seed", "failed", "area.lut", "area.modes", "area.note")
    }
    assert [row["area.lut"] for row in table] == [5, 6, None, None]
    assert [row["failed"] for row in table] == [
        *["schedule: ValueError: no"] * 2,
        *["area, schedule: ValueError: no"] * 2,
    ]
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert list(rows[0]) == ["design", "set.lanes", "family", "seed", "failed", "area.lut", "area.note"]
    assert [row["area.lut"] for row in rows] == ["5", "6", "", ""]


def test_anybody_can_query_it_meanwhile(path, load):
    sweep = load("open", "set.lanes = [1, 2]")
    query = "SELECT design, settings, family, json_extract(figures, '$.lut') FROM measured WHERE sweep = 'open'"
    with Store(path) as store:
        store.list_points(sweep)
        record(store, sweep.points[2], lut=7)
        with closing(sqlite3.connect(path)) as other:
            rows = other.execute(query).fetchall()
            inputs, seconds, worker = other.execute("SELECT inputs, seconds, worker FROM results").fetchone()
    assert rows == [
        ("w4a8_os", '{"lanes": 1}', "xc7", None),
        ("w4a8_os", '{"lanes": 1}', "ecp5", None),
        ("w4a8_os", '{"lanes": 2}', "xc7", 7),
        ("w4a8_os", '{"lanes": 2}', "ecp5", None),
    ]
    assert json.loads(inputs) == json.loads(json.dumps(sweep.points[2].inputs))
    assert (seconds, worker) == (1.5, "here:1")
    # one file is left
    assert [file.name for file in path.parent.glob("results*")] == ["results.sqlite"]


def test_listing_that_breaks_off_leaves_the_old_one(path, load):
    sweep = load("one", "")
    with Store(path) as store:
        store.list_points(sweep)
        for point in sweep.points:
            record(store, point, lut=1)
        with closing(sqlite3.connect(path)) as other:
            stop = "BEFORE INSERT ON points WHEN NEW.row = 1 BEGIN SELECT RAISE(ABORT, 'enough'); END"
            other.execute(f"CREATE TRIGGER stop {stop}")
        with pytest.raises(OSError, match=r"^Results cannot be kept in .*results\.sqlite: enough$"):
            store.list_points(sweep)
        assert len(store.results(sweep)) == 2


@pytest.mark.parametrize("content", ["text", "tables", "version"])
def test_other_files_are_refused(path, content):
    if content == "text":
        path.write_text("This is no database, but it is longer than the head of one would be, by far. " * 4)
    elif content == "tables":
        with closing(sqlite3.connect(path)) as file:
            file.execute("CREATE TABLE results (key TEXT)")
    else:
        Store(path).close()
        with closing(sqlite3.connect(path)) as file:
            file.execute("PRAGMA user_version = 9")
    before = path.read_bytes()
    message = rf"^Results must go to a new file or one of this version's sweeps, not to {re.escape(str(path))}$"
    with pytest.raises(ValueError, match=message):
        Store(path)
    assert path.read_bytes() == before


def test_no_folder(tmp_path):
    with pytest.raises(OSError, match=r"^Results cannot be kept in .*none/x\.sqlite: unable to open database file$"):
        Store(tmp_path / "none" / "x.sqlite")
