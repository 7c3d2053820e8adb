"""The best choices of designs for layers, as macforge model tune prints them and the report shows them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt

__all__ = ["Front"]


@dataclass(frozen=True, kw_only=True)
class Front:
    """Choices of which none loses less without taking more of a budget, and others beside them.

    Parameters
    ----------
    model : str
        The file, as it was given.
    budget : str
        What less is taken of: ``cycles``, ``bytes`` or ``lut``.
    tokens, rows : int
        Tokens that losses are of, and rows of activations that cycles and bytes are of.
    best, others : tuple of dict
        ``choice``, ``layers``, ``loss``, ``cycles``, ``bytes``, and ``lut`` if it was counted.
    """

    model: str
    budget: str
    tokens: int
    rows: int
    best: tuple[Mapping[str, Any], ...]
    others: tuple[Mapping[str, Any], ...]

    @classmethod
    def load(cls, path: Path) -> "Front":
        """Read what ``macforge model tune --front NAME --json`` has printed.

        Raises
        ------
        ValueError
            If the file is another one, or has no front.
        """
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            budget = table["front"]
            best, others = (tuple(one for one in table["choices"] if one["best"] is which) for which in (True, False))
            # of these a chart and a table are made
            numbers = [one[key] for one in (*best, *others) for key in ("loss", "layers", budget)]
            found = cls(
                model=table["model"],
                budget=budget,
                tokens=table["tokens"],
                rows=table["rows"],
                best=best,
                others=others,
            )
        except FileNotFoundError:
            raise ValueError(f"Front must be a file that exists, not {path}") from None
        except (ValueError, KeyError, TypeError):
            best, numbers, found = (), [], None
        if found is None or not best or not all(isinstance(each, int | float) for each in numbers):
            raise ValueError(f"Front must be what `macforge model tune --front NAME --json` has printed, not {path}")
        return found

    @property
    def chart(self) -> alt.LayerChart | alt.FacetChart:
        """The best choices as a line over the budget, and the others beside it."""
        x = alt.X(f"{self.budget}:Q", title=self.budget, scale=alt.Scale(zero=False))
        y = alt.Y("loss:Q", title="loss, sum over layers", scale=alt.Scale(type="log"))
        tooltip = ["choice:N", alt.Tooltip("loss:Q", format=".4g"), f"{self.budget}:Q"]
        line = alt.Chart(alt.Data(values=list(self.best))).mark_line(point=True).encode(x=x, y=y, tooltip=tooltip)
        points = alt.Chart(alt.Data(values=list(self.others))).mark_point(filled=True, size=90)
        points = points.encode(x=x, y=y, color=alt.Color("choice:N", title=None), tooltip=tooltip)
        return alt.layer(line, points).properties(width=560, height=320)
