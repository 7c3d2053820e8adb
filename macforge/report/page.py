"""The report as files: an HTML page that needs no network, whose tables sort and filter, Markdown, CSV and JSON."""

import base64
import json
from importlib import resources
from pathlib import Path

import altair as alt
import jinja2
import vl_convert
from markupsafe import Markup

from hw.emit.cache import write_whole
from macforge.measure import peers, sizes
from macforge.report.charts import chart_spec
from macforge.report.report import Report
from macforge.tables import figure, finite, to_json

__all__ = ["write_report"]


def write_report(report: Report, folder: str | Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``report.csv`` and ``report.json``, each whole or not at all."""
    table = {
        "layer": report.layer,
        "shape": report.shape,
        "designs": report.rows,
        "sizes": report.sizes,
        "finding": report.finding.to_table() if report.finding else None,
        "failures": report.failures,
        "peers": report.peers,
        "tools": report.tools,
    }
    templates = _templates()
    texts = {
        "report.html": templates.get_template("report.html.j2").render(
            report=report, peers=peers, charts=_charts(report), libraries=_libraries()
        ),
        "report.md": templates.get_template("report.md.j2").render(report=report, peers=peers),
        "report.csv": sizes.as_csv(finite(report.sizes)),
        "report.json": to_json(table) + "\n",
    }
    for name, text in texts.items():
        write_whole(Path(folder) / name, text)
    return [Path(folder) / name for name in texts]


def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("macforge.report"),
        autoescape=jinja2.select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["figure"] = figure
    return templates


def _charts(report: Report) -> Markup | None:
    """The specification of the charts, as JSON that a script can hold; None if there is nothing to show."""
    rows = [row for row in finite(report.sizes) if row["size_per_mac"] is not None]
    if not rows:
        return None
    accuracy = {key: title for key, title in sizes.ACCURACY.items() if any(row[key] is not None for row in rows)}
    return Markup(json.dumps(chart_spec(rows, accuracy=accuracy), allow_nan=False).replace("</", "<\\/"))


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
