"""Decoded operands: tables at the edges turn codes into integers, and cells are those of an integer family."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from hw.unit import place
from pe.base import PE, Core, Encoder, PEError
from pe.mac import IntegerMac
from pe.shift_add import ShiftAdd
from sw_ref.accumulate import Accumulator
from sw_ref.fixed import Fixed
from sw_ref.formats import Format, Int
from sw_ref.interval import Interval

__all__ = ["Decoded"]

# Tables of more entries are no longer small.
_MOST_BITS = 8


@dataclass(frozen=True, kw_only=True)
class Decoded(PE):
    """``sum = addend + sum over lanes of act * weight``, in units of both formats' last bits.

    Either operand is an integer, with or without bits after the point, or of a format whose codes all stand for
    fixed-point values: codebooks, floats of few bits. Each row's and each column's edge holds a table for every lane,
    and in front of the cells stands whatever their family has there.

    Parameters
    ----------
    cell : {"shift_add", "mac"}
        Family of the cells: Booth digits of the weight's integer, or the integer itself.
    """

    cell: str = "shift_add"

    family: ClassVar[str] = "decoded"
    summary: ClassVar[str] = (
        "codebooks and small floats, decoded to integers once a row or column, then an integer cell"
    )
    source: ClassVar[str] = "FLUTE (arXiv 2407.10960); NF4: QLoRA (arXiv 2305.14314)"

    def check(self) -> None:
        if isinstance(self.act, Int) and isinstance(self.weight, Int):
            raise PEError(
                f"Family decoded takes a format that is not an integer, not {self.act.name} x {self.weight.name}"
            )
        for form in (self.act, self.weight):
            if not _is_integer(form):
                _check_table(form)
        if self.cell not in _CELLS:
            raise PEError(f"Option cell must be one of {', '.join(_CELLS)}, not {self.cell!r}")
        # making the cells' family checks what it is given
        _ = self.inner

    @cached_property
    def inner(self) -> PE:
        """The integer processing element behind the tables."""
        formats = {"act": _integer(self.act), "weight": _integer(self.weight)}
        return _CELLS[self.cell](**formats, lanes=self.lanes)

    @property
    def name(self) -> str:
        tables = [_spelled(form) for form in (self.act, self.weight) if not _is_integer(form)]
        return "_".join([*tables, self.inner.name])

    @property
    def row_bits(self) -> int:
        return self.inner.row_bits

    @property
    def column_bits(self) -> int:
        return self.inner.column_bits

    @property
    def term(self) -> Interval:
        return (self.act.fixed.interval * self.weight.fixed.interval).sum_of(self.lanes)

    @property
    def latency(self) -> int:
        return self.inner.latency

    def row_encoder(self, *, masked: bool) -> Encoder:
        if _is_integer(self.act):
            return self.inner.row_encoder(masked=masked)
        return _Decoder(form=self.act, inner=self.inner, side="act", masked=masked)

    def column_encoder(self) -> Encoder:
        if _is_integer(self.weight):
            return self.inner.column_encoder()
        return _Decoder(form=self.weight, inner=self.inner, side="weight", masked=False)

    def core(self, accumulator: Accumulator) -> Core:
        return self.inner.core(accumulator)


_CELLS: dict[str, type[PE]] = {"shift_add": ShiftAdd, "mac": IntegerMac}


def _check_table(form: Format) -> None:
    """Raise unless a table of integers can stand for ``form``."""
    if form.fixed is None or form.bits > _MOST_BITS:
        raise PEError(f"Family decoded takes fixed-point values of at most {_MOST_BITS} bits a code, not {form.name}")
    if not form.finite(np.arange(1 << form.bits)).all():
        raise PEError(f"Family decoded takes formats whose codes are all finite, which those of {form.name} are not")
    if form.fixed.interval.signed_bits > 16:
        raise PEError(
            f"Family decoded takes values of at most 16 bits, not the {form.fixed.interval.signed_bits} of {form.name}"
        )


def _integer(form: Format) -> Int:
    """What the cells get for ``form``."""
    return form if isinstance(form, Int) else Int(max(2, form.fixed.interval.signed_bits))


def _is_integer(form: Format) -> bool:
    """Whether codes are the integers themselves, in two's complement or unsigned."""
    return isinstance(form, Int | Fixed)


def _spelled(form: Format) -> str:
    """The format's name as a part of module names."""
    return re.sub(r"[^a-z0-9]+", "_", form.name.replace("-", "m")).strip("_")


class _Decoder(Encoder):
    """A table for each lane, and the encoder of the cells' family behind it.

    Parameters
    ----------
    form : Format
    inner : PE
        Of the cells.
    side : {"act", "weight"}
    masked : bool
    """

    def __init__(self, *, form: Format, inner: PE, side: str, masked: bool) -> None:
        self.form = form
        self._cells = f"{inner.name}_{side}"
        self._encoder = inner.row_encoder(masked=masked) if side == "act" else inner.column_encoder()
        operand_bits = len(self._encoder.operand)
        super().__init__(bits=form.bits, lanes=inner.lanes, operand_bits=operand_bits, masked=masked)
        self.latency = self._encoder.latency

    @property
    def name(self) -> str:
        return f"{_spelled(self.form)}_to_{self._cells}{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        encoder = place(m, "encoder", self._encoder)
        entries = tuple(self.form.to_fixed(np.arange(1 << self.bits)).tolist())
        decoded = []
        for lane in range(self.lanes):
            value = Signal(signed(encoder.bits), name=f"value_{lane}")
            m.d.comb += value.eq(_entry(entries, self.codes.word_select(lane, self.bits)))
            decoded.append(value)
        m.d.comb += [encoder.codes.eq(Cat(decoded)), self.operand.eq(encoder.operand)]
        if self.masked:
            m.d.comb += encoder.mask.eq(self.mask)
        return m


def _entry(values: Sequence[int], code: Value) -> Value:
    """``values[code]`` by choices of two, which linters read better than the cases of an `Array`."""
    if len(values) == 1:
        return Const(values[0])
    half = len(values) // 2
    return Mux(code[-1], _entry(values[half:], code[:-1]), _entry(values[:half], code[:-1]))
