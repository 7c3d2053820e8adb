"""How a matrix product is cut."""

from dataclasses import dataclass
from typing import Annotated

from sw_ref.fields import Range, check_fields

__all__ = ["Tiling"]


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a matrix product is cut.

    Parameters
    ----------
    group_size : int
        Products along K that make one sum; 0 for all of K. A command may ask for fewer. Where a product takes several
        lanes, both this and `max_k` count lanes.
    max_k : int
        Largest K, which the panel of activations has room for.
    panel_rows : int
        Rows of A that stay on chip while all weights pass (an output-stationary array keeps as many as it has
        rows).
    max_passes : int
        Most passes of weights over the same activations: planes of weights of more bits than a cell takes.
    drain_lanes : int
        Columns that the drain edge works on at once, 0 for all: the columns of the array take turns, ``ceil(cols /
        drain_lanes)`` cycles a row, in so many fewer pipelines.
    weight_cache : int
        Bytes of weights that an accelerator keeps on chip while panels of rows pass; 0 for none.
    """

    group_size: Annotated[int, Range(0, 65535)] = 0
    max_k: Annotated[int, Range(1, 65535)] = 4096
    panel_rows: Annotated[int, Range(1, 4096)] = 32
    max_passes: Annotated[int, Range(1, 64)] = 1
    drain_lanes: Annotated[int, Range(0, 4096)] = 0
    weight_cache: Annotated[int, Range(0, 1 << 24)] = 0

    def __post_init__(self) -> None:
        check_fields(self, "Tiling")

    @property
    def max_group(self) -> int:
        """Products of the longest sum: a group of K, or all of it."""
        return min(self.group_size or self.max_k, self.max_k)
