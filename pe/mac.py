"""Integer multiply-accumulate: a multiplier in each cell, for any two integer formats."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from amaranth.hdl import Module

from hw.core.narrow import keep
from hw.core.number import Number, assign
from hw.core.stages import run_steps
from hw.integer.dot import STRUCTURES, cheapest, dot_steps
from pe.base import Codes, Core, Encoder
from pe.integer import IntegerPE, integer_lane
from pe.pipelined import Pipelined
from sw_ref.arith.accumulate import Accumulator
from sw_ref.fields import OneOf, only_with
from sw_ref.formats.base import Int
from sw_ref.interval import Interval

__all__ = ["IntegerMac"]


@dataclass(frozen=True, kw_only=True)
class IntegerMac(IntegerPE, Pipelined):
    """``sum = addend + sum over lanes of act * weight`` with one multiplier a lane.

    Both operands travel as their own codes, so the encoders are wires (and gates where lanes are masked).

    Parameters
    ----------
    dsp : {"none", "auto"}
        ``none``: multipliers are rows of adders on carry chains, see `hw.integer.multiply.product_steps`. ``auto``:
        they are left to the synthesis tool, as ``*``, for a DSP block if it has one. Several products in one DSP block
        are another family, see `pe.packed`.
    lut : {4, 6}
        Inputs of the look-up tables in front of a carry chain, which say what a row adds. 6: a Booth digit of two bits.
        4: one bit, for carry cells that take its gate, as on ECP5 and Nexus.
    structure : {"rows", "triples", "merged", "tree", "auto"}
        How the products of all lanes are added, see `hw.integer.dot.STRUCTURES`. ``auto``: as takes the fewest look-up
        tables, by `hw.integer.dot.estimate`. Only with ``dsp`` none is there a choice.
    pipeline : int
        See `pe.pipelined.Pipelined`; the steps are rows, and additions of products.
    """

    dsp: Literal["none", "auto"] = "none"
    lut: Annotated[Literal[4, 6], only_with(dsp="none")] = 6
    structure: Annotated[str, OneOf((*STRUCTURES, "auto")), only_with(dsp="none")] = "rows"

    family: ClassVar[str] = "mac"
    summary: ClassVar[str] = "integer multiply-accumulate, one multiplier a lane"
    source: ClassVar[str] = "textbook; Booth 1951, MacSorley 1961"

    if TYPE_CHECKING:
        # which `IntegerPE.check` makes sure of
        weight: Int

    @property
    def uses_dsp(self) -> bool:
        return self.dsp == "auto"

    @property
    def name(self) -> str:
        dsp = "_dsp" if self.dsp == "auto" else ""
        lut = "_lut4" if self.lut == 4 else ""
        structure = "" if self.chosen == "rows" else f"_{self.chosen}"
        return super().name + dsp + structure + lut + self.staged

    @property
    def sides(self) -> list[str]:
        """The side that has the multiplier of each lane, and that which has the multiplicand."""
        # the fewer bits the multiplier has, the fewer rows there are
        return sorted(("weight", "act"), key=lambda side: getattr(self, side).bits)

    @property
    def intervals(self) -> tuple[Interval, Interval]:
        """That of a multiplicand, and that of a multiplier."""
        narrow, wide = (getattr(self, side) for side in self.sides)
        return wide.interval, narrow.interval

    @property
    def chosen(self) -> str:
        """The structure, where ``auto`` leaves that open."""
        if self.structure != "auto":
            return self.structure
        return cheapest(*self.intervals, lanes=self.lanes, lut=self.lut)

    @property
    def column_bits(self) -> int:
        return self.lanes * self.weight.bits

    def column_encoder(self) -> Encoder:
        return Codes(bits=self.weight.bits, lanes=self.lanes, masked=False)

    def core(self, accumulator: Accumulator) -> Core:
        return _MultiplyAdd(pe=self, accumulator=accumulator)


class _MultiplyAdd(Core[IntegerMac, Accumulator]):
    """Multiplies lane by lane, adds the products, and what comes of them to the sum."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe = self.pe
        narrow, wide = pe.sides
        at = SimpleNamespace(
            parts=[
                SimpleNamespace(
                    multiplier=integer_lane(getattr(self, narrow), lane, getattr(pe, narrow)),
                    multiplicand=integer_lane(getattr(self, wide), lane, getattr(pe, wide)),
                )
                for lane in range(pe.lanes)
            ]
        )
        steps = dot_steps(pe.chosen, *pe.intervals, lanes=pe.lanes, lut=pe.lut, dsp=pe.dsp)
        run_steps(m, at, steps, registers=pe.pipeline)
        addend = Number(self.addend.as_signed())
        m.d.comb += assign(self.sum.as_signed(), keep(addend + at.terms[0], self.accumulator))
        return m
