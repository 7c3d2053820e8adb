"""Results of sweeps in a SQLite file: each kept as soon as it is there, and found again by its content."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from macforge.measure.sweep.points import Task, Tasks

__all__ = ["Store", "as_csv"]

# How SQLite knows the file as ours, and of which form it is.
_APPLICATION_ID = 0x6D666773
_VERSION = 1

_SCHEMA = (
    """
    CREATE TABLE results (
        key TEXT PRIMARY KEY,    -- SHA-256 of inputs
        inputs TEXT NOT NULL,    -- JSON: what was measured, of which design, with which tools and source of macforge
        status TEXT NOT NULL CHECK (status IN ('done', 'failed')),
        figures TEXT,            -- JSON, if done
        error TEXT,              -- one line, if failed
        log TEXT,                -- all there is to know of a failure
        seconds REAL,            -- that it took to compute
        worker TEXT,             -- host:process that computed it
        recorded TEXT NOT NULL   -- UTC, ISO 8601
    )
    """,
    """
    CREATE TABLE points (        -- what sweeps ask for: for each row of a sweep, a point for each measurement
        sweep TEXT NOT NULL,
        row INTEGER NOT NULL,
        design TEXT NOT NULL,
        settings TEXT NOT NULL,  -- JSON
        family TEXT,
        seed INTEGER,
        measure TEXT NOT NULL,
        key TEXT NOT NULL,
        PRIMARY KEY (sweep, row, measure)
    )
    """,
    """
    CREATE VIEW measured AS      -- what people query
    SELECT sweep, row, design, settings, family, seed, measure, status, figures, error, seconds, worker, recorded, key
    FROM points LEFT JOIN results USING (key) ORDER BY sweep, row
    """,
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)


class Store:
    """The results of any number of sweeps; to be closed, or used as a context.

    Two tables: `results` by key, and what each sweep asked for last in `points`; the view `measured` joins them, and
    ``json_extract(figures, '$.lut_per_mac')`` is one figure. A result stays when nobody asks for it any more.

    Parameters
    ----------
    path : str or Path
        Made if it is not there.

    Raises
    ------
    ValueError
        If the file is another one.
    OSError
        If the file cannot be read or written, now or later.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        with self._explained():
            # what is not in a transaction of its own is written at once
            self._file = sqlite3.connect(self._path, timeout=60, isolation_level=None)
            self._file.row_factory = sqlite3.Row
            self._prepare()

    def _prepare(self) -> None:
        """Make the tables of a new file, or see that they are there."""
        try:
            if self._is_empty():
                # readers may look at it meanwhile
                self._file.execute("PRAGMA journal_mode = WAL")
                with self._transaction():
                    # another process may have been quicker
                    for statement in _SCHEMA if self._is_empty() else ():
                        self._file.execute(statement)
            form = [self._file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        except sqlite3.DatabaseError as error:
            self._file.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            form = None
        if form != [_APPLICATION_ID, _VERSION]:
            self._file.close()
            raise ValueError(f"Results must go to a new file or one of this version's sweeps, not to {self._path}")

    def _is_empty(self) -> bool:
        return not self._file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave one whole file."""
        self._file.close()

    def list_points(self, sweep: Tasks) -> None:
        """Note what the sweep asks for, in place of what it did."""
        points = [
            (sweep.name, number, row.design, json.dumps(row.settings), row.family, row.seed, measure, point.key)
            for number, row in enumerate(sweep.rows)
            for measure, point in row.points.items()
        ]
        with self._explained(), self._transaction():
            self._file.execute("DELETE FROM points WHERE sweep = ?", (sweep.name,))
            self._file.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?)", points)

    def record(self, point: Task, figures: str, *, seconds: float, worker: str) -> None:
        """Keep the figures of a point, which are JSON already."""
        self._record(point, status="done", figures=figures, seconds=seconds, worker=worker)

    def record_failure(self, point: Task, error: str, log: str) -> None:
        """Keep why there are no figures of a point."""
        self._record(point, status="failed", error=error, log=log)

    def _record(self, point: Task, **values: object) -> None:
        values |= {"key": point.key, "inputs": json.dumps(point.inputs)}
        values |= {"recorded": datetime.now(UTC).isoformat(timespec="seconds")}
        with self._explained():
            self._file.execute(
                f"INSERT OR REPLACE INTO results ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
                tuple(values.values()),
            )

    def results(self, sweep: Tasks) -> dict[str, dict[str, Any]]:
        """By key ``status``, ``figures`` and ``error`` of what is recorded of the points that `list_points` noted.

        Figures that are damaged count as not recorded.
        """
        query = "SELECT DISTINCT key, status, figures, error FROM measured WHERE sweep = ? AND status IS NOT NULL"
        with self._explained():
            found = [dict(row) for row in self._file.execute(query, (sweep.name,))]
        for result in found:
            result["figures"] = _figures(result["figures"]) if result["status"] == "done" else {}
        return {result["key"]: result for result in found if result["figures"] is not None}

    def table(self, sweep: Tasks) -> list[dict[str, Any]]:
        """The rows of a sweep: what each is of, figures as ``<measurement>.<figure>``, and why some are missing.

        All have the same keys, with None for what one has not.
        """
        results = self.results(sweep)
        settings = dict.fromkeys(f"set.{key}" for row in sweep.rows for key in row.settings)
        table = []
        for row in sweep.rows:
            found = {name: results[point.key] for name, point in row.points.items() if point.key in results}
            labels = {f"set.{key}": value for key, value in row.settings.items()}
            labels = {"design": row.design, **settings, **labels, "family": row.family, "seed": row.seed}
            figures = {f"{name}.{key}": value for name, one in found.items() for key, value in one["figures"].items()}
            table.append({**labels, "failed": _failures(found), **figures})
        columns = dict.fromkeys(key for row in table for key in row)
        return [{key: row.get(key) for key in columns} for row in table]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # as a context, the connection commits or rolls back
        with self._file:
            self._file.execute("BEGIN IMMEDIATE")
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OSError(f"Results cannot be kept in {self._path}: {error}") from error


def _figures(text: str | None) -> dict[str, Any] | None:
    """What `Store.record` was given; None if that is not what the text is any more."""
    try:
        figures = json.loads(text or "")
    except (ValueError, TypeError):
        return None
    return figures if isinstance(figures, dict) else None


def _failures(results: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Why figures are missing, each reason once."""
    reasons: dict[object, list[str]] = {}
    for name, result in results.items():
        reasons.setdefault(result["error"], []).append(name)
    reasons.pop(None, None)
    return "; ".join(f"{', '.join(names)}: {error}" for error, names in reasons.items()) or None


def as_csv(table: list[dict[str, Any]]) -> str:
    """Rows with the same keys as CSV, without what is not a single value in any of them."""
    columns = [key for key in table[0] if not any(isinstance(row[key], dict | list) for row in table)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()
