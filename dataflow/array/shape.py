"""The shape of an array: cells, and the tiles that they are cut into."""

from dataclasses import dataclass, field, replace
from typing import Annotated

from hw.core.naming import ADDED
from sw_ref.arith.checksum import Checksum
from sw_ref.fields import Range, check_fields

__all__ = ["Shape"]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How many cells an array has, and how they are cut into tiles.

    Inside a tile an operand reaches all its cells in the same cycle; from tile to tile it takes one. Tiles of one
    cell make a systolic array, one tile of all cells a broadcast array.

    Parameters
    ----------
    rows, cols : int
        Cells, from 1 to 256 each way.
    tile_rows, tile_cols : int
        Cells of a tile; they divide the rows and columns.
    checksum : {"none", "detect", "correct"}
        Check columns beside the cells: one, which shows that a sum of a row is wrong, or two, which also put one wrong
        sum of a row right, see `sw_ref.arith.checksum`.
    """

    rows: Annotated[int, Range(1, 256)]
    cols: Annotated[int, Range(1, 256)]
    tile_rows: Annotated[int, Range(1, 256)] = 1
    tile_cols: Annotated[int, Range(1, 256)] = 1
    checksum: Checksum = field(default="none", metadata=ADDED)

    def __post_init__(self) -> None:
        check_fields(self, "Array")
        for whole, part in (("rows", "tile_rows"), ("cols", "tile_cols")):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(
                    f"Array {part} must divide {whole} ({getattr(self, whole)}), not be {getattr(self, part)}"
                )

    @property
    def mesh_rows(self) -> int:
        """Tiles from top to bottom."""
        return self.rows // self.tile_rows

    @property
    def mesh_cols(self) -> int:
        """Tiles from left to right."""
        return self.cols // self.tile_cols

    @property
    def name(self) -> str:
        """``16x16``, ``16x16_t2x4`` in tiles of 2 x 4, or ``16x16_detect`` with a check column."""
        tiles = f"_t{self.tile_rows}x{self.tile_cols}" if (self.tile_rows, self.tile_cols) != (1, 1) else ""
        return f"{self.rows}x{self.cols}{tiles}" + (f"_{self.checksum}" if self.checksum != "none" else "")

    @property
    def unchecked(self) -> "Shape":
        """The cells alone, which know nothing of check columns."""
        return replace(self, checksum="none")
