"""Cores with register stages in front of the addition to the running sum."""

from dataclasses import dataclass
from typing import Annotated

from hw.core.stages import stages_name
from pe.base import PE
from sw_ref.fields import Range

__all__ = ["Pipelined"]


@dataclass(frozen=True, kw_only=True)
class Pipelined(PE):
    """A processing element whose core can take several cycles to form what it adds to a sum.

    The addition itself takes one, as always, so that a sum can grow with each cycle.

    Parameters
    ----------
    pipeline : int
        Register stages of a core, from 0 to 16, spread over the steps of its circuit, and so its latency; the last
        lies in front of the addition to the running sum.
    """

    pipeline: Annotated[int, Range(0, 16)] = 0

    @property
    def latency(self) -> int:
        return self.pipeline

    @property
    def halves(self) -> bool:
        """Whether a core can add to sums that come as `hw.integer.halves.Halved` says."""
        return False

    @property
    def staged(self) -> str:
        """The stages as part of module names: ``_p2``, or nothing without any."""
        return stages_name(self.pipeline)
