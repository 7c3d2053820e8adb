"""Cells that keep the sums of several rows and columns in one circuit."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from amaranth.lib.wiring import In, Out

from hw.core.unit import Unit
from sw_ref.arith.accumulate import Accumulator

__all__ = ["Block", "BlockCore", "BlockFinish"]


@dataclass(frozen=True, kw_only=True)
class Block(ABC):
    """What stands in an output-stationary array in place of ``rows`` x ``cols`` cells, and behind it.

    Sum ``cols * i + j`` is that of row i and column j. A core has a word for each, which need not be the sum itself:
    only in order with its neighbours it becomes that, once a column, behind the array.

    Parameters
    ----------
    rows, cols : int
        Sums each way.
    """

    rows: int
    cols: int

    @property
    def sums(self) -> int:
        """How many a block has."""
        return self.rows * self.cols

    @abstractmethod
    def check_accumulator(self, accumulator: Any) -> None:
        """Raise `pe.base.PEError` if sums cannot be kept as ``accumulator`` says."""

    @abstractmethod
    def word_bits(self, accumulator: Any) -> int:
        """Width of the word of a sum."""

    @abstractmethod
    def above_bits(self, accumulator: Any) -> int:
        """How many of them, the highest ones, the row below in the same block has to know."""

    @abstractmethod
    def core(self, accumulator: Any) -> "BlockCore":
        """What stands in the array."""

    @abstractmethod
    def finish(self, accumulator: Any) -> "BlockFinish":
        """What stands behind each ``cols`` columns of the array."""


_B = TypeVar("_B", bound=Block)


class BlockCore(Unit, Generic[_B]):
    """Keeps the sums of a block.

    Ports
    -----
    act : In(row_bits), weight : In(column_bits)
        Operands as the encoders made them, of all rows and of all columns of the block.
    valid, again : In(1)
        Of the operands of `PE.latency` cycles ago: they count; they are added to the sums of before, not to 0.
    words : Out(sums * word_bits)
        A word of each sum with the operands of ``PE.latency + 1`` cycles ago, sum 0 in the low bits.

    Parameters
    ----------
    block : Block
    accumulator : Accumulator
    row_bits, column_bits : int
        Widths of the operands.
    """

    def __init__(self, *, block: _B, accumulator: Accumulator, row_bits: int, column_bits: int) -> None:
        self.block = block
        self.accumulator = accumulator
        super().__init__(
            {
                "act": In(row_bits),
                "weight": In(column_bits),
                "valid": In(1),
                "again": In(1),
                "words": Out(block.sums * block.word_bits(accumulator)),
            }
        )


class BlockFinish(Unit, Generic[_B]):
    """Makes sums of the words of a row, which leave an array row after row.

    Ports
    -----
    words : In(cols * word_bits)
        Of a row of a block, all 0 if none leaves in this cycle.
    above : In(above_bits)
        Of the last one of the row above, if that is of the same block, and else 0.
    sums : Out(cols * accumulator bits)
        After `latency` cycles; all 0 if all words are.

    Parameters
    ----------
    block : Block
    accumulator : Accumulator
    """

    latency: int = 1

    def __init__(self, *, block: _B, accumulator: Accumulator) -> None:
        self.block = block
        self.accumulator = accumulator
        super().__init__(
            {
                "words": In(block.cols * block.word_bits(accumulator)),
                "above": In(block.above_bits(accumulator)),
                "sums": Out(block.cols * accumulator.bits),
            }
        )
