"""What all families of integer operands share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amaranth.hdl import Value

from hw.core.number import Number
from pe.base import PE, Codes, Encoder, PEError
from sw_ref.formats.base import Int
from sw_ref.interval import Interval

__all__ = ["IntegerPE", "integer_lane"]


@dataclass(frozen=True, kw_only=True)
class IntegerPE(PE):
    """A processing element of integer operands, whose activations reach the cells as their own codes."""

    if TYPE_CHECKING:
        # which is checked here, and not as options are
        act: Int

    def check(self) -> None:
        for side, operand in (("act", self.act), ("weight", self.weight)):
            if not isinstance(operand, Int):
                raise PEError(f"Family {self.family} takes integer formats, not {side} {operand.name}")

    @property
    def row_bits(self) -> int:
        return self.lanes * self.act.bits

    @property
    def term(self) -> Interval:
        return (self.act.interval * self.weight.fixed_form.interval).sum_of(self.lanes)

    def row_encoder(self, *, masked: bool) -> Encoder:
        return Codes(bits=self.act.bits, lanes=self.lanes, masked=masked)


def integer_lane(codes: Value, lane: int, form: Int) -> Number:
    """The integer that one lane of ``codes`` stands for."""
    code = codes.word_select(lane, form.bits)
    return Number(code.as_signed() if form.signed else code)
