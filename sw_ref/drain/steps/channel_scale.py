"""The scale of a column, once for all of its groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sw_ref.arith.float_codes import multiply
from sw_ref.drain.step import Key, Parameter, Step

if TYPE_CHECKING:
    from sw_ref.drain.edge import Drain

__all__ = ["ChannelScale"]


@dataclass(frozen=True, kw_only=True)
class ChannelScale(Step):
    """``y = y * channel_scale[n]``, a float of the edge's arithmetic."""

    channel_scale: bool = False

    keys = (Key(name="channel_scale", hint=bool, default=False),)

    @property
    def is_present(self) -> bool:
        return self.channel_scale

    @property
    def wants_floats(self) -> bool:
        return True

    def parameters(self, edge: Drain) -> tuple[Parameter, ...]:
        return (Parameter(name="channel_scale", kind="output", form=edge.arithmetic),)

    def compute(self, y: np.ndarray, given: Mapping[str, np.ndarray], edge: Drain) -> np.ndarray:
        return multiply(edge.arithmetic, y, given["channel_scale"])
