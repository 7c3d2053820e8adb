"""Table look-up: rows' edges build tables of sums of activations, and cells add what a weight selects."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from amaranth.hdl import Cat, Module, Signal, Value, signed

from hw.narrow import keep, round_half_even, saturate
from hw.number import Number, assign, wire
from hw.rows import add_kept, shifted
from hw.select import SelectAdd, select
from hw.unit import place
from pe.base import PE, Core, Encoder, PEError
from sw_ref.accumulate import Accumulator
from sw_ref.formats import Int
from sw_ref.interval import Interval

__all__ = ["LookUpPE", "Signs"]

Signs = tuple[int, ...]
"""Of each activation of a table, what it counts in an entry: -1, 0 or 1."""


@dataclass(frozen=True, kw_only=True)
class LookUpPE(PE):
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
    """

    k: int = 2
    lut: int = 6

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
        if isinstance(self.k, bool) or not isinstance(self.k, int) or not 2 <= self.k <= largest:
            raise PEError(f"Option k must be an integer from 2 to {largest}, not {self.k!r}")
        if isinstance(self.lut, bool) or self.lut not in (4, 6):
            raise PEError(f"Option lut must be 4 or 6, not {self.lut!r}")
        if self.lanes % self.k:
            raise PEError(f"Lanes must be a multiple of option k, {self.k}, not {self.lanes}")

    @property
    def name(self) -> str:
        return f"{super().name}_k{self.k}{'_lut4' if self.lut == 4 else ''}"

    def row_encoder(self, *, masked: bool) -> Encoder:
        return _Tables(
            act=self.act, lanes=self.lanes, signs=self.signs, shift=self.shift, entry=self.entry, masked=masked
        )

    def core(self, accumulator: Accumulator) -> Core:
        return _LookUp(pe=self, accumulator=accumulator)


class _Tables(Encoder):
    """All tables of a row, out of codes in a register, which clears those that are masked."""

    latency: int = 1

    def __init__(
        self, *, act: Int, lanes: int, signs: tuple[Signs, ...], shift: int, entry: Interval, masked: bool
    ) -> None:
        self.act = act
        self.signs = signs
        self.shift = shift
        self.entry = entry
        self.k = len(signs[0])
        operand_bits = lanes // self.k * len(signs) * entry.signed_bits
        super().__init__(bits=act.bits, lanes=lanes, operand_bits=operand_bits, masked=masked)

    @property
    def name(self) -> str:
        entries = f"{len(self.signs)}xi{self.entry.signed_bits}"
        return f"tables_{self.lanes}x{self.act.name}_k{self.k}_{entries}{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        acts = []
        for lane in range(self.lanes):
            act = Signal(signed(self.bits) if self.act.signed else self.bits, name=f"act_{lane}", reset_less=True)
            m.d.sync += act.eq(self.codes.word_select(lane, self.bits))
            if self.masked:
                with m.If(~self.mask[lane]):
                    m.d.sync += act.eq(0)
            acts.append(Number(act))
        entries = []
        for table in range(self.lanes // self.k):
            sums = _shared_sums(m, f"table_{table}", acts[table * self.k :][: self.k], self.signs)
            for index, exact in enumerate(sums):
                kept = saturate(round_half_even(exact, self.shift), self.entry) if self.shift else exact
                entry = Signal(signed(self.entry.signed_bits), name=f"entry_{table}_{index}")
                m.d.comb += assign(entry, kept)
                entries.append(entry)
        m.d.comb += self.operand.eq(Cat(entries))
        return m


def _shared_sums(m: Module, name: str, terms: list[Number], rows: Sequence[Signs]) -> list[Number]:
    """For each row of signs, the first of which that is not 0 is 1, the sum of ``sign * term``.

    Rows share what is the same, up to its sign, in one half of the terms.
    """
    if len(terms) == 1:
        return terms
    middle = len(terms) // 2
    halves = []
    for half in (slice(None, middle), slice(middle, None)):
        wanted = list(dict.fromkeys(_led_by_one(row[half]) for row in rows if any(row[half])))
        halves.append(dict(zip(wanted, _shared_sums(m, f"{name}_{half.start or 0}", terms[half], wanted), strict=True)))
    sums = []
    for index, row in enumerate(rows):
        low, high = (
            known.get(_led_by_one(part)) for known, part in zip(halves, (row[:middle], row[middle:]), strict=True)
        )
        if low is None or high is None:
            sums.append(low or high)
            continue
        total = low + high if _led_by_one(row[middle:]) == row[middle:] else low - high
        sums.append(wire(m, f"{name}_sum_{index}", total))
    return sums


def _led_by_one(signs: Signs) -> Signs:
    """``signs``, or their opposites: those whose first that is not 0 is 1."""
    lead = next((sign for sign in signs if sign), 1)
    return tuple(lead * sign for sign in signs)


class _LookUp(Core):
    """A chain of rows, one for each plane and table, and the addition to the running sum."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        addend = Number(self.addend.as_signed())
        selections = self.pe.planes * self.pe.tables
        if selections == 1:
            kept = keep(self._row(m, 0, addend, self.accumulator), self.accumulator)
        else:
            product, carry = self._product(m, selections)
            kept = add_kept(m, "total", addend, product, carry, self.accumulator)
        m.d.comb += assign(self.sum.as_signed(), kept)
        return m

    def _product(self, m: Module, selections: int) -> tuple[Number, Value]:
        """What a step adds, as the sum of the two: the first selection is but a complement where it is negative."""
        pe = self.pe
        table, key, zero, negate = self._operands(0)
        first = select(m, "first", table, key, zero, negate, word_bits=pe.entry_bits, lut=pe.lut)
        running = wire(m, "row_0", Number(first, pe.entry | (-pe.entry - 1)))
        low: list[Value] = []
        for index in range(1, selections):
            if index % pe.tables == 0:
                # nothing more is added to the lowest bit
                low.append(running.value[0])
                running = Number(running.value.shift_right(1), shifted(running.interval, 1))
            running = self._row(m, index, running)
        return Number(Cat(*low, running.value).as_signed()), negate

    def _row(self, m: Module, index: int, x: Number, kept_by: Accumulator | None = None) -> Number:
        """``x`` and what one selection adds; only what an accumulator keeps of it, if it goes there."""
        pe = self.pe
        interval = x.interval + (pe.entry | -pe.entry)
        if kept_by and kept_by.overflow != "saturate":
            interval = kept_by.interval
        row = SelectAdd(
            x_bits=len(x.value),
            words=len(pe.signs),
            word_bits=pe.entry_bits,
            or_zero=pe.or_zero,
            lut=pe.lut,
            sum_bits=interval.signed_bits,
        )
        place(m, f"row_{index}", row)
        table, key, zero, negate = self._operands(index)
        m.d.comb += [row.x.eq(x.value), row.table.eq(table), row.key.eq(key), row.negate.eq(negate)]
        if zero is not None:
            m.d.comb += row.zero.eq(zero)
        return Number(row.sum, interval)

    def _operands(self, index: int) -> tuple[Value, Value, Value | None, Value]:
        """Table, key, zero and sign of a selection."""
        pe = self.pe
        table = self.act.word_select(index % pe.tables, len(pe.signs) * pe.entry_bits)
        column = self.weight.word_select(index, pe.selection_bits)
        return table, column[: pe.key_bits], column[pe.key_bits] if pe.or_zero else None, column[-1]
