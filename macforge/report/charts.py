"""The report's charts: what a product costs on each FPGA family, how fast it is, and what accuracy it buys."""

from collections.abc import Mapping, Sequence

import altair as alt

__all__ = ["chart_spec", "on_front"]

_PARTS = {"cells_per_mac": "cells", "edges_per_mac": "edges of operands", "drain_per_mac": "drain edge"}
_WIDTH = 720


def chart_spec(rows: Sequence[Mapping[str, object]], *, accuracy: Mapping[str, str]) -> dict[str, object]:
    """All charts as one Vega-Lite specification, of one FPGA family at a time, which the page lets choose.

    Parameters
    ----------
    rows : sequence of dict
        For each design and family ``design``, ``pe``, ``operands``, ``fpga``, ``unit``, ``size_per_mac`` and its parts,
        ``ratio``, ``fmax_mhz`` and ``mmacs_per_unit`` or None, and figures of accuracy.
    accuracy : dict of str to str
        Which figures those are, the more the better: key to title.
    """
    families = list(dict.fromkeys(row["fpga"] for row in rows))
    # first of all one that every chart has something of
    shown = next((row["fpga"] for row in rows if row["mmacs_per_unit"]), families[0])
    family = alt.param(name="fpga", value=shown, bind=alt.binding_select(options=families, name="Family "))
    data = alt.InlineData(
        values=[{**row, **{f"front_{key}": on_front(row, rows, key) for key in accuracy}} for row in rows]
    )
    base = alt.Chart(data).transform_filter("datum.fpga == fpga")
    charts = [_size(base), *(_pareto(base, key, title) for key, title in accuracy.items()), _speed(base)]
    return (
        alt.vconcat(*charts, spacing=40)
        .add_params(family)
        .resolve_scale(color="independent")
        .configure_view(stroke=None)
        .configure_axis(labelLimit=220, titleFontWeight="normal", gridColor="#eee")
        .configure_legend(offset=70)
        .configure_title(anchor="start", fontSize=15, offset=12)
        .to_dict()
    )


def on_front(row: Mapping[str, object], rows: Sequence[Mapping[str, object]], accuracy: str) -> bool:
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


def _tooltip(*more: alt.Tooltip) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("design:N"),
        alt.Tooltip("operands:N"),
        alt.Tooltip("pe:N", title="processing element"),
        alt.Tooltip("size_per_mac:Q", title="size of a product", format=".1f"),
        alt.Tooltip("unit:N"),
        alt.Tooltip("ratio:Q", title="of acc + a*b", format=".2f"),
        *more,
    ]


def _size(base: alt.Chart) -> alt.Chart:
    """Bars of size, by what takes it."""
    return (
        base.transform_fold(list(_PARTS), as_=["part", "size"])
        .transform_calculate(part=f"{_PARTS!r}[datum.part]", order=f"indexof({list(_PARTS.values())!r}, datum.part)")
        .mark_bar()
        .encode(
            x=alt.X("sum(size):Q", title="look-up tables (or transistors) for one product a cycle"),
            y=alt.Y("design:N", title=None, sort=alt.EncodingSortField("size", op="sum")),
            color=alt.Color(
                "part:N",
                title=None,
                sort=list(_PARTS.values()),
                scale=alt.Scale(range=["#3b6fb6", "#8db4e2", "#d9a441"]),
            ),
            order=alt.Order("order:Q"),
            tooltip=[*_tooltip(), alt.Tooltip("part:N"), alt.Tooltip("size:Q", title="of it", format=".1f")],
        )
        .properties(width=_WIDTH, title="Size of a product: cells, and what stands at their edges")
    )


def _pareto(base: alt.Chart, key: str, title: str) -> alt.LayerChart:
    """Points of size and accuracy, and the line of those that nothing beats."""
    chosen = alt.selection_point(name=f"chosen_{key}", fields=["pe"], bind="legend")
    accurate = base.transform_filter(f"isValid(datum.{key})")
    x = alt.X(
        "size_per_mac:Q",
        title="size of a product, cells and edges of operands",
        scale=alt.Scale(type="log", nice=False, padding=20),
    )
    y = alt.Y(f"{key}:Q", title=title, scale=alt.Scale(zero=False, padding=20))
    front = accurate.transform_filter(f"datum.front_{key}")
    shown = alt.when(chosen)
    points = (
        accurate.mark_circle(size=110)
        .encode(
            x=x,
            y=y,
            color=alt.Color("pe:N", title="processing element"),
            opacity=shown.then(alt.value(0.9)).otherwise(alt.value(0.1)),
            tooltip=_tooltip(alt.Tooltip(f"{key}:Q", title=title, format=".4f")),
        )
        .add_params(chosen)
    )
    names = front.mark_text(align="left", dx=9, dy=4, fontSize=11).encode(x=x, y=y, text="design:N")
    line = front.mark_line(color="#999", interpolate="step-after", strokeDash=[4, 3]).encode(
        x=x, y=y, order="size_per_mac:Q"
    )
    return alt.layer(line, points, names).properties(
        width=_WIDTH, height=420, title=f"{title} against size: the line joins what nothing beats"
    )


def _speed(base: alt.Chart) -> alt.Chart:
    """Bars of products a second for each unit of size."""
    return (
        base.transform_filter("isValid(datum.mmacs_per_unit)")
        .mark_bar(color="#3b6fb6")
        .encode(
            x=alt.X("mmacs_per_unit:Q", title="million products a second and look-up table", stack=None),
            y=alt.Y("design:N", title=None, sort="-x"),
            tooltip=_tooltip(
                alt.Tooltip("fmax_mhz:Q", title="Fmax, MHz", format=".0f"),
                alt.Tooltip("mmacs_per_unit:Q", title="million products a second and LUT", format=".2f"),
            ),
        )
        .properties(width=_WIDTH, title="Throughput for its size, where there is open place and route")
    )
