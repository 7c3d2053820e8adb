"""The scale of a row: once for each group of it, or once for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from sw_ref.arith.float_codes import multiply
from sw_ref.drain.names import float_format
from sw_ref.drain.step import Key, Parameter, Stage, Step
from sw_ref.fields import one_of, only_with
from sw_ref.formats.minifloat import Float

if TYPE_CHECKING:
    from sw_ref.drain.edge import Drain

__all__ = ["ActScale"]

_When = Literal["none", "row", "group"]


@dataclass(frozen=True, kw_only=True)
class ActScale(Step):
    """``y = y * act_scale[g,m]`` of each group's sum, or ``y = y * act_scale[m]`` of a total.

    Parameters
    ----------
    act_scale : {"none", "row", "group"}
        Whether there is a float for each row, and when it multiplies.
    act_scale_format : Float or None
        Its format, see `sw_ref.drain.edge.Drain.check_factor`; None for that of the arithmetic.
    """

    act_scale: _When = "none"
    act_scale_format: Float | None = None

    keys = (
        Key(name="act_scale", hint=_When, default="none"),
        Key(
            name="act_scale_format",
            hint=Annotated[str, only_with(act_scale=("row", "group"))],
            default="",
            read=partial(float_format, without=""),
        ),
    )
    stages = ("term", "total")

    def __post_init__(self) -> None:
        one_of("Drain act_scale", self.act_scale, ("none", "row", "group"))

    @property
    def stage(self) -> Stage:
        return "term" if self.act_scale == "group" else "total"

    @property
    def is_present(self) -> bool:
        return self.act_scale != "none"

    @property
    def wants_floats(self) -> bool:
        return True

    def form(self, edge: Drain) -> Float:
        """The format of the scales."""
        return self.act_scale_format or edge.arithmetic

    def check(self, edge: Drain) -> None:
        edge.check_factor("act_scale_format", self.form(edge))

    def parameters(self, edge: Drain) -> tuple[Parameter, ...]:
        return (Parameter(name="act_scale", kind="row", form=self.form(edge)),)

    def compute(self, y: np.ndarray, given: Mapping[str, np.ndarray], edge: Drain) -> np.ndarray:
        return multiply(edge.arithmetic, y, given["act_scale"], self.form(edge))
