"""Several products in one multiplier of a DSP block, and their sums in the accumulator behind it."""

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Annotated, ClassVar

from hw.core.stages import stages_name
from hw.integer.multiply_accumulate import MOST_REGISTERS
from pe.base import Core, Encoder, PEError
from pe.block import BlockCore, BlockFinish
from pe.integer import IntegerPE
from pe.packed.circuits import PackedCodes, PackedCore, PackedFinish
from pe.packed.packing import MULTIPLIERS, Packing
from sw_ref.arith.accumulate import Accumulator
from sw_ref.fields import OneOf, Range
from sw_ref.formats.base import Int

__all__ = ["Packed", "PackedProducts", "packed_products"]

# Rows and columns that a block may have, so that they divide arrays of usual sizes.
_SIDES = (1, 2, 4)


@dataclass(frozen=True, kw_only=True)
class PackedProducts(Packing):
    """A `pe.packed.packing.Packing` with its circuits."""

    def core(self, accumulator: Accumulator) -> BlockCore:
        bits = {"row_bits": self.row_bits, "column_bits": self.column_bits}
        return PackedCore(block=self, accumulator=accumulator, **bits)

    def finish(self, accumulator: Accumulator) -> BlockFinish:
        return PackedFinish(block=self, accumulator=accumulator)

    def row_encoder(self) -> Encoder:
        """What stands at the edge of each row of blocks."""
        return PackedCodes(form=self.act, count=self.rows)

    def column_encoder(self) -> Encoder:
        """What stands at the edge of each column of blocks."""
        return PackedCodes(form=self.weight, count=self.cols)


@cache
def packed_products(*, act: Int, weight: Int, multiplier: str, registers: int) -> PackedProducts | None:
    """The block of most products that fits the multiplier, the lanes as wide as can be; None if not even two fit.

    Of blocks of as many products, and lanes as wide, it is that with the fewest rows, whose results need not wait for
    each other.
    """
    found = []
    for rows, cols in product(_SIDES, _SIDES):
        for spacing in range(1, MULTIPLIERS[multiplier].wide):
            block = PackedProducts(
                rows=rows,
                cols=cols,
                act=act,
                weight=weight,
                multiplier=multiplier,
                registers=registers,
                spacing=spacing,
            )
            if block.sums > 1 and block.fits:
                found.append(block)
    return max(found, key=lambda block: (block.sums, block.spacing, -block.rows), default=None)


@dataclass(frozen=True, kw_only=True)
class Packed(IntegerPE):
    """``sum[i, j] = addend[i, j] + act[i] * weight[j]`` of a few rows and columns in one DSP block.

    See `pe.packed.packing.Packing` for the formula of its operands and sums.

    Parameters
    ----------
    multiplier : {"25x18", "27x18", "18x18"}
        The one that there is: of DSP48E1, of DSP48E2, of ECP5 and others.
    pipeline : int
        Registers of the DSP block in front of its accumulator, from 0 to 2; the latency of a block.
    """

    multiplier: Annotated[str, OneOf(tuple(MULTIPLIERS))] = "25x18"
    pipeline: Annotated[int, Range(0, MOST_REGISTERS)] = 0

    family: ClassVar[str] = "packed"
    summary: ClassVar[str] = "several integer products in one DSP block, with their sums in its accumulator"
    source: ClassVar[str] = "AMD WP486 and WP521; FINN's packed matrix-vector unit"

    if TYPE_CHECKING:
        # which `IntegerPE.check` makes sure of
        weight: Int

    def check(self) -> None:
        super().check()
        if self.lanes > 1:
            raise PEError(
                f"Lanes must be 1 for family packed, where each product has a sum of its own, not {self.lanes}"
            )
        if self._found is None:
            raise PEError(
                f"Family packed takes formats of which two products fit a multiplier of {self.multiplier} bits, not "
                f"{self.act.name} and {self.weight.name}"
            )

    @property
    def _found(self) -> PackedProducts | None:
        return packed_products(act=self.act, weight=self.weight, multiplier=self.multiplier, registers=self.pipeline)

    @property
    def block(self) -> PackedProducts:
        block = self._found
        assert block is not None, "formats of which no two products fit are refused"
        return block

    @property
    def uses_dsp(self) -> bool:
        return True

    @property
    def latency(self) -> int:
        return self.pipeline

    @property
    def name(self) -> str:
        return f"{super().name}_{self.multiplier}{stages_name(self.pipeline)}"

    @property
    def row_bits(self) -> int:
        return self.block.row_bits

    @property
    def column_bits(self) -> int:
        return self.block.column_bits

    def row_encoder(self, *, masked: bool) -> Encoder:
        return self.block.row_encoder()

    def column_encoder(self) -> Encoder:
        return self.block.column_encoder()

    def core(self, accumulator: Accumulator) -> Core:
        raise PEError(f"Element must be one with a core for each sum, not {self.name}, which has blocks of them")
