"""Decoded operands: the edges turn codes into integers, and cells are those of an integer family."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from amaranth.hdl import Cat, Module

from hw.core.naming import format_name
from hw.core.registers import delayed
from hw.core.unit import place
from pe.base import PE, Core, Encoder, PEError
from pe.look_up.base import LookUpPE
from pe.look_up.table import Table
from pe.look_up.ternary_table import TernaryTable
from pe.mac import IntegerMac
from pe.operands.decode import Decode, decodes, is_integer
from pe.pipelined import Pipelined
from pe.shift_add import ShiftAdd
from sw_ref.arith.accumulate import Accumulator
from sw_ref.fields import Range, only_with
from sw_ref.formats.base import INT_BITS, Format, Int
from sw_ref.formats.fixed import Fixed
from sw_ref.formats.signs import Bipolar, PowerOfTwo, SumOfPowers, Ternary
from sw_ref.interval import Interval

__all__ = ["Decoded"]


@dataclass(frozen=True, kw_only=True)
class Decoded(Pipelined):
    """``sum = addend + sum over lanes of act * weight``, in units of both formats' last bits.

    Either operand is an integer, with or without bits after the point, or of any format whose finite values are
    integers of at most 53 bits in units of the last one: codebooks, floats such as FP4, E4M3 and FP16 (41 bits), small
    posits. Each row's and each column's edge decodes the codes of every lane, see `pe.operands.decode.Decode`, and in
    front of the cells stands whatever their family has there. Codes that are no finite number are decoded to 0.

    Parameters
    ----------
    cell : {"shift_add", "mac", "table", "ternary_table"}
        Family of the cells: Booth digits of the weight's integer, or the integer itself; tables of decoded activations,
        for bipolar or ternary weights, which are not decoded.
    k : int
        Activations of a table, where cells have tables.
    pipeline : int
        See `pe.pipelined.Pipelined`; of the cells.
    """

    cell: Literal["shift_add", "mac", "table", "ternary_table"] = "shift_add"
    k: Annotated[int, Range(2, 6), only_with(cell=("table", "ternary_table"))] = 2

    family: ClassVar[str] = "decoded"
    summary: ClassVar[str] = "codebooks, floats, posits: decoded to integers once a row or column, then an integer cell"
    source: ClassVar[str] = "FLUTE (arXiv 2407.10960); NF4: QLoRA (arXiv 2305.14314)"

    def check(self) -> None:
        for side in ("act", "weight"):
            if self._decodes(side):
                _check_decoded(getattr(self, side))
        if (self._taken("act"), self._taken("weight")) == (self.act, self.weight):
            raise PEError(
                f"Family decoded takes a format that {self.cell} does not, not {self.act.name} x {self.weight.name}"
            )
        # making the cells' family checks what it is given
        _ = self.inner

    @cached_property
    def inner(self) -> PE:
        """The integer processing element behind the decoders."""
        options = {"k": self.k} if self._has_tables else {}
        act, weight = self._taken("act"), self._taken("weight")
        return _CELLS[self.cell](act=act, weight=weight, lanes=self.lanes, pipeline=self.pipeline, **options)

    @property
    def name(self) -> str:
        decoded = [format_name(getattr(self, side)) for side in ("act", "weight") if self._decodes(side)]
        return "_".join([*decoded, self.inner.name])

    @property
    def row_bits(self) -> int:
        return self.inner.row_bits

    @property
    def column_bits(self) -> int:
        return self.inner.column_bits

    @property
    def term(self) -> Interval:
        return (self.act.fixed_form.interval * self.weight.fixed_form.interval).sum_of(self.lanes)

    def row_encoder(self, *, masked: bool) -> Encoder:
        if not self._decodes("act"):
            return self.inner.row_encoder(masked=masked)
        return _Decoder(form=self.act, inner=self.inner, side="act", masked=masked)

    def column_encoder(self) -> Encoder:
        if not self._decodes("weight"):
            return self.inner.column_encoder()
        return _Decoder(form=self.weight, inner=self.inner, side="weight", masked=False)

    def core(self, accumulator: Accumulator) -> Core:
        return self.inner.core(accumulator)

    @property
    def _has_tables(self) -> bool:
        return issubclass(_CELLS[self.cell], LookUpPE)

    def _decodes(self, side: str) -> bool:
        """Whether codes of this side are decoded in front of the cells."""
        form = getattr(self, side)
        return not is_integer(form) and not (side == "weight" and isinstance(form, _CELL_WEIGHTS[self.cell]))

    def _taken(self, side: str) -> Format:
        """What the cells get."""
        form = getattr(self, side)
        if self._decodes(side):
            return Int(max(2, form.fixed_form.interval.signed_bits))
        return Int(form.bits) if isinstance(form, Fixed) else form


_CELLS: dict[str, type[Pipelined]] = {cell.family: cell for cell in (ShiftAdd, IntegerMac, Table, TernaryTable)}

# Weights that the cells take as they are, besides integers.
_CELL_WEIGHTS: dict[str, tuple[type[Format], ...]] = {
    ShiftAdd.family: (Ternary, PowerOfTwo, SumOfPowers),
    IntegerMac.family: (),
    Table.family: (Bipolar,),
    TernaryTable.family: (Ternary,),
}


def _check_decoded(form: Format) -> None:
    """Raise unless edges can turn codes of ``form`` into integers."""
    if form.fixed is None or form.fixed.interval.signed_bits > INT_BITS:
        raise PEError(
            f"Family decoded takes fixed-point values of at most {INT_BITS} bits, unlike those of {form.name}, "
            "which family float takes"
        )
    if not decodes(form):
        raise PEError(f"Family decoded takes codes of at most 8 bits unless they are floats, not {form.name}")


class _Decoder(Encoder):
    """A `Decode` for each lane, and the encoder of the cells' family behind it.

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
        self._decode = Decode(form=form, registered=True)
        self.latency = self._decode.latency + self._encoder.latency

    @property
    def name(self) -> str:
        return f"{format_name(self.form)}_to_{self._cells}{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        encoder = place(m, "encoder", self._encoder)
        integers = []
        for lane in range(self.lanes):
            decode = place(m, f"decode_{lane}", Decode(form=self.form, registered=True))
            m.d.comb += decode.code.eq(self.codes.word_select(lane, self.bits))
            integers.append(decode.integer)
        m.d.comb += [encoder.codes.eq(Cat(integers)), self.operand.eq(encoder.operand)]
        if self.masked:
            m.d.comb += encoder.mask.eq(delayed(m, self.mask, self._decode.latency, name="decoded_mask"))
        return m
