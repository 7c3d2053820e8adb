"""Table look-up: rows' edges build tables of sums of activations, and cells add what a weight selects."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Literal

from amaranth.hdl import Cat, Const, Module, Mux, signed

from hw.core.narrow import keep
from hw.core.number import Number, assign, wire
from hw.core.rows import add_kept, shifted
from hw.core.select import Choose, SelectAdd, select
from hw.core.stages import Step, run_steps
from hw.core.unit import place
from hw.integer.digits import Digit
from pe.base import Core, Encoder, PEError
from pe.look_up.row_tables import Signs, Tables
from pe.pipelined import Pipelined
from sw_ref.arith.accumulate import Accumulator
from sw_ref.fields import Range
from sw_ref.formats.base import Int
from sw_ref.interval import Interval

__all__ = ["LookUpPE"]


@dataclass(frozen=True, kw_only=True)
class LookUpPE(Pipelined):
    """``sum = addend + sum over planes p and tables t of +-table_t[key_pt] * 2**p``.

    A table holds signed sums of ``k`` activations, once a row. What a column's weights select from it is worked out
    once a column: a key and a sign for each plane and table. Only half of all sums is kept, as the others are their
    negatives.

    A row's operand is its tables, entry 0 of table 0 in the low bits. A column's is key, zero (if `or_zero`) and sign
    (1: negate) for each table of plane 0, then for those of plane 1, and so on.

    Parameters
    ----------
    k : int
        Activations of a table; ``lanes`` is a multiple of it.
    lut : {4, 6}
        Inputs of the FPGA's look-up tables; a table of more than two entries is then selected from accordingly.
    pipeline : int
        See `pe.pipelined.Pipelined`.
    """

    k: Annotated[int, Range(2, 6)] = 2
    lut: Literal[4, 6] = 6

    if TYPE_CHECKING:
        # which `check_table` makes sure of
        act: Int

    @property
    @abstractmethod
    def planes(self) -> int:
        """Selections that a step makes from each table; plane p counts ``2**p``."""

    @property
    @abstractmethod
    def signs(self) -> tuple[Signs, ...]:
        """Of each entry, the signs of the activations; the first that is not 0 is 1."""

    @property
    @abstractmethod
    def or_zero(self) -> bool:
        """Whether a selection can be 0."""

    @property
    def tables(self) -> int:
        """Tables of a row and step."""
        return self.lanes // self.k

    @cached_property
    def exact_entry(self) -> Interval:
        """Every sum that an entry can be."""
        sums = [sum((sign * self.act.interval for sign in signs), Interval(0, 0)) for signs in self.signs]
        return Interval(min(one.lo for one in sums), max(one.hi for one in sums))

    @property
    def shift(self) -> int:
        """Low bits that entries are rounded by."""
        return 0

    @property
    def entry(self) -> Interval:
        """Every value that an entry can be, in units of ``2**shift``."""
        return self.exact_entry

    @property
    def entry_bits(self) -> int:
        """Width of an entry, in two's complement."""
        return self.entry.signed_bits

    @property
    def key_bits(self) -> int:
        """Width of a key."""
        return (len(self.signs) - 1).bit_length()

    @property
    def selection_bits(self) -> int:
        """Width of what a column says of one table: key, zero, sign."""
        return self.key_bits + self.or_zero + 1

    @property
    def row_bits(self) -> int:
        return self.tables * len(self.signs) * self.entry_bits

    @property
    def column_bits(self) -> int:
        return self.planes * self.tables * self.selection_bits

    def check_table(self, largest: int) -> None:
        """Raise `PEError` if the activations, `k` or the lanes do not fit; ``k`` is ``largest`` at most."""
        if not isinstance(self.act, Int):
            raise PEError(f"Family {self.family} takes integer activations, not {self.act.name}")
        if self.k > largest:
            raise PEError(f"Option k must be an integer from 2 to {largest}, not {self.k}")
        if self.lanes % self.k:
            raise PEError(f"Lanes must be a multiple of option k, {self.k}, not {self.lanes}")

    @property
    def name(self) -> str:
        return f"{super().name}_k{self.k}{'_lut4' if self.lut == 4 else ''}{self.staged}"

    def row_encoder(self, *, masked: bool) -> Encoder:
        return Tables(
            act=self.act, lanes=self.lanes, signs=self.signs, shift=self.shift, entry=self.entry, masked=masked
        )

    def core(self, accumulator: Accumulator) -> Core:
        return _LookUp(pe=self, accumulator=accumulator)


