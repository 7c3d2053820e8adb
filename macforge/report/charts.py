"""The report's charts: what a product costs on each FPGA family, how fast it is, and what accuracy it buys."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import altair as alt

from macforge.model.pareto import Front

__all__ = ["chart_specs", "first_family", "front_specs", "label_heights", "on_front"]

_PARTS = {"cells_per_mac": "cells", "edges_per_mac": "edges of operands", "drain_per_mac": "drain edge"}
_HEIGHT = 440
# Pixels from one name in a chart to the next, and from one bar to the next.
_LINE = 15
_BAR = 21
_FAMILY = "datum.fpga == fpga"


def chart_specs(
    rows: Sequence[Mapping[str, Any]], *, accuracy: Mapping[str, str], use: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Each chart as a Vega-Lite specification, as wide as its place, of the FPGA family in its parameter ``fpga``.

    Parameters
    ----------
    rows : sequence of dict
        For each design and family ``design``, ``pe``, ``operands``, ``fpga``, ``unit``, ``size_per_mac`` and its parts,
        ``ratio``, ``fmax_mhz`` and ``mmacs_per_unit`` or None, and figures of accuracy.
    accuracy : dict of str to str
        Which figures those are, the more the better: key to title.
    use : sequence of dict
        For each design and number of rows ``design``, ``rows`` and ``use``, see `macforge.measure.use`.
    """
    unit = "LUT" if all(row["unit"].startswith("LUT") for row in rows) else "size"
    charts = [*(_pareto(rows, unit, key, title) for key, title in accuracy.items()), _size(rows, unit)]
    if any(row["mmacs_per_unit"] for row in rows):
        charts.append(_speed(rows, unit))
    if use:
        charts.append(_use(use))
    family = alt.param(name="fpga", value=first_family(rows))
    return [_styled(chart.add_params(family)).to_dict() for chart in charts]


def front_specs(fronts: Sequence[Front]) -> list[dict[str, Any]]:
    """The chart of each front as a Vega-Lite specification, as wide as its place."""
    subtitle = "Down and to the left is better; the line joins the best choices of designs for the layers"
    return [
        _styled(
            front.chart.properties(
                width="container",
                height=_HEIGHT,
                title=alt.TitleParams(f"Loss of {front.model} against {front.budget}", subtitle=subtitle),
            )
        ).to_dict()
        for front in fronts
    ]


def first_family(rows: Sequence[Mapping[str, Any]]) -> str:
    """The family that is shown first: one that every chart has something of, if there is."""
    return next((row["fpga"] for row in rows if row["mmacs_per_unit"]), rows[0]["fpga"])


def on_front(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], accuracy: str) -> bool:
    """Whether no other row of the same family is as accurate and smaller, or as small and more accurate."""
    if row[accuracy] is None:
        return False
    mine = (row["size_per_mac"], -row[accuracy])
    return not any(
        other["fpga"] == row["fpga"]
        and other[accuracy] is not None
        and (other["size_per_mac"], -other[accuracy]) != mine
        and other["size_per_mac"] <= mine[0]
        and -other[accuracy] <= mine[1]
        for other in rows
    )


def label_heights(values: Sequence[float], distance: float) -> list[float]:
    """Where names of points stand, from the lowest on: at their points, or above the next lower name.

    Parameters
    ----------
    values : sequence of float
        Heights of points, ascending.
    distance : float
        Least distance of two names.
    """
    heights = list(values)
    for lower, upper in pairwise(range(len(heights))):
        heights[upper] = max(heights[upper], heights[lower] + distance)
    return heights


