"""Bounds of a result: clamp and ReLU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from sw_ref.arith.float_codes import round_to, value_of
from sw_ref.drain.step import Key, Sizes, Step
from sw_ref.fields import Length, Range
from sw_ref.interval import Interval

if TYPE_CHECKING:
    from sw_ref.drain.edge import Drain

__all__ = ["Limits"]


def _pair(_key: str, given: object) -> object:
    return given or None


@dataclass(frozen=True, kw_only=True)
class Limits(Step):
    """``y = min(max(y, lo), hi)`` of ``clamp``, and ``y = max(y, 0)`` with ``relu``.

    A NaN stays one, and with ReLU -0 becomes 0.

    Parameters
    ----------
    clamp : tuple of two numbers, or None
        Integers of 64 bits where y is an integer.
    relu : bool
    """

    clamp: tuple[float, float] | None = None
    relu: bool = False

    keys = (
        Key(name="clamp", hint=Annotated[Sequence[float], Length(0, 2), Range(-1e38, 1e38)], default=(), read=_pair),
        Key(name="relu", hint=bool, default=False),
    )

    def __post_init__(self) -> None:
        if self.clamp and not self.clamp[0] <= self.clamp[1]:
            raise ValueError(f"Drain clamp must be two numbers, the lower first, not {self.clamp}")

    @property
    def is_present(self) -> bool:
        return self.clamp is not None or self.relu

    def check(self, edge: Drain) -> None:
        if not self.clamp or edge.floating:
            return
        if not all(isinstance(bound, int) for bound in self.clamp):
            raise ValueError(f"Drain clamp must be two integers where y is an integer, not {self.clamp}")
        if not all(-(1 << 63) <= bound < 1 << 63 for bound in self.clamp):
            raise ValueError(f"Drain clamp must be two integers of 64 bits where y is an integer, not {self.clamp}")

    def interval(self, given: Interval, sizes: Sizes, edge: Drain) -> Interval:
        return Interval(*map(int, self.clamp)) if self.clamp else given

    def compute(self, y: np.ndarray, given: Mapping[str, np.ndarray], edge: Drain) -> np.ndarray:
        if not edge.floating:
            y = np.clip(y, *self.clamp) if self.clamp else y
            return np.maximum(y, 0) if self.relu else y
        floats = edge.arithmetic
        real = value_of(floats, y)
        if self.clamp:
            low, high = (value_of(floats, round_to(floats, bound)) for bound in self.clamp)
            real = np.where(real < low, low, np.where(real > high, high, real))
        return round_to(floats, np.where(real <= 0, 0.0, real) if self.relu else real)