class _LookUp(Core[LookUpPE, Accumulator]):
    """A chain of rows, one for each plane and table, and the addition to the running sum.

    With more than two words a table, and look-up tables of 6 inputs, choosing comes first, so that no more than one
    word of a table goes through registers. Else a row chooses, too.
    """

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe, accumulator = self.pe, self.accumulator
        at = SimpleNamespace(selections=[self._selection(index) for index in range(pe.planes * pe.tables)])
        steps = [Step(2, self._choose)] if self._chooses_first else []
        if len(at.selections) > 1:
            row = 2 if self._chooses_first or len(pe.signs) == 2 else 4
            rows = (Step(row, partial(self._next, index=index)) for index in range(1, len(at.selections)))
            steps += [Step(row - 1, self._first), *rows]
        run_steps(m, at, steps, registers=pe.pipeline)
        addend = Number(self.addend.as_signed())
        if len(at.selections) == 1:
            exact = accumulator.overflow == "saturate"
            total = addend.interval + self._added if exact else accumulator.interval
            kept = keep(self._row(m, 0, addend, at.selections[0], total), accumulator)
        else:
            product = Number(Cat(*at.low, at.running.value).as_signed())
            kept = add_kept(m, "total", addend, product, at.carry, accumulator)
        m.d.comb += assign(self.sum.as_signed(), kept)
        return m

    @property
    def _chooses_first(self) -> bool:
        return self.pe.lut == 6 and len(self.pe.signs) > 2

    @property
    def _added(self) -> Interval:
        """What a selection adds."""
        return self.pe.entry | -self.pe.entry

    def _selection(self, index: int) -> SimpleNamespace:
        """Table, key, zero and sign of a selection."""
        pe = self.pe
        column = self.weight.word_select(index, pe.selection_bits)
        return SimpleNamespace(
            table=self.act.word_select(index % pe.tables, len(pe.signs) * pe.entry_bits),
            key=column[: pe.key_bits],
            zero=column[pe.key_bits] if pe.or_zero else Const(0, 1),
            negate=column[-1],
        )

    def _choose(self, m: Module, at: SimpleNamespace) -> None:
        """The word of each selection, in place of its table and key."""
        for index, selection in enumerate(at.selections):
            choose = Choose(words=len(self.pe.signs), word_bits=self.pe.entry_bits, complements=False)
            place(m, f"chosen_{index}", choose)
            m.d.comb += [choose.table.eq(selection.table), choose.key.eq(selection.key)]
            at.selections[index] = SimpleNamespace(word=choose.word, zero=selection.zero, negate=selection.negate)

    def _first(self, m: Module, at: SimpleNamespace) -> None:
        """The first selection, which is but a complement where it is negative: the last addition makes up for that."""
        pe, first = self.pe, at.selections[0]
        if self._chooses_first:
            word = (Mux(first.zero, 0, first.word) ^ first.negate.replicate(pe.entry_bits)).as_signed()
        else:
            zero = first.zero if pe.or_zero else None
            word = select(m, "first", first.table, first.key, zero, first.negate, word_bits=pe.entry_bits, lut=pe.lut)
        at.running = wire(m, "row_0", Number(word, pe.entry | (-pe.entry - 1)))
        at.low, at.carry, at.selections[0] = [], first.negate, SimpleNamespace()

    def _next(self, m: Module, at: SimpleNamespace, *, index: int) -> None:
        if index % self.pe.tables == 0:
            # nothing more is added to the lowest bit
            at.low.append(at.running.value[0])
            at.running = Number(at.running.value.shift_right(1), shifted(at.running.interval, 1))
        selection, at.selections[index] = at.selections[index], SimpleNamespace()
        at.running = self._row(m, index, at.running, selection, at.running.interval + self._added)

    def _row(self, m: Module, index: int, x: Number, selection: SimpleNamespace, total: Interval) -> Number:
        """``x`` and what one selection adds."""
        pe = self.pe
        if self._chooses_first:
            word = Number(selection.word.as_signed())
            row = Digit().row(x, word, signed(total.signed_bits))
            ports = {"a": word.value, "digit": Cat(~selection.zero if pe.or_zero else 1, selection.negate)}
        else:
            row = SelectAdd(
                x_bits=len(x.value),
                words=len(pe.signs),
                word_bits=pe.entry_bits,
                or_zero=pe.or_zero,
                lut=pe.lut,
                sum_bits=total.signed_bits,
            )
            ports = {port: value for port, value in vars(selection).items() if port != "zero" or pe.or_zero}
        place(m, f"row_{index}", row)
        m.d.comb += [getattr(row, port).eq(value) for port, value in {"x": x.value, **ports}.items()]
        return Number(row.sum, total)
