"""Integer multiply-accumulate: a multiplier in each cell, for any two integer formats."""

from dataclasses import dataclass
from typing import ClassVar

from amaranth.hdl import Cat, Module, Mux, Value

from hw.narrow import keep
from hw.number import Number, assign, total, wire
from pe.base import PE, Core, Encoder, PEError
from sw_ref.accumulate import Accumulator
from sw_ref.formats import Int
from sw_ref.interval import Interval

__all__ = ["IntegerMac"]


@dataclass(frozen=True, kw_only=True)
class IntegerMac(PE):
    """``sum = addend + sum over lanes of act * weight`` with one multiplier a lane.

    Both operands travel as their own codes, so the encoders are wires (and gates where lanes are masked). No
    registers between operands and sum: latency 0.
    """

    family: ClassVar[str] = "mac"
    summary: ClassVar[str] = "integer multiply-accumulate, one multiplier a lane"
    source: ClassVar[str] = "textbook"

    def check(self) -> None:
        for side, operand in (("act", self.act), ("weight", self.weight)):
            if not isinstance(operand, Int):
                raise PEError(f"Family mac takes integer formats, not {side} {operand.name}")

    @property
    def row_bits(self) -> int:
        return self.lanes * self.act.bits

    @property
    def column_bits(self) -> int:
        return self.lanes * self.weight.bits

    @property
    def term(self) -> Interval:
        return (self.act.interval * self.weight.interval).sum_of(self.lanes)

    def row_encoder(self, *, masked: bool) -> Encoder:
        return _Codes(side="act", pe=self, masked=masked)

    def column_encoder(self) -> Encoder:
        return _Codes(side="weight", pe=self)

    def core(self, accumulator: Accumulator) -> Core:
        return _MultiplyAdd(pe=self, accumulator=accumulator)


class _Codes(Encoder):
    """Passes the codes on; a masked lane becomes 0."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        lanes = [self.codes.word_select(lane, self.format.bits) for lane in range(self.pe.lanes)]
        if self.masked:
            lanes = [Mux(self.mask[lane], code, 0) for lane, code in enumerate(lanes)]
        m.d.comb += self.operand.eq(Cat(lanes))
        return m


class _MultiplyAdd(Core):
    """Multiplies lane by lane, and adds."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        products = [
            wire(m, f"product_{lane}", _lane(self.act, lane, self.pe.act) * _lane(self.weight, lane, self.pe.weight))
            for lane in range(self.pe.lanes)
        ]
        addend = Number(self.addend.as_signed())
        m.d.comb += assign(self.sum.as_signed(), keep(addend + total(products), self.accumulator))
        return m


def _lane(codes: Value, lane: int, form: Int) -> Number:
    code = codes.word_select(lane, form.bits)
    return Number(code.as_signed() if form.signed else code)
