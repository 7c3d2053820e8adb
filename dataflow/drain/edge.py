"""The drain edge of an array: every column's, the totals in between, and when each parameter is taken."""

from collections.abc import Mapping
from functools import partial

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib.wiring import In, Member, Out

from dataflow.drain.finish import FinishColumn
from dataflow.drain.pipeline import CONVERT, to_float
from dataflow.drain.term import TermColumn
from dataflow.drain.total import AccumulateColumn
from dataflow.drain.turns import Turns
from hw.core.number import Number
from hw.core.ram import CHOICE_LATENCY, Ram
from hw.core.registers import delayed
from hw.core.select import Choose
from hw.core.unit import Unit, place
from sw_ref.drain.edge import Drain
from sw_ref.drain.step import Sizes
from sw_ref.formats.base import Format
from sw_ref.interval import Interval

__all__ = ["DrainEdge"]


class DrainEdge(Unit):
    """Turns the sums that leave an array, a row at a time, into results, as `sw_ref.drain.edge.Drain` says.

    There are ``lanes`` pipelines, in which the columns take turns: neighbours at once, column 0 first. A row is at work
    for `turns` cycles then, and rows that come faster wait for each other, as many as a panel has.

    Ports
    -----
    sums : In(cols * bits of a sum), row_sum : In(row_sum_bits), row, first, ends_group, valid, last, final : In
        As `dataflow.engine.base.Leaving` has them, and only what the steps need; ``taken`` has their names.
    column_parameters, row_parameters, output_parameters : In
        Those of all columns, for this group; of this row; of all columns, for this tile, and needed later.
    column_taken, row_taken, output_taken : Out(1)
        These were needed for the last time.
    result : Out(cols * result_bits), result_invalid : Out(cols) if it can be, result_valid, result_final : Out(1)
        `latency` cycles after the last sums of a row, if none waits before it.

    Two sums of an element of C must come `turnaround` cycles apart, or more; and the last rows of two groups so many
    that nothing waits when those of the second come.

    Parameters
    ----------
    drain : Drain
    sums : Interval
        What a sum can be.
    act, weight : Format
    depth : int
        Products of the longest sum.
    cols, rows, lanes : int
        Columns of the array, rows of a panel, and pipelines.
    finds_nonfinite : bool
        Whether results can be invalid.
    accumulates : bool
        Whether there can be several sums of an element.
    """

    def __init__(
        self,
        *,
        drain: Drain,
        sums: Interval,
        act: Format,
        weight: Format,
        depth: int,
        cols: int,
        rows: int,
        lanes: int,
        finds_nonfinite: bool,
        accumulates: bool,
    ) -> None:
        self.drain = drain
        self.cols = cols
        self.rows = rows
        self.lanes = lanes
        self.turns = -(-cols // lanes)
        self.finds_nonfinite = finds_nonfinite
        self.accumulates = accumulates
        integers, weights = (form.fixed.interval if form.fixed else Interval(0, 0) for form in (act, weight))
        row_sum = (integers | 0).sum_of(depth)
        self.row_sum_bits = row_sum.bits if drain.takes_row_sums else 0
        column_sum = Interval.of_bits((weights | 0).sum_of(depth).signed_bits, signed=True)
        self.sizes = Sizes(row_sum=row_sum, column_sum=column_sum)
        self.shapes = {each.name: Shape(each.bits(self.sizes), each.signed) for each in drain.parameters}
        fields = tuple(self.shapes.items())
        self.make_term = partial(TermColumn, drain=drain, sums=sums, sizes=self.sizes, fields=fields)
        self.term = self.make_term()
        shape = self.term.term.shape()
        self.make_accumulate = partial(AccumulateColumn, drain=drain, term=shape, accumulates=accumulates)
        self.accumulate = self.make_accumulate()
        self.make_finish = partial(FinishColumn, drain=drain, sizes=self.sizes, fields=fields)
        self.finish = self.make_finish()
        self.result_bits = len(self.finish.result)
        self._fields = {kind: names for kind in ("column", "row", "output") if (names := drain.names(kind))}
        self.parameter_bits = {
            kind: self._bits(fields) * (1 if kind == "row" else cols) for kind, fields in self._fields.items()
        }
        parameters = {f"{name}_parameters": In(bits) for name, bits in self.parameter_bits.items()}
        taken = self._taken(cols * sums.signed_bits)
        self.taken = tuple(taken)
        super().__init__(
            {
                **taken,
                **parameters,
                **{f"{name}_taken": Out(1) for name in self.parameter_bits},
                "result": Out(cols * self.result_bits),
                **({"result_invalid": Out(cols)} if finds_nonfinite else {}),
                "result_valid": Out(1),
                "result_final": Out(1),
            }
        )

    def _taken(self, sum_bits: int) -> dict[str, Member]:
        """What comes from the array: only what the steps need."""
        taken = {"sums": In(sum_bits)}
        if self.row_sum_bits:
            taken["row_sum"] = In(self.row_sum_bits)
        if self.finds_nonfinite:
            taken["invalid"] = In(self.cols)
        if self.accumulates:
            taken |= {"row": In(range(max(self.rows, 2))), "first": In(1)}
        if self.parameter_bits.keys() & {"column", "output"}:
            taken["ends_group"] = In(1)
        return taken | dict.fromkeys(("valid", "last", "final"), In(1))

    def _bits(self, fields: tuple[str, ...]) -> int:
        return sum(self.shapes[name].width for name in fields)

    @property
    def name(self) -> str:
        turns = f"_in_{self.turns}_turns" if self.turns > 1 else ""
        return f"drain_{self.cols}x{len(self.sums) // self.cols}_to_{self.result_bits}{turns}"

    @property
    def parameter_shapes(self) -> dict[str, dict[str, Shape]]:
        """Fields of a column, or of the row, of each kind of parameters, the first in the low bits."""
        return {kind: {name: self.shapes[name] for name in fields} for kind, fields in self._fields.items()}

    @property
    def latency(self) -> int:
        """Cycles from the last sums to the results, for a row that finds nothing before it."""
        waiting = Turns.latency + self.turns - 1 if self.turns > 1 else 0
        return waiting + self._finish_time + self.finish.latency

    @property
    def turnaround(self) -> int:
        """Cycles from one sum of an element to the next, at least: the total is written, and read again."""
        return self.accumulate.latency + 1 + CHOICE_LATENCY if self.accumulates else 1

    @property
    def _term_time(self) -> int:
        """Cycles from a sum to its term, which waits for its total if that takes longer to come."""
        return max(self.term.latency, CHOICE_LATENCY) if self.accumulates else self.term.latency

    @property
    def _finish_time(self) -> int:
        return self._term_time + self.accumulate.latency

    def circuit(self, platform: object) -> Module:
        m = Module()
        given = self._take_turns(m)
        late_turn = delayed(m, given["turn"], self._finish_time, name="late_turn")
        turns = {"column": given["turn"], "output": late_turn}
        words = {
            kind: self._of_turn(m, kind, getattr(self, f"{kind}_parameters"), turns.get(kind)) for kind in self._fields
        }
        late = self._late(m, given)
        terms = self._place_terms(m, given, words, late)
        totals, invalid = self._elaborate_totals(m, given, terms)
        results = self._place_finishes(m, totals, words, late)
        if self.finds_nonfinite:
            invalid = delayed(m, invalid, self.finish.latency, name="invalid_result")
            m.d.comb += self.result_invalid.eq(self._row(m, "invalid", invalid))
            if self.drain.floating:
                nan = self.drain.nan
                results = [Mux(bit, nan, result) for bit, result in zip(invalid, results, strict=True)]
        m.d.comb += self.result.eq(self._row(m, "results", Cat(results)))
        completes = delayed(m, given["ends"] & given["last"], self._finish_time, name="completes", init=0)
        final = delayed(m, given["final"], self._finish_time + self.finish.latency, name="result_final")
        m.d.comb += [
            self.result_valid.eq(delayed(m, completes, self.finish.latency, name="result_valid", init=0)),
            self.result_final.eq(final),
        ]
        if "column" in self.parameter_bits:
            m.d.comb += self.column_taken.eq(given["ends"] & given["ends_group"])
        if "row" in self.parameter_bits:
            m.d.comb += self.row_taken.eq(given["ends"])
        if "output" in self.parameter_bits:
            ends_tile = delayed(m, given["ends_group"], self._finish_time, name="ends_tile")
            m.d.comb += self.output_taken.eq(completes & ends_tile)
        return m

    def _take_turns(self, m: Module) -> dict[str, Value]:
        """What is at work in this cycle: of the row that comes in, or that waits, the columns whose turn it is.

        ``valid`` says that there is something, ``ends`` that these are its last columns.
        """
        row = {name: getattr(self, name) for name in self.taken}
        if self.turns == 1:
            return {**row, "turn": Const(0), "ends": self.valid}
        del row["valid"]
        unit = place(m, "turns", Turns(width=len(Cat(row.values())), turns=self.turns, depth=self.rows))
        m.d.comb += [unit.row.eq(Cat(row.values())), unit.valid.eq(self.valid)]
        waiting, at = {}, 0
        for name, value in row.items():
            waiting[name] = unit.waiting[at : at + len(value)]
            at += len(value)
        waiting["sums"] = self._of_turn(m, "sums", waiting["sums"], unit.turn)
        return {**waiting, "valid": unit.active, "turn": unit.turn, "ends": unit.active & unit.is_last}

    def _of_turn(self, m: Module, name: str, words: Value, turn: Value | None) -> Value:
        """Of a word for each column, those of the columns whose turn it is; what has no turn is for all."""
        if self.turns == 1 or turn is None:
            return words
        width = len(words) // self.cols * self.lanes
        unit = place(m, f"{name}_of_turn", Choose(words=self.turns, word_bits=width, complements=False))
        m.d.comb += [unit.table.eq(words), unit.key.eq(turn)]
        return unit.word

    def _late(self, m: Module, given: Mapping[str, Value]) -> dict[str, Value]:
        """What columns want later than the value, once for all of them."""
        times = {name: self.term.time_of(name) for name in self.term.late}
        times |= {name: self._finish_time + self.finish.time_of(name) for name in self.finish.late}
        found = {}
        for name, time in times.items():
            if name == "row_sum_float":
                integer = Number(
                    given["row_sum"].as_signed() if self._row_sum.signed else given["row_sum"], self._row_sum
                )
                found[name] = delayed(m, to_float(m, integer, self.drain.arithmetic), time - CONVERT, name=name)
            else:
                found[name] = delayed(m, self._word(self.row_parameters, "row", name, 0), time, name=name)
        return found

    @property
    def _row_sum(self) -> Interval:
        return self.sizes.row_sum

    def _word(self, words: Value, kind: str, name: str, lane: int) -> Value:
        """One parameter of those that are at work."""
        fields = self._fields[kind]
        at = lane * self._bits(fields) + self._bits(fields[: fields.index(name)])
        return words[at : at + self.shapes[name].width]

    def _connect(
        self,
        m: Module,
        unit: TermColumn | FinishColumn,
        lane: int,
        words: Mapping[str, Value],
        late: Mapping[str, Value],
    ) -> None:
        """Give a pipeline its parameters."""
        for kind, fields in self._fields.items():
            for name in fields:
                if name in unit.signature.members and name not in unit.late:
                    word = self._word(words[kind], kind, name, 0 if kind == "row" else lane)
                    m.d.comb += getattr(unit, name).eq(word)
        m.d.comb += [getattr(unit, name).eq(late[name]) for name in unit.late]

    def _place_terms(
        self, m: Module, given: Mapping[str, Value], words: Mapping[str, Value], late: Mapping[str, Value]
    ) -> list[Value]:
        units = [place(m, f"term_{lane}", self.make_term()) for lane in range(self.lanes)]
        for lane, unit in enumerate(units):
            m.d.comb += unit.sum.eq(given["sums"].word_select(lane, len(unit.sum)))
            if "row_sum" in unit.signature.members:
                m.d.comb += unit.row_sum.eq(given["row_sum"])
            self._connect(m, unit, lane, words, late)
        return [unit.term for unit in units]

    def _place_finishes(
        self, m: Module, totals: list[Value], words: Mapping[str, Value], late: Mapping[str, Value]
    ) -> list[Value]:
        units = [place(m, f"finish_{lane}", self.make_finish()) for lane in range(self.lanes)]
        for lane, (unit, total) in enumerate(zip(units, totals, strict=True)):
            m.d.comb += unit.total.eq(total)
            self._connect(m, unit, lane, words, late)
        return [unit.result for unit in units]

    def _row(self, m: Module, name: str, now: Value) -> Value:
        """What comes of the turns of a row, side by side."""
        if self.turns == 1:
            return now
        earlier = Signal((self.turns - 1) * len(now), name=f"earlier_{name}", reset_less=True)
        # a row's turns follow each other without a gap
        m.d.sync += earlier.eq(Cat(earlier, now)[len(now) :])
        return Cat(earlier, now)

    def _elaborate_totals(self, m: Module, given: Mapping[str, Value], terms: list[Value]) -> tuple[list[Value], Value]:
        """Add each term to its total, which waits in a memory for the next; and whether it is invalid by now."""
        units = [place(m, f"accumulate_{lane}", self.make_accumulate()) for lane in range(self.lanes)]
        totals = [unit.total for unit in units]
        waits = self._term_time - self.term.latency
        for lane, (unit, term) in enumerate(zip(units, terms, strict=True)):
            m.d.comb += unit.term.eq(delayed(m, term, waits, name=f"term_{lane}"))
        invalid = given.get("invalid", Const(0, 0))
        invalid = delayed(m, self._of_turn(m, "invalid", invalid, given["turn"]), self._finish_time, name="invalid")
        if not self.accumulates:
            return totals, invalid
        place_ = Cat(given["turn"], given["row"]) if self.turns > 1 else given["row"]
        width = len(Cat(totals))
        memory = place(m, "totals", Ram(width=width + len(invalid), depth=max(2, 1 << len(place_))))
        time = self._term_time
        # in front of the register, which stands in front of a sum
        first = delayed(m, given["first"], time - 1, name="first_term")
        neutral = Cat(Const(unit.neutral, len(unit.base)) for unit in units)
        bases = delayed(m, Mux(first, neutral, memory.read_data), 1, name="bases")
        known = delayed(m, bases[width:], self.accumulate.latency, name="base_invalid")
        total_invalid = Signal(len(invalid), name="total_invalid")
        m.d.comb += [
            total_invalid.eq(invalid | known),
            memory.read_address.eq(delayed(m, place_, time - CHOICE_LATENCY, name="base_place")),
            memory.write_address.eq(delayed(m, place_, self._finish_time, name="total_place")),
            memory.write.eq(delayed(m, given["valid"], self._finish_time, name="total_valid", init=0)),
            memory.write_data.eq(Cat(totals, total_invalid)),
        ]
        m.d.comb += [unit.base.eq(bases.word_select(lane, len(unit.base))) for lane, unit in enumerate(units)]
        return totals, total_invalid
