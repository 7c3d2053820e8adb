"""The bias of a column."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sw_ref.arith.float_codes import add
from sw_ref.drain.step import Key, Parameter, Sizes, Step
from sw_ref.formats.base import Int
from sw_ref.interval import Interval
from sw_ref.wide import exactly

if TYPE_CHECKING:
    from sw_ref.drain.edge import Drain

__all__ = ["Bias"]


@dataclass(frozen=True, kw_only=True)
class Bias(Step):
    """``y = y + bias[n]``: of integers one of 32 bits, whose sum is kept as the accumulator says; of floats a float."""

    bias: bool = False

    keys = (Key(name="bias", hint=bool, default=False),)

    @property
    def is_present(self) -> bool:
        return self.bias

    @property
    def adds_bias(self) -> bool:
        return True

    def parameters(self, edge: Drain) -> tuple[Parameter, ...]:
        form = edge.arithmetic if edge.floating else Int(32)
        return (Parameter(name="bias", kind="output", form=form),)

    def interval(self, given: Interval, sizes: Sizes, edge: Drain) -> Interval:
        return edge.accumulator.interval

    def compute(self, y: np.ndarray, given: Mapping[str, np.ndarray], edge: Drain) -> np.ndarray:
        if edge.floating:
            return add(edge.arithmetic, y, given["bias"])
        return edge.accumulator.apply(exactly(operator.add, y, given["bias"]))
