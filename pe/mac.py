"""Integer multiply-accumulate: a multiplier in each cell, for any two integer formats."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, ClassVar, Literal

from amaranth.hdl import Module

from hw.dot import STRUCTURES, cheapest, dot_steps
from hw.multiply_accumulate import MOST_REGISTERS
from hw.narrow import keep
from hw.number import Number, assign
from hw.stages import run_steps
from pe.base import Codes, Core, Encoder, PEError
from pe.integer import IntegerPE, integer_lane
from pe.packed import MULTIPLIERS, PackedProducts, packed_products
from pe.pipelined import Pipelined
from sw_ref.accumulate import Accumulator
from sw_ref.fields import OneOf, only_with
from sw_ref.interval import Interval

__all__ = ["IntegerMac"]


@dataclass(frozen=True, kw_only=True)
class IntegerMac(IntegerPE, Pipelined):
    """``sum = addend + sum over lanes of act * weight`` with one multiplier a lane.

    Both operands travel as their own codes, so the encoders are wires (and gates where lanes are masked).

    Parameters
    ----------
    dsp : {"none", "auto", "packed"}
        ``none``: multipliers are rows of adders on carry chains, see `hw.multiply.product_steps`. ``auto``: they are
        left to the synthesis tool, as ``*``, for a DSP block if it has one. ``packed``: several products, of
        neighbouring rows and columns, in one multiplier of a DSP block, and their sums in its accumulator, see
        `pe.packed.PackedProducts`.
    lut : {4, 6}
        Inputs of the look-up tables in front of a carry chain, which say what a row adds. 6: a Booth digit of two bits.
        4: one bit, for carry cells that take its gate, as on ECP5 and Nexus.
    multiplier : {"25x18", "27x18", "18x18"}
        With ``packed``, the multiplier that there is: that of DSP48E1, of DSP48E2, of ECP5 and others.
    structure : {"rows", "triples", "merged", "tree", "auto"}
        How the products of all lanes are added, see `hw.dot.STRUCTURES`. ``auto``: as takes the fewest look-up tables,
        by `hw.dot.estimate`. Only with ``dsp`` none is there a choice.
    pipeline : int
        See `pe.pipelined.Pipelined`; the steps are rows, and additions of products. With ``packed`` 2 at most, which
        are those of the DSP block.
    """

    dsp: Literal["none", "auto", "packed"] = "none"
    lut: Annotated[Literal[4, 6], only_with(dsp="none")] = 6
    multiplier: Annotated[str, OneOf(tuple(MULTIPLIERS)), only_with(dsp="packed")] = "25x18"
    structure: Annotated[str, OneOf((*STRUCTURES, "auto")), only_with(dsp="none")] = "rows"

    family: ClassVar[str] = "mac"
    summary: ClassVar[str] = "integer multiply-accumulate, one multiplier a lane"
    source: ClassVar[str] = "textbook; Booth 1951, MacSorley 1961"

    def check(self) -> None:
        super().check()
        if self.dsp == "packed":
            self._check_packed()

    def _check_packed(self) -> None:
        if self.lanes > 1:
            raise PEError(f"Lanes must be 1 with option dsp packed, where each product has a sum, not {self.lanes}")
        if self.pipeline not in range(MOST_REGISTERS + 1):
            raise PEError(
                f"Option pipeline must be from 0 to {MOST_REGISTERS} with option dsp packed, not {self.pipeline!r}"
            )
        if not self.block:
            raise PEError(
                f"Option dsp must be none or auto for {self.act.name} and {self.weight.name}: two products of them do "
                f"not fit a multiplier of {self.multiplier} bits"
            )

    @property
    def block(self) -> PackedProducts | None:
        if self.dsp != "packed":
            return None
        return packed_products(act=self.act, weight=self.weight, multiplier=self.multiplier, registers=self.pipeline)

    @property
    def name(self) -> str:
        if self.block:
            return f"{super().name}_packed_{self.multiplier}{self.staged}"
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
    def row_bits(self) -> int:
        return self.block.row_bits if self.block else super().row_bits

    @property
    def column_bits(self) -> int:
        return self.block.column_bits if self.block else self.lanes * self.weight.bits

    def row_encoder(self, *, masked: bool) -> Encoder:
        return self.block.row_encoder() if self.block else super().row_encoder(masked=masked)

    def column_encoder(self) -> Encoder:
        if self.block:
            return self.block.column_encoder()
        return Codes(bits=self.weight.bits, lanes=self.lanes, masked=False)

    def core(self, accumulator: Accumulator) -> Core:
        if self.block:
            raise PEError(f"Element must be one with a core for each sum, not {self.name}, which has blocks of them")
        return _MultiplyAdd(pe=self, accumulator=accumulator)


class _MultiplyAdd(Core):
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
