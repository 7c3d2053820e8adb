"""The report as files: an HTML page that needs no network, whose tables sort and filter, Markdown, CSV and JSON."""

import base64
import dataclasses
import functools
import itertools
import json
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import vl_convert
from markupsafe import Markup

from fpga.families import COMPARED, find
from hw.emit.cache import write_whole
from macforge.measure import peers
from macforge.progress import duration
from macforge.report.charts import chart_specs, first_family, front_specs
from macforge.report.columns import Column
from macforge.report.report import Report
from macforge.report.sizes import ACCURACY, as_csv
from macforge.tables import figure, finite, to_json

__all__ = ["GrowingFiles", "write_report"]


class GrowingFiles:
    """The files of a report that is being made, written again and again, each time whole.

    Parameters
    ----------
    folder : str or Path
    clock : callable
        Seconds, from whenever.
    """

    EVERY = 20
    """Seconds after which the files are written again, whatever has been done meanwhile."""

    def __init__(self, folder: str | Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = Path(folder), clock
        self._written: float | None = None
        self._complete_rows = 0

    def update(self, report: Report) -> list[Path]:
        """Write them if there is reason to: at first, in the end, when a design's row is complete, or after `EVERY`.

        Returns
        -------
        list of Path
            What was written.
        """
        now = self._clock()
        is_due = self._written is None or now - self._written >= self.EVERY
        if not (is_due or report.complete_rows > self._complete_rows or report.state.is_complete):
            return []
        self._written, self._complete_rows = now, report.complete_rows
        return write_report(report, self._folder)


def write_report(report: Report, folder: str | Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``report.csv`` and ``report.json``, each whole or not at all."""
    table = {
        "layer": report.layer,
        "shape": report.shape,
        "complete": report.state.is_complete,
        "steps": {"done": report.state.done, "total": report.state.total},
        "sources_changed": report.sources_changed,
        "designs": report.rows,
        "sizes": report.sizes,
        "finding": report.finding.to_table() if report.finding else None,
        "failures": report.failures,
        "peers": report.peers,
        "fronts": [dataclasses.asdict(front) for front in report.fronts],
        "tools": report.tools,
    }
    templates = _templates()
    common = {"report": report, "peers": peers, "now": datetime.now().astimezone(), "compared": _compared()}
    texts = {
        "report.html": templates.get_template("report.html.j2").render(
            **common,
            **_charts(report),
            front_charts=_as_scripts(front_specs(report.fronts)),
            libraries=_libraries(),
            every=GrowingFiles.EVERY,
        ),
        "report.md": templates.get_template("report.md.j2").render(**common),
        "report.csv": as_csv(report.sizes),
        "report.json": to_json(table) + "\n",
    }
    for name, text in texts.items():
        write_whole(Path(folder) / name, text)
    return [Path(folder) / name for name in texts]


def _compared() -> str:
    """The compared families, for people."""
    return " and ".join(find(family).title for family in COMPARED)


@functools.cache
def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("macforge.report"),
        autoescape=jinja2.select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"figure": figure, "duration": duration, "groups": _groups}
    return templates


def _groups(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """What stands above neighbouring columns, and how many these are."""
    return [(group, len(list(those))) for group, those in itertools.groupby(column.group for column in columns)]


def _charts(report: Report) -> dict[str, Any]:
    """The charts of designs, and the families that they are of."""
    rows = [row for row in finite(report.sizes) if row["size_per_mac"] is not None]
    if not rows:
        return {"charts": [], "chart_families": {}, "first_family": None}
    accuracy = {key: title for key, title in ACCURACY.items() if any(row[key] is not None for row in rows)}
    return {
        "charts": _as_scripts(chart_specs(rows, accuracy=accuracy, use=report.use)),
        "chart_families": {family: find(family) for family in dict.fromkeys(row["fpga"] for row in rows)},
        "first_family": first_family(rows),
    }


def _as_scripts(specs: Iterable[dict[str, Any]]) -> list[Markup]:
    """Specifications of charts as JSON that a script can hold."""
    return [Markup(json.dumps(spec, allow_nan=False).replace("</", "<\\/")) for spec in specs]


@functools.cache
def _libraries() -> dict[str, Markup]:
    """What the page brings along: a script that draws charts, and a module and the style of tables."""
    tables = resources.files("itables") / "html"
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    module = base64.b64encode((tables / "dt_bundle.js").read_bytes()).decode()
    return {
        "charts": Markup(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)),
        "tables": Markup(f"data:text/javascript;base64,{module}"),
        "style": Markup((tables / "dt_bundle.css").read_text(encoding="utf-8")),
    }
