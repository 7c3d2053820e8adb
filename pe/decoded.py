"""Codebook: weights are looked up once a column, and cells are those of an integer family."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from hw.unit import place
from pe.base import PE, Core, Encoder, PEError
from pe.mac import IntegerMac
from pe.shift_add import ShiftAdd
from sw_ref.accumulate import Accumulator
from sw_ref.codebook import Codebook
from sw_ref.formats import Int
from sw_ref.interval import Interval

__all__ = ["CodebookMac"]


@dataclass(frozen=True, kw_only=True)
class CodebookMac(PE):
    """``sum = addend + sum over lanes of act * values[weight code]``.

    The edge of a column holds the table, and in front of the cells stands whatever their family has there.

    Parameters
    ----------
    cell : {"shift_add", "mac"}
        Family of the cells: Booth digits of the looked-up value, or the value itself.
    """

    cell: str = "shift_add"

    family: ClassVar[str] = "codebook"
    summary: ClassVar[str] = "weights looked up once a column, then an integer cell"
    source: ClassVar[str] = "FLUTE (arXiv 2407.10960); NF4: QLoRA (arXiv 2305.14314)"

    def check(self) -> None:
        if not isinstance(self.act, Int):
            raise PEError(f"Family codebook takes integer activations, not {self.act.name}")
        if not isinstance(self.weight, Codebook):
            raise PEError(f"Family codebook takes weights of a codebook, such as nf4, not {self.weight.name}")
        if self.cell not in _CELLS:
            raise PEError(f"Option cell must be one of {', '.join(_CELLS)}, not {self.cell!r}")
        # making the cells' family checks what it is given
        _ = self.inner

    @cached_property
    def inner(self) -> PE:
        """The integer processing element behind the table."""
        bits = max(2, self.weight.fixed.interval.signed_bits)
        return _CELLS[self.cell](act=self.act, weight=Int(bits), lanes=self.lanes)

    @property
    def name(self) -> str:
        book = re.sub(r"[^a-z0-9]+", "_", self.weight.name.replace("-", "m")).strip("_")
        return f"{book}_{self.inner.name}"

    @property
    def row_bits(self) -> int:
        return self.inner.row_bits

    @property
    def column_bits(self) -> int:
        return self.inner.column_bits

    @property
    def term(self) -> Interval:
        return (self.act.interval * self.weight.fixed.interval).sum_of(self.lanes)

    @property
    def latency(self) -> int:
        return self.inner.latency

    def row_encoder(self, *, masked: bool) -> Encoder:
        return self.inner.row_encoder(masked=masked)

    def column_encoder(self) -> Encoder:
        return _LookUp(pe=self)

    def core(self, accumulator: Accumulator) -> Core:
        return self.inner.core(accumulator)


_CELLS: dict[str, type[PE]] = {"shift_add": ShiftAdd, "mac": IntegerMac}


class _LookUp(Encoder):
    """A table for each lane, and the encoder of the cells' family behind it."""

    def __init__(self, *, pe: CodebookMac) -> None:
        self.pe = pe
        super().__init__(bits=pe.weight.bits, lanes=pe.lanes, operand_bits=pe.column_bits, masked=False)
        self.latency = pe.inner.column_encoder().latency

    @property
    def name(self) -> str:
        return f"{self.pe.name}_table"

    def circuit(self, platform: object) -> Module:
        m = Module()
        encoder = place(m, "encoder", self.pe.inner.column_encoder())
        bits = self.pe.inner.weight.bits
        looked_up = []
        for lane in range(self.lanes):
            value = Signal(signed(bits), name=f"value_{lane}")
            m.d.comb += value.eq(_entry(self.pe.weight.values, self.codes.word_select(lane, self.bits)))
            looked_up.append(value)
        m.d.comb += [encoder.codes.eq(Cat(looked_up)), self.operand.eq(encoder.operand)]
        return m


def _entry(values: Sequence[int], code: Value) -> Value:
    """``values[code]`` by choices of two, which linters read better than the cases of an `Array`."""
    if len(values) == 1:
        return Const(values[0])
    half = len(values) // 2
    return Mux(code[-1], _entry(values[half:], code[:-1]), _entry(values[:half], code[:-1]))
