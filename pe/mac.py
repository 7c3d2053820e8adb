"""Integer multiply-accumulate: a multiplier in each cell, for any two integer formats."""

from dataclasses import dataclass
from typing import ClassVar

from amaranth.hdl import Module, Value

from hw.narrow import keep
from hw.number import Number, assign, total, wire
from hw.rows import multiply
from pe.base import PE, Codes, Core, Encoder, PEError
from sw_ref.accumulate import Accumulator
from sw_ref.formats import Int
from sw_ref.interval import Interval

__all__ = ["IntegerMac"]


@dataclass(frozen=True, kw_only=True)
class IntegerMac(PE):
    """``sum = addend + sum over lanes of act * weight`` with one multiplier a lane.

    Both operands travel as their own codes, so the encoders are wires (and gates where lanes are masked). No
    registers between operands and sum: latency 0.

    Parameters
    ----------
    dsp : {"none", "auto"}
        ``none``: multipliers are rows of adders on carry chains, see `hw.rows.multiply`. ``auto``: they are left to the
        synthesis tool, as ``*``, for a DSP block if it has one.
    """

    dsp: str = "none"

    family: ClassVar[str] = "mac"
    summary: ClassVar[str] = "integer multiply-accumulate, one multiplier a lane"
    source: ClassVar[str] = "textbook"

    def check(self) -> None:
        for side, operand in (("act", self.act), ("weight", self.weight)):
            if not isinstance(operand, Int):
                raise PEError(f"Family mac takes integer formats, not {side} {operand.name}")
        if self.dsp not in ("none", "auto"):
            raise PEError(f"Option dsp must be none or auto, not {self.dsp!r}")

    @property
    def name(self) -> str:
        return super().name + ("_dsp" if self.dsp == "auto" else "")

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
        return Codes(bits=self.act.bits, lanes=self.lanes, masked=masked)

    def column_encoder(self) -> Encoder:
        return Codes(bits=self.weight.bits, lanes=self.lanes, masked=False)

    def core(self, accumulator: Accumulator) -> Core:
        return _MultiplyAdd(pe=self, accumulator=accumulator)


class _MultiplyAdd(Core):
    """Multiplies lane by lane, and adds."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        products = [self._product(m, lane) for lane in range(self.pe.lanes)]
        addend = Number(self.addend.as_signed())
        m.d.comb += assign(self.sum.as_signed(), keep(addend + total(products), self.accumulator))
        return m

    def _product(self, m: Module, lane: int) -> Number:
        act, weight = _lane(self.act, lane, self.pe.act), _lane(self.weight, lane, self.pe.weight)
        if self.pe.dsp == "auto":
            product = act * weight
        else:
            # the fewer bits the multiplier has, the fewer rows there are
            wide, narrow = (act, weight) if len(act.value) >= len(weight.value) else (weight, act)
            product = multiply(m, f"product_{lane}", wide, narrow)
        return wire(m, f"product_{lane}", product)


def _lane(codes: Value, lane: int, form: Int) -> Number:
    code = codes.word_select(lane, form.bits)
    return Number(code.as_signed() if form.signed else code)
