"""The drain edge of an array: every column's, the totals in between, and when each parameter is taken."""

from functools import partial

from amaranth.hdl import Cat, Module, Shape, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from dataflow.drain_finish import FinishColumn
from dataflow.drain_steps import field_shapes
from dataflow.drain_term import TermColumn
from dataflow.drain_total import AccumulateColumn
from hw.delay import delayed
from hw.unit import Unit, place
from sw_ref.drain import Drain
from sw_ref.formats import Format
from sw_ref.interval import Interval

__all__ = ["DrainEdge"]


class DrainEdge(Unit):
    """Turns the sums that leave an array, a row at a time, into results, as `sw_ref.drain.Drain` says.

    Ports
    -----
    sums : In(cols * bits of a sum), row_sum : In(row_sum_bits), row, first, ends_group, valid, last, final : In
        As `dataflow.engine.Leaving` has them, and only what the steps need; ``taken`` has their names.
    column_parameters, row_parameters, output_parameters : In
        Those of all columns, for this group; of this row; of all columns, for this tile, and needed later.
    column_taken, row_taken, output_taken : Out(1)
        These were needed for the last time.
    result : Out(cols * result_bits), result_valid, result_final : Out(1)
        `latency` cycles after the last sums of a row.

    Two sums of an element of C must come `turnaround` cycles apart, or more.

    Parameters
    ----------
    drain : Drain
    sums : Interval
        What a sum can be.
    act, weight : Format
    depth : int
        Products of the longest sum.
    cols, rows : int
        Columns of the array, rows of a panel.
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
        accumulates: bool,
    ) -> None:
        self.drain = drain
        self.cols = cols
        self.rows = rows
        self.accumulates = accumulates
        row_sum = (act.fixed.interval | 0).sum_of(depth)
        self.row_sum_bits = row_sum.bits if drain.weight_zero else 0
        self.shapes = field_shapes(drain, act=act.fixed.interval, weight=weight.fixed.interval, depth=depth)
        fields = tuple(self.shapes.items())
        self.make_term = partial(TermColumn, drain=drain, sums=sums, row_sum=row_sum, fields=fields)
        self.term = self.make_term()
        shape = self.term.term.shape()
        self.make_accumulate = partial(AccumulateColumn, drain=drain, term=shape, accumulates=accumulates)
        self.accumulate = self.make_accumulate()
        self.make_finish = partial(FinishColumn, drain=drain, fields=fields)
        self.finish = self.make_finish()
        self.result_bits = len(self.finish.result)
        kinds = {"column": drain.column_fields, "row": drain.row_fields, "output": drain.output_fields}
        self._fields = {kind: fields for kind, fields in kinds.items() if fields}
        self.parameter_bits = {
            kind: self._bits(fields) * (1 if kind == "row" else cols) for kind, fields in self._fields.items()
        }
        parameters = {f"{name}_parameters": In(bits) for name, bits in self.parameter_bits.items()}
        taken = {"sums": In(cols * sums.signed_bits)}
        if self.row_sum_bits:
            taken["row_sum"] = In(self.row_sum_bits)
        if accumulates:
            taken |= {"row": In(range(max(rows, 2))), "first": In(1)}
        if self.parameter_bits.keys() & {"column", "output"}:
            taken["ends_group"] = In(1)
        taken |= dict.fromkeys(("valid", "last", "final"), In(1))
        self.taken = tuple(taken)
        super().__init__(
            {
                **taken,
                **parameters,
                **{f"{name}_taken": Out(1) for name in self.parameter_bits},
                "result": Out(cols * self.result_bits),
                "result_valid": Out(1),
                "result_final": Out(1),
            }
        )

    def _bits(self, fields: tuple[str, ...]) -> int:
        return sum(self.shapes[name].width for name in fields)

    @property
    def name(self) -> str:
        return f"drain_{self.cols}x{len(self.sums) // self.cols}_to_{self.result_bits}"

    @property
    def parameter_shapes(self) -> dict[str, dict[str, Shape]]:
        """Fields of a column, or of the row, of each kind of parameters, the first in the low bits."""
        return {kind: {name: self.shapes[name] for name in fields} for kind, fields in self._fields.items()}

    @property
    def latency(self) -> int:
        """Cycles from the last sums to the results."""
        return self._finish_time + self.finish.latency

    @property
    def turnaround(self) -> int:
        """Cycles from one sum of an element to the next, at least: the total is written, and read again."""
        return self.accumulate.latency + 2 if self.accumulates else 1

    @property
    def _finish_time(self) -> int:
        return self.term.latency + self.accumulate.latency

    def circuit(self, platform: object) -> Module:
        m = Module()
        act_scale = self._act_scale(m)
        terms = [self._place_term(m, column, act_scale) for column in range(self.cols)]
        totals = self._elaborate_totals(m, terms)
        results = [self._place_finish(m, column, total, act_scale) for column, total in enumerate(totals)]
        m.d.comb += self.result.eq(Cat(results))
        completes = delayed(m, self.valid & self.last, self._finish_time, name="completes", init=0)
        m.d.comb += [
            self.result_valid.eq(delayed(m, completes, self.finish.latency, name="result_valid", init=0)),
            self.result_final.eq(delayed(m, self.final, self.latency, name="result_final")),
        ]
        if "column" in self.parameter_bits:
            m.d.comb += self.column_taken.eq(self.valid & self.ends_group)
        if "row" in self.parameter_bits:
            m.d.comb += self.row_taken.eq(self.valid)
        if "output" in self.parameter_bits:
            ends_tile = delayed(m, self.ends_group, self._finish_time, name="ends_tile")
            m.d.comb += self.output_taken.eq(completes & ends_tile)
        return m

    def _act_scale(self, m: Module) -> Value | None:
        """The row's scale, when the columns want it."""
        if self.drain.act_scale == "none":
            return None
        time = (
            self.term.time_of("act_scale")
            if self.drain.act_scale == "group"
            else (self._finish_time + self.finish.time_of("act_scale"))
        )
        return delayed(m, self._word("row", "act_scale", 0), time, name="act_scale")

    def _word(self, kind: str, name: str, column: int) -> Value:
        """One parameter, as it comes in."""
        fields = self._fields[kind]
        at = column * self._bits(fields) + self._bits(fields[: fields.index(name)])
        return getattr(self, f"{kind}_parameters")[at : at + self.shapes[name].width]

    def _connect(self, m: Module, unit: TermColumn | FinishColumn, column: int, act_scale: Value | None) -> None:
        """Give a column's unit its parameters."""
        for kind, fields in self._fields.items():
            for name in fields:
                if name in unit.signature.members:
                    late = name in unit.late
                    word = act_scale if late else self._word(kind, name, 0 if kind == "row" else column)
                    m.d.comb += getattr(unit, name).eq(word)

    def _place_term(self, m: Module, column: int, act_scale: Value | None) -> Value:
        unit = place(m, f"term_{column}", self.make_term())
        m.d.comb += unit.sum.eq(self.sums.word_select(column, len(unit.sum)))
        if self.row_sum_bits:
            m.d.comb += unit.row_sum.eq(self.row_sum)
        self._connect(m, unit, column, act_scale)
        return unit.term

    def _place_finish(self, m: Module, column: int, total: Value, act_scale: Value | None) -> Value:
        unit = place(m, f"finish_{column}", self.make_finish())
        m.d.comb += unit.total.eq(total)
        self._connect(m, unit, column, act_scale)
        return unit.result

    def _elaborate_totals(self, m: Module, terms: list[Value]) -> list[Value]:
        """Add each term to its total, which waits in a memory for the next."""
        units = [place(m, f"accumulate_{column}", self.make_accumulate()) for column in range(self.cols)]
        totals = [unit.total for unit in units]
        m.d.comb += [unit.term.eq(term) for unit, term in zip(units, terms, strict=True)]
        if not self.accumulates:
            return totals
        m.submodules.totals = memory = Memory(shape=len(Cat(totals)), depth=self.rows, init=[])
        write, read = memory.write_port(), memory.read_port()
        time = self.term.latency
        first = delayed(m, self.first, time, name="first_term")
        bases = read.data
        m.d.comb += [
            # the memory takes a cycle to answer
            read.addr.eq(delayed(m, self.row, time - 1, name="base_row")),
            write.addr.eq(delayed(m, self.row, self._finish_time, name="total_row")),
            write.en.eq(delayed(m, self.valid, self._finish_time, name="total_valid", init=0)),
            write.data.eq(Cat(totals)),
        ]
        for column, unit in enumerate(units):
            m.d.comb += [unit.base.eq(bases.word_select(column, len(unit.base))), unit.first.eq(first)]
        return totals
