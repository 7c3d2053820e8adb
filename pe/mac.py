"""Integer multiply-accumulate: a multiplier in each cell, for any two integer formats."""

from dataclasses import dataclass
from typing import ClassVar

from amaranth.hdl import Module

from hw.delay import delayed
from hw.narrow import keep
from hw.number import Number, assign, total, wire
from hw.rows import multiply
from pe.base import Codes, Core, Encoder, PEError
from pe.integer import IntegerPE, integer_lane
from sw_ref.accumulate import Accumulator

__all__ = ["IntegerMac"]


@dataclass(frozen=True, kw_only=True)
class IntegerMac(IntegerPE):
    """``sum = addend + sum over lanes of act * weight`` with one multiplier a lane.

    Both operands travel as their own codes, so the encoders are wires (and gates where lanes are masked).

    Parameters
    ----------
    dsp : {"none", "auto"}
        ``none``: multipliers are rows of adders on carry chains, see `hw.rows.multiply`. ``auto``: they are left to the
        synthesis tool, as ``*``, for a DSP block if it has one.
    pipeline : {0, 1}
        Registers between multiplication and addition, and so the latency.
    """

    dsp: str = "none"
    pipeline: int = 0

    family: ClassVar[str] = "mac"
    summary: ClassVar[str] = "integer multiply-accumulate, one multiplier a lane"
    source: ClassVar[str] = "textbook"

    def check(self) -> None:
        super().check()
        if self.dsp not in ("none", "auto"):
            raise PEError(f"Option dsp must be none or auto, not {self.dsp!r}")
        if not isinstance(self.pipeline, int) or isinstance(self.pipeline, bool) or self.pipeline not in (0, 1):
            raise PEError(f"Option pipeline must be 0 or 1, not {self.pipeline!r}")

    @property
    def name(self) -> str:
        dsp = "_dsp" if self.dsp == "auto" else ""
        return super().name + dsp + ("_p1" if self.pipeline else "")

    @property
    def latency(self) -> int:
        return self.pipeline

    @property
    def column_bits(self) -> int:
        return self.lanes * self.weight.bits

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
        act, weight = integer_lane(self.act, lane, self.pe.act), integer_lane(self.weight, lane, self.pe.weight)
        if self.pe.dsp == "auto":
            product = act * weight
        else:
            # the fewer bits the multiplier has, the fewer rows there are
            wide, narrow = (act, weight) if len(act.value) >= len(weight.value) else (weight, act)
            product = multiply(m, f"product_{lane}", wide, narrow)
        name = f"product_{lane}"
        product = wire(m, name, product)
        return Number(delayed(m, product.value, self.pe.pipeline, name=name), product.interval)
