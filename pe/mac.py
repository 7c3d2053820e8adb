"""Integer multiply-accumulate: a multiplier in each cell, for any two integer formats."""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import ClassVar

from amaranth.hdl import Module

from hw.multiply import product_steps
from hw.narrow import keep
from hw.number import Number, assign
from hw.rows import add_pairs
from hw.stages import Step, run_steps, side_by_side
from pe.base import Codes, Core, Encoder, PEError
from pe.integer import IntegerPE, integer_lane
from pe.pipelined import Pipelined
from sw_ref.accumulate import Accumulator

__all__ = ["IntegerMac"]

# That of a carry chain behind look-up tables, as `hw.multiply.product_steps` has it.
_ADD_DELAY = 3


@dataclass(frozen=True, kw_only=True)
class IntegerMac(IntegerPE, Pipelined):
    """``sum = addend + sum over lanes of act * weight`` with one multiplier a lane.

    Both operands travel as their own codes, so the encoders are wires (and gates where lanes are masked).

    Parameters
    ----------
    dsp : {"none", "auto"}
        ``none``: multipliers are rows of adders on carry chains, see `hw.multiply.product_steps`. ``auto``: they are
        left to the synthesis tool, as ``*``, for a DSP block if it has one.
    lut : {4, 6}
        Inputs of the look-up tables in front of a carry chain, which say what a row adds. 6: a Booth digit of two bits.
        4: one bit, for carry cells that take its gate, as on ECP5 and Nexus.
    pipeline : int
        See `pe.pipelined.Pipelined`; the steps are rows, and additions of products.
    """

    dsp: str = "none"
    lut: int = 6

    family: ClassVar[str] = "mac"
    summary: ClassVar[str] = "integer multiply-accumulate, one multiplier a lane"
    source: ClassVar[str] = "textbook; Booth 1951, MacSorley 1961"

    def check(self) -> None:
        super().check()
        if self.dsp not in ("none", "auto"):
            raise PEError(f"Option dsp must be none or auto, not {self.dsp!r}")
        if isinstance(self.lut, bool) or self.lut not in (4, 6):
            raise PEError(f"Option lut must be 4 or 6, not {self.lut!r}")

    @property
    def name(self) -> str:
        dsp = "_dsp" if self.dsp == "auto" else ""
        lut = "_lut4" if self.lut == 4 else ""
        return super().name + dsp + lut + self.staged

    @property
    def column_bits(self) -> int:
        return self.lanes * self.weight.bits

    def column_encoder(self) -> Encoder:
        return Codes(bits=self.weight.bits, lanes=self.lanes, masked=False)

    def core(self, accumulator: Accumulator) -> Core:
        return _MultiplyAdd(pe=self, accumulator=accumulator)


class _MultiplyAdd(Core):
    """Multiplies lane by lane, adds the products in pairs, and what comes of them to the sum."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe = self.pe
        # the fewer bits the multiplier has, the fewer rows there are
        sides = sorted(("weight", "act"), key=lambda side: getattr(pe, side).bits)
        at, products = SimpleNamespace(parts=[]), []
        for lane in range(pe.lanes):
            narrow, wide = (integer_lane(getattr(self, side), lane, getattr(pe, side)) for side in sides)
            at.parts.append(SimpleNamespace(multiplicand=wide, multiplier=narrow))
            products.append(product_steps(narrow.interval, dsp=pe.dsp, lut=pe.lut, name=f"product_{lane}_row"))
        sums = [Step(_ADD_DELAY, partial(_add, name=f"sum_{level}")) for level in range((pe.lanes - 1).bit_length())]
        run_steps(m, at, [*side_by_side(products), Step(0, _gather), *sums], registers=pe.pipeline)
        addend = Number(self.addend.as_signed())
        m.d.comb += assign(self.sum.as_signed(), keep(addend + at.terms[0], self.accumulator))
        return m


def _gather(_m: Module, at: SimpleNamespace) -> None:
    at.terms = [part.product for part in at.parts]
    del at.parts


def _add(m: Module, at: SimpleNamespace, *, name: str) -> None:
    at.terms = add_pairs(m, name, at.terms)
