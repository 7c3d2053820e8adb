"""Several products in one multiplier: where their operands and sums lie, and which fit."""

from dataclasses import dataclass
from functools import cached_property

from pe.base import PEError
from pe.block import Block
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from sw_ref.interval import Interval

__all__ = ["MULTIPLIERS", "Multiplier", "Packing", "fields_of"]


@dataclass(frozen=True, kw_only=True)
class Multiplier:
    """A multiplier of a DSP block, for two's complement.

    Parameters
    ----------
    wide, narrow : int
        Bits of its operands.
    total : int or None
        Bits of the accumulator behind it; None if that is built of other logic, as wide as it has to be.
    """

    wide: int
    narrow: int
    total: int | None


MULTIPLIERS = {
    "25x18": Multiplier(wide=25, narrow=18, total=48),
    "27x18": Multiplier(wide=27, narrow=18, total=48),
    "18x18": Multiplier(wide=18, narrow=18, total=None),
}
"""That of DSP48E1 (AMD UG479), of DSP48E2 (UG579), and of ECP5, Nexus and Gowin, which open tools use by itself."""


@dataclass(frozen=True, kw_only=True)
class Packing(Block):
    """``rows x cols`` products of as many activations and weights in one multiplier, added to as many sums.

    With a spacing of s bits, the operands are ``sum of act[i] * 2**(cols * s * i)`` and ``sum of weight[j] *
    2**(s * j)``, so that product l is at bit ``s * l`` of their product P, and sum S[l] at bit ``s * l`` of the sum of
    all P. What overflows there into the lane above is no error, but is counted: with

        T[0] = S[0],  H[l] = floor(T[l] / 2**s),  T[l + 1] = S[l + 1] + H[l]

    the low s bits of T[l] are lane l, and H[l] changes by 1 where the lane wraps around. No step changes a lane by more
    than a quarter of its range, so that its two highest bits tell: 11 before and 00 after, or the other way round. A
    counter holds what of H[l] the accumulator needs, and the word of a sum is T[l]; so ``S[l] = T[l] - H[l - 1]``,
    which takes one subtraction for each result, behind the array.

    Operands are packed as AMD WP486 and WP521 do, who unpack the sums of a few steps, where lanes cannot overflow.

    Parameters
    ----------
    act, weight : Int
    multiplier : str
        A key of `MULTIPLIERS`.
    registers : int
        Stages in front of the accumulator, see `hw.integer.multiply_accumulate.MultiplyAccumulate`.
    spacing : int
        Bits from lane to lane.
    """

    act: Int
    weight: Int
    multiplier: str
    registers: int
    spacing: int

    @property
    def name(self) -> str:
        """``packed_int4_int4_2x2_by_10``."""
        return f"packed_{self.act.name}_{self.weight.name}_{self.rows}x{self.cols}_by_{self.spacing}"

    @property
    def row_bits(self) -> int:
        """Width of the operand of a row of blocks, as it travels: without the bits between its fields."""
        return sum(field.bits for field in fields_of(self.act.interval, self.rows))

    @property
    def column_bits(self) -> int:
        """Width of the operand of a column of blocks, as it travels."""
        return sum(field.bits for field in fields_of(self.weight.interval, self.cols))

    @property
    def operands(self) -> tuple[Interval, Interval]:
        """What goes into the multiplier, of a row and of a column of blocks."""
        return (
            _packed(self.act.interval, self.rows, self.cols * self.spacing),
            _packed(self.weight.interval, self.cols, self.spacing),
        )

    @cached_property
    def fits(self) -> bool:
        """Whether the multiplier holds the operands, and lanes are wide enough for what a step adds to them."""
        has = MULTIPLIERS[self.multiplier]
        narrow, wide = sorted(operand.signed_bits for operand in self.operands)
        term = self.act.interval * self.weight.interval
        # 1 more is what the lane below can bring
        step = max(term.hi, -term.lo) + (self.sums > 2)
        room = has.total is None or has.total > self.spacing * self.sums
        return narrow <= has.narrow and wide <= has.wide and 4 * step <= 1 << self.spacing and room

    def check_accumulator(self, accumulator: Accumulator) -> None:
        if not isinstance(accumulator, Accumulator) or accumulator.overflow == "saturate":
            raise PEError(
                "Accumulator must be exact, with overflow refuse or wrap, for sums of packed products, not "
                f"{accumulator.name}: several grow in one register"
            )

    def word_widths(self, accumulator: Accumulator) -> list[int]:
        """Bits that are needed of each T[l]: the highest has no lane above it."""
        wraps = accumulator.overflow == "wrap"
        widths, below = [], Interval(0, 0)
        for _lane in range(self.sums - 1):
            whole = accumulator.interval + below
            below = Interval(whole.lo >> self.spacing, whole.hi >> self.spacing)
            # H[l] is subtracted modulo 2**bits, which takes as many bits of it
            widths.append(self.spacing + accumulator.bits if wraps else whole.signed_bits)
        return [*widths, accumulator.bits]

    def word_bits(self, accumulator: Accumulator) -> int:
        return max(self.word_widths(accumulator))

    def above_bits(self, accumulator: Accumulator) -> int:
        return max(1, self.word_bits(accumulator) - self.spacing)

    def ports(self, accumulator: Accumulator) -> dict[str, int]:
        """Widths of `hw.integer.multiply_accumulate.MultiplyAccumulate`: those of a DSP block, or what is needed."""
        has = MULTIPLIERS[self.multiplier]
        total = has.total or self.spacing * (self.sums - 1) + accumulator.bits
        return {"a_bits": has.wide, "b_bits": has.narrow, "p_bits": total}


def fields_of(operand: Interval, count: int) -> list[Interval]:
    """What stands at the places of ``count`` packed operands: a negative one borrows 1 from the place above it.

    The sum of operands at their places is so the sum of fields, each extended with its own sign up to the next place.
    """
    fields = [operand]
    for _above in range(count - 1):
        fields.append(operand - Interval(0, int(fields[-1].signed)))
    return fields


def _packed(operand: Interval, count: int, spacing: int) -> Interval:
    """What ``count`` operands come to, each so many bits above the one before."""
    return sum((operand * (1 << spacing * index) for index in range(count)), Interval(0, 0))
