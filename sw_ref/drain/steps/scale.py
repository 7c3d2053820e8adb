"""The scale of a group and column: an integer, a sum of powers of two, or a float."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from sw_ref.arith.float_codes import multiply
from sw_ref.drain.names import scale_format
from sw_ref.drain.step import Key, Parameter, Sizes, Step
from sw_ref.fields import Range
from sw_ref.formats.base import Int
from sw_ref.formats.minifloat import Float
from sw_ref.formats.signs import PowerOfTwo
from sw_ref.interval import Interval
from sw_ref.wide import exactly

if TYPE_CHECKING:
    from sw_ref.drain.edge import Drain

__all__ = ["Scale"]


@dataclass(frozen=True, kw_only=True)
class Scale(Step):
    """``y = y * scale[g,n]``: exact with an integer or powers of two, rounded with a float.

    QServe (arXiv 2405.04532) has integers, ShiftAddLLM (arXiv 2406.05981) sums of powers of two.

    Parameters
    ----------
    scale : Int, PowerOfTwo, Float or None
        Of floats, one that `sw_ref.drain.edge.Drain.check_factor` takes.
    scale_terms : int
        With PowerOfTwo: how many of them, added up, make the scale.
    """

    scale: Int | PowerOfTwo | Float | None = None
    scale_terms: int = 1

    keys = (
        Key(name="scale", hint=str, default="none", read=scale_format),
        Key(name="scale_terms", hint=Annotated[int, Range(1, 8)], default=1),
    )
    stages = ("term",)

    def __post_init__(self) -> None:
        if not isinstance(self.scale_terms, int) or not 1 <= self.scale_terms <= 8:
            raise ValueError(f"Drain scale_terms must be an integer from 1 to 8, not {self.scale_terms!r}")
        if self.scale_terms > 1 and not isinstance(self.scale, PowerOfTwo):
            raise ValueError(f"Drain scale_terms must be 1 unless the scale is a power of two, not {self.scale_terms}")

    @property
    def is_present(self) -> bool:
        return self.scale is not None

    @property
    def wants_floats(self) -> bool:
        return isinstance(self.scale, Float)

    def check(self, edge: Drain) -> None:
        if isinstance(self.scale, Float):
            edge.check_factor("scale", self.scale)
        elif edge.sums:
            raise ValueError("Drain zero points must be none, and its scale a float or none, where sums are floats")

    def parameters(self, edge: Drain) -> tuple[Parameter, ...]:
        return (Parameter(name="scale", kind="column", form=self.scale, terms=self.scale_terms),)

    @property
    def factors(self) -> Interval:
        """What an integer scale can be."""
        assert isinstance(self.scale, Int | PowerOfTwo)
        return self.scale.fixed.interval.sum_of(self.scale_terms)

    def interval(self, given: Interval, sizes: Sizes, edge: Drain) -> Interval:
        return given * self.factors

    def compute(self, y: np.ndarray, given: Mapping[str, np.ndarray], edge: Drain) -> np.ndarray:
        scale = given["scale"]
        if isinstance(self.scale, Float):
            return multiply(edge.arithmetic, y, scale, self.scale)
        if isinstance(self.scale, PowerOfTwo):
            scale = self.scale.to_fixed(scale)
            # a single term need not have an axis of its own
            scale = scale.sum(axis=0) if scale.ndim > y.ndim else scale
        return exactly(operator.mul, y, scale)
