"""Charts of choices: what is lost for what is taken."""

from collections.abc import Mapping, Sequence

import altair as alt

__all__ = ["front_of"]


def front_of(
    best: Sequence[Mapping[str, object]], others: Sequence[Mapping[str, object]], budget: str
) -> alt.TopLevelMixin:
    """The best choices as a line, and others beside it, each a table with ``choice``, ``loss`` and the budget."""
    x = alt.X(f"{budget}:Q", title=budget, scale=alt.Scale(zero=False))
    y = alt.Y("loss:Q", title="loss, sum over layers", scale=alt.Scale(type="log"))
    line = alt.Chart(alt.Data(values=list(best))).mark_line(point=True).encode(x=x, y=y, tooltip=["choice:N", "loss:Q"])
    points = alt.Chart(alt.Data(values=list(others))).mark_point(filled=True, size=90)
    return alt.layer(line, points.encode(x=x, y=y, color=alt.Color("choice:N", title=None))).properties(
        width=560, height=320
    )
