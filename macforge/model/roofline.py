"""Rooflines: what layers attain beside what the array and the bus allow."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from macforge.model.cost import LayerCost, ModelCost

__all__ = ["roofline_of"]

# Of the chart beyond the points and the place where bandwidth suffices.
_MARGIN = 2


def roofline_of(costs: Sequence[ModelCost]) -> alt.TopLevelMixin:
    """Each layer at its MACs for a byte and for a cycle, under the lower of both limits of its design.

    Source: Williams, Waterman and Patterson, Roofline, CACM 52(4), 2009.
    """
    points = [_point(one) for each in costs for one in each.layers]
    lines = [line for name in {point["design"] for point in points} for line in _limit(name, points)]
    x = alt.X("macs_per_byte:Q", title="MAC for each byte on the bus", scale=alt.Scale(type="log"))
    y = alt.Y("macs_per_cycle:Q", title="MAC a cycle", scale=alt.Scale(type="log"))
    colour = alt.Color("design:N", title="design")
    limits = alt.Chart(alt.Data(values=lines)).mark_line().encode(x=x, y=y, color=colour)
    layers = alt.Chart(alt.Data(values=points)).mark_point(filled=True, size=70)
    layers = layers.encode(
        x=x,
        y=y,
        color=colour,
        shape=alt.Shape("rows:N", title="rows"),
        tooltip=["layer:N", "design:N", "rows:Q", "macs_per_byte:Q", "macs_per_cycle:Q"],
    )
    return alt.layer(limits, layers).properties(width=560, height=360)


def _point(one: LayerCost) -> dict[str, Any]:
    table = one.to_table()
    kept = ("layer", "design", "rows", "macs_per_byte", "macs_per_cycle")
    target = one.shared.program.target
    return {
        **{key: table[key] for key in kept},
        "peak": one.cost.macs / (one.cost.utilization * one.cost.cycles),
        "word_bytes": target.layout.bus.word_bytes if target.layout else 0,
    }


def _limit(name: str, points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The limit of a design: a word of the bus a cycle, up to the peak of the array."""
    own = [point for point in points if point["design"] == name]
    peak, word = own[0]["peak"], own[0]["word_bytes"]
    ridge, intensities = peak / word, [point["macs_per_byte"] for point in own]
    places = (min(ridge, *intensities) / _MARGIN, ridge, max(ridge, *intensities) * _MARGIN)
    return [{"design": name, "macs_per_byte": at, "macs_per_cycle": min(peak, at * word)} for at in places]
