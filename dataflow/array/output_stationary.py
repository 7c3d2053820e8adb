"""Output-stationary array: every cell keeps one sum until its last product is in."""

from amaranth.hdl import Cat, Module, Value
from amaranth.lib.wiring import In, Out

from dataflow.array.check_columns import OutputStationaryCheck
from dataflow.array.checked import check_columns
from dataflow.array.edge import deskewed, edge_latency, place_edges
from dataflow.array.mesh import place_bands
from dataflow.array.output_stationary_blocks import OutputStationaryBlocks, in_blocks
from dataflow.array.output_stationary_cells import OutputStationaryCells
from dataflow.array.shape import Shape
from hw.core.delay import late
from hw.core.registers import delayed
from hw.core.unit import Unit, place
from pe.base import PE
from pe.float.rounded import finish_unit
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum

FINISH = 6
"""Register stages of what turns a sum into a float, once a column."""

__all__ = ["OutputStationaryArray"]


class OutputStationaryArray(Unit):
    """Array of rows x cols cells, each keeping ``sum over steps and lanes of act * weight``.

    Sums that are floats are finished, if they have to be, once a column: behind the cells.

    In a cycle with ``valid`` high, one step goes in: ``lanes`` activations for each row and ``lanes`` weights for
    each column. The step with ``last`` ends all sums of this tile; the next step starts new ones. Row ``r`` of the
    results comes out, all columns together, `latency` + ``r`` cycles after that step; so two steps with ``last`` must
    be at least ``rows`` cycles apart.

    With cells that keep ``interleave`` sums, an array has so many times its ``rows`` of results, and a step takes as
    many cycles. In cycle ``i`` of it, row ``r`` of ``act`` is row ``r * interleave + i`` of the step; all else stays as
    it is. `latency` then counts from the first cycle of a step.

    Ports
    -----
    act : In(rows * row_code_bits), weight : In(cols * column_code_bits)
        Codes, lane 0 of row (column) 0 in the low bits.
    tick : In(1), only with cells that keep several sums
        This is the last cycle of a step, or could be: high in every cycle whose number is a certain one modulo
        ``interleave``.
    mode : In(mode_bits), only if the processing element has several modes
        What the codes of this cycle are of.
    mask : In(lanes), only with several lanes
        Lanes that count.
    valid, last : In(1)
    result : Out(cols * accumulator.result_bits)
        0 in all cycles without a result.
    check : Out(checks * bits of a check sum), only with check columns
        Check sums of the row, see `sw_ref.arith.checksum`, the plain one in the low bits.

    Parameters
    ----------
    pe : PE
    shape : Shape
    accumulator : Accumulator
    """

    def __init__(self, *, pe: PE, shape: Shape, accumulator: Accumulator | FloatSum) -> None:
        if pe.interleave > 1 and shape.tile_rows > 1:
            raise ValueError(f"Array tile_rows must be 1 for cells that keep several sums, not {shape.tile_rows}")
        self.pe = pe
        self.shape = shape
        self.accumulator = accumulator
        if pe.block:
            pe.block.check_accumulator(accumulator)
        kind = OutputStationaryBlocks if pe.block else OutputStationaryCells
        self.cells = kind(pe=pe, shape=in_blocks(shape.unchecked, pe), accumulator=accumulator)
        makers = check_columns(OutputStationaryCheck, pe=pe, shape=shape, accumulator=accumulator)
        self._checks = [make() for make in makers]
        self._edge = edge_latency(pe, masked=self.masked or pe.interleave > 1)
        mask = {"mask": In(pe.lanes)} if self.masked else {}
        tick = {"tick": In(1)} if pe.interleave > 1 else {}
        super().__init__(
            {
                "act": In(shape.rows * pe.row_code_bits),
                **mask,
                "weight": In(shape.cols * pe.column_code_bits),
                **({"mode": In(pe.mode_bits)} if pe.mode_bits else {}),
                **tick,
                "valid": In(1),
                "last": In(1),
                "result": Out(shape.cols * accumulator.result_bits),
                **({"check": Out(sum(each.bits for each in self._checks))} if self._checks else {}),
            }
        )

    @property
    def masked(self) -> bool:
        """Whether there is a mask: with one lane, a step without it is simply not valid."""
        return self.pe.lanes > 1

    @property
    def name(self) -> str:
        return f"{self.pe.name_with(self.accumulator)}_os_{self.shape.name}"

    @property
    def latency(self) -> int:
        """Cycles from the last step to row 0 of its results."""
        return self._cells_latency + self._waits

    @property
    def _waits(self) -> int:
        """Cycles that results wait for check sums that take longer."""
        return max([0, *(check.latency - self._cells_latency for check in self._checks)])

    @property
    def _cells_latency(self) -> int:
        """`latency`, if no check sum takes longer."""
        finish = finish_unit(self.accumulator, pipeline=FINISH)
        cells = self.cells.latency + self.shape.mesh_cols - 1 + self.cells.leave_latency
        return 1 + self._edge + cells + (finish.latency if finish else 0)

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe, shape = self.pe, self.shape
        mask = self.mask if self.masked else None
        tick = None
        if pe.interleave > 1:
            mask = self.valid.replicate(pe.lanes) & (self.mask if self.masked else 1)
            # a reset makes weights move on, so that none is unknown any more when sums are no longer cleared
            tick = delayed(m, self.tick, self._edge + 1, name="tick_edge", init=1)
        mask = None if mask is None else mask.replicate(shape.rows)
        mode = self.mode if pe.mode_bits else None
        act, weight = place_edges(m, pe, self.cells.shape, act=self.act, mask=mask, weight=self.weight, mode=mode)
        bands = place_bands(m, self.cells, act=act, controls=self._controls(m), weight=weight, tick=tick)
        result = self.cells.leave(m, [band.below for band in bands])
        result = self._finished(m, deskewed(m, shape, result, what="result"))
        m.d.comb += self.result.eq(delayed(m, result, self._waits, name="result_late"))
        if self._checks:
            self._elaborate_checks(m)
        return m

    def _elaborate_checks(self, m: Module) -> None:
        """Check sums, in step with the rows of results."""
        sums = []
        for index, check in enumerate(self._checks):
            place(m, f"check_{index}", check)
            m.d.comb += [
                check.act_codes.eq(self.act),
                check.weight_codes.eq(self.weight),
                check.valid.eq(self.valid),
                check.last.eq(self.last),
            ]
            if self.masked:
                m.d.comb += check.mask.eq(self.mask)
            sums.append(late(m, check.sum, self.latency - check.latency, name=f"check_{index}_late"))
        m.d.comb += self.check.eq(Cat(sums))

    def _finished(self, m: Module, sums: Value) -> Value:
        """The columns' results."""
        results = []
        for column in range(self.shape.cols):
            sum_ = sums.word_select(column, self.accumulator.bits)
            if finish := finish_unit(self.accumulator, pipeline=FINISH):
                place(m, f"finish_{column}", finish)
                m.d.comb += finish.sum.eq(sum_)
                sum_ = finish.code
            results.append(sum_)
        return Cat(results)

    def _controls(self, m: Module) -> list[Value]:
        """Control of each mesh row, skewed as its activations are."""
        valid = delayed(m, self.valid, self._edge + 1, name="valid_edge", init=0)
        last = delayed(m, self.last, self._edge + 1, name="last_edge", init=1)
        quiet = delayed(m, ~self.last, self._edge + 1, name="quiet_edge", init=1)
        controls = []
        rest = [] if self.pe.interleave > 1 else [valid]
        for index in range(self.shape.mesh_rows):
            if index:
                apart = self.pe.interleave
                last = delayed(m, last, apart, name=f"last_{index}", init=1)
                quiet = delayed(m, quiet, apart, name=f"quiet_{index}", init=1)
                rest = [delayed(m, valid, apart, name=f"valid_{index}", init=0) for valid in rest]
            if self.cells.hold:
                controls.append(Cat(last, *rest, *self._turns(m, index, quiet)))
            else:
                controls.append(Cat(last, quiet, *rest))
        return controls

    def _turns(self, m: Module, index: int, quiet: Value) -> list[Value]:
        """``quiet`` of each row of mesh row ``index``, low when it is the row's turn to give its result.

        Row r of the array gives its result r cycles after row 0; this tile ends its sums ``index`` cycles after the
        first one.
        """
        rows = self.cells.rows
        wait = index * (rows - 1) + self.cells.turn_latency
        turns = [delayed(m, quiet, wait, name=f"turn_{index}", init=1)]
        for row in range(1, rows):
            turns.append(delayed(m, turns[-1], 1, name=f"turn_{index}_{row}", init=1))
        return turns
