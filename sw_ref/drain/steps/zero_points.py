"""Zero points: what they add to a sum is taken out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sw_ref.drain.names import integer_format
from sw_ref.drain.step import Key, Parameter, Sizes, Step
from sw_ref.formats.base import Int
from sw_ref.interval import Interval
from sw_ref.wide import exactly

if TYPE_CHECKING:
    from sw_ref.drain.edge import Drain

__all__ = ["ZeroPoints"]


@dataclass(frozen=True, kw_only=True)
class ZeroPoints(Step):
    """``y = y - weight_zero[g,n] * row_sum[g,m] - act_zero[g,m] * column_sum[g,n]``, exact.

    MixPE (arXiv 2411.16158) and QServe (arXiv 2405.04532): a zero point is corrected once a group, not once a product.

    Parameters
    ----------
    weight_zero, act_zero : Int or None
        Formats of the zero points of a group and column, and of a group and row.
    """

    weight_zero: Int | None = None
    act_zero: Int | None = None

    keys = (
        Key(name="weight_zero", hint=str, default="none", read=integer_format),
        Key(name="act_zero", hint=str, default="none", read=integer_format),
    )
    stages = ("term",)

    @property
    def is_present(self) -> bool:
        return self.weight_zero is not None or self.act_zero is not None

    @property
    def takes_row_sums(self) -> bool:
        return self.weight_zero is not None

    def check(self, edge: Drain) -> None:
        if edge.sums:
            raise ValueError("Drain zero points must be none, and its scale a float or none, where sums are floats")

    def parameters(self, edge: Drain) -> tuple[Parameter, ...]:
        found = []
        if self.weight_zero:
            found.append(Parameter(name="weight_zero", kind="column", form=self.weight_zero))
        if self.act_zero:
            found.append(Parameter(name="column_sum", kind="column", form=None))
            found.append(Parameter(name="act_zero", kind="row", form=self.act_zero))
        return tuple(found)

    def interval(self, given: Interval, sizes: Sizes, edge: Drain) -> Interval:
        if self.weight_zero:
            given = given - self.weight_zero.interval * sizes.row_sum
        if self.act_zero:
            given = given - self.act_zero.interval * sizes.column_sum
        return given

    def compute(self, y: np.ndarray, given: Mapping[str, np.ndarray], edge: Drain) -> np.ndarray:
        if self.weight_zero:
            y = exactly(_less_product, y, given["weight_zero"], given["row_sum"])
        if self.act_zero:
            y = exactly(_less_product, y, given["act_zero"], given["column_sum"])
        return y


def _less_product(x, y, z):
    return x - y * z