def _styled(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    return (
        chart.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
        .configure_view(stroke=None)
        .configure_axis(labelLimit=220, titleFontWeight="normal", gridColor="#eee", labelFontSize=12, titleFontSize=12)
        .configure_legend(orient="bottom", columns=6, symbolLimit=40, labelFontSize=12)
        .configure_title(anchor="start", fontSize=15, offset=12, subtitleColor="#555", subtitleFontSize=12)
    )


def _data(rows: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    left_out = ("command", "failed", "pending", "dataflow")
    return alt.InlineData(values=[{key: row[key] for key in row if key not in left_out} for row in rows])


def _tooltip(unit: str, *more: alt.Tooltip) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("design:N"),
        alt.Tooltip("operands:N"),
        alt.Tooltip("pe:N", title="processing element"),
        alt.Tooltip("size_per_mac:Q", title=f"{unit}/MAC", format=".1f"),
        alt.Tooltip("unit:N"),
        alt.Tooltip("ratio:Q", title="ratio to acc + a*b", format=".2f"),
        *more,
    ]


def _bars_height(rows: Sequence[Mapping[str, Any]]) -> int:
    """Of a chart with a bar for each design; for a chart as wide as its place, Vega-Lite takes no height of a step."""
    return _BAR * len({row["design"] for row in rows})


def _size(rows: Sequence[Mapping[str, Any]], unit: str) -> alt.Chart:
    """Bars of size, by what takes it."""
    title = alt.TitleParams(f"{unit}/MAC", subtitle=f"{unit} for one product a cycle: cells, their edges, drain edge")
    return (
        alt.Chart(_data(rows))
        .transform_filter(_FAMILY)
        .transform_fold(list(_PARTS), as_=["part", "size"])
        .transform_calculate(part=f"{_PARTS!r}[datum.part]", order=f"indexof({list(_PARTS.values())!r}, datum.part)")
        .mark_bar()
        .encode(
            x=alt.X("sum(size):Q", title=f"{unit}/MAC"),
            y=alt.Y("design:N", title=None, sort=alt.EncodingSortField("size", op="sum")),
            color=alt.Color(
                "part:N",
                title=None,
                sort=list(_PARTS.values()),
                scale=alt.Scale(range=["#3b6fb6", "#8db4e2", "#d9a441"]),
            ),
            order=alt.Order("order:Q"),
            tooltip=[*_tooltip(unit), alt.Tooltip("part:N"), alt.Tooltip("size:Q", title="of it", format=".1f")],
        )
        .properties(width="container", height=_bars_height(rows), title=title)
    )


def _pareto(rows: Sequence[Mapping[str, Any]], unit: str, key: str, title: str) -> alt.LayerChart | alt.FacetChart:
    """Points of size and accuracy, and the line of those that nothing beats, with their names."""
    rows = [row for row in rows if row[key] is not None]
    domain, labels = _labels(rows, key)
    data = _data([{**row, "front": id(row) in labels, "label": labels.get(id(row))} for row in rows])
    base = alt.Chart(data).transform_filter(_FAMILY)
    front = base.transform_filter("datum.front")
    sizes = [row["size_per_mac"] for row in rows]
    # names stand to the left of their points, where the line leaves room
    x = alt.X(
        "size_per_mac:Q",
        title=f"{unit}/MAC (logarithmic)",
        scale=alt.Scale(type="log", domain=[min(sizes) / 2.6, 1.15 * max(sizes)], nice=False),
    )
    # names may stand where no cosine can
    is_cosine = max(row[key] for row in rows) <= 1
    axis = alt.Axis(labelExpr="datum.value > 1 ? '' : datum.label") if is_cosine else alt.Axis()
    y = alt.Y(f"{key}:Q", title=title, scale=alt.Scale(domain=domain, nice=False), axis=axis)
    chosen = alt.selection_point(name=f"chosen_{key}", fields=["pe"], bind="legend")
    points = (
        base.mark_circle(size=110)
        .encode(
            x=x,
            y=y,
            color=alt.Color("pe:N", title=None),
            opacity=alt.when(chosen).then(alt.value(0.9)).otherwise(alt.value(0.1)),
            tooltip=_tooltip(unit, alt.Tooltip(f"{key}:Q", title=title, format=".4f")),
        )
        .add_params(chosen)
    )
    names = front.mark_text(align="right", dx=-9, dy=-3, fontSize=11).encode(x=x, y="label:Q", text="design:N")
    line = front.mark_line(color="#999", interpolate="step-after", strokeDash=[4, 3]).encode(
        x=x, y=y, order="size_per_mac:Q"
    )
    leader = front.mark_rule(color="#bbb").encode(x=x, y=y, y2="label:Q")
    subtitle = "Up and to the left is better; the line joins the designs that no other beats. Click the legend."
    return alt.layer(line, leader, points, names).properties(
        width="container", height=_HEIGHT, title=alt.TitleParams(f"{title} against {unit}/MAC", subtitle=subtitle)
    )


def _labels(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[list[float], dict[int, float]]:
    """Range of the axis, and heights of the names of each family's rows on its front, by their identity."""
    values = [row[key] for row in rows]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - margin, high + 2 * margin
    fronts = [
        sorted((row for row in rows if row["fpga"] == family and on_front(row, rows, key)), key=lambda row: row[key])
        for family in dict.fromkeys(row["fpga"] for row in rows)
    ]
    found: dict[int, float] = {}
    # names above the range make it longer, and so do the distances of names then
    for _ in range(4):
        distance = _LINE * (high - low) / _HEIGHT
        for front in fronts:
            heights = label_heights([row[key] for row in front], distance)
            found |= {id(row): height for row, height in zip(front, heights, strict=True)}
        high = max(high, *(height + distance for height in found.values()))
    return [low, high], found


def _speed(rows: Sequence[Mapping[str, Any]], unit: str) -> alt.Chart:
    """Bars of products a second for each unit of size."""
    what = f"MMAC/s/{unit}"
    subtitle = f"Million products a second for each {unit}: Fmax over {unit}/MAC, where there is open place and route"
    return (
        alt.Chart(_data(rows))
        .transform_filter(_FAMILY)
        .transform_filter("isValid(datum.mmacs_per_unit)")
        .mark_bar(color="#3b6fb6")
        .encode(
            x=alt.X("mmacs_per_unit:Q", title=what, stack=None),
            y=alt.Y("design:N", title=None, sort="-x"),
            tooltip=_tooltip(
                unit,
                alt.Tooltip("fmax_mhz:Q", title="Fmax, MHz", format=".0f"),
                alt.Tooltip("mmacs_per_unit:Q", title=what, format=".2f"),
            ),
        )
        .properties(width="container", height=_bars_height(rows), title=alt.TitleParams(what, subtitle=subtitle))
    )


def _use(use: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """Lines of use over rows of activations."""
    subtitle = "What the array's peak or the words on the bus take at least, of the cycles of the accelerator"
    chosen = alt.selection_point(name="chosen_use", fields=["design"], bind="legend")
    return (
        alt.Chart(alt.InlineData(values=[dict(row) for row in use]))
        .mark_line(point=True)
        .encode(
            x=alt.X("rows:O", title="rows of activations: 1 is a step of decoding", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("use:Q", title="use", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("design:N", title=None),
            opacity=alt.when(chosen).then(alt.value(0.9)).otherwise(alt.value(0.1)),
            tooltip=["design:N", "rows:O", alt.Tooltip("use:Q", format=".3f")],
        )
        .add_params(chosen)
        .properties(width="container", height=_HEIGHT, title=alt.TitleParams("Use of array and bus", subtitle=subtitle))
    )
