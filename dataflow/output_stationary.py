"""Output-stationary array: every cell keeps one sum until its last product is in."""

from amaranth.hdl import Cat, Module, Value
from amaranth.lib.wiring import In, Out

from dataflow.edge import deskewed, edge_latency, place_edges
from dataflow.mesh import Shape, place_bands
from dataflow.output_stationary_blocks import OutputStationaryBlocks, in_blocks
from dataflow.output_stationary_cells import OutputStationaryCells
from hw.delay import delayed
from hw.unit import Unit, place
from pe.base import PE
from pe.float_round import finish_unit
from sw_ref.accumulate import Accumulator

FINISH = 2
"""Register stages of what turns a sum into a float, once a column."""

__all__ = ["OutputStationaryArray"]


class OutputStationaryArray(Unit):
    """Array of rows x cols cells, each keeping ``sum over steps and lanes of act * weight``.

    Sums that are floats are finished, if they have to be, once a column: behind the cells.

    In a cycle with ``valid`` high, one step goes in: ``lanes`` activations for each row and ``lanes`` weights for
    each column. The step with ``last`` ends all sums of this tile; the next step starts new ones. Row ``r`` of the
    results comes out, all columns together, `latency` + ``r`` cycles after that step; so two steps with ``last`` must
    be at least ``rows`` cycles apart.

    Ports
    -----
    act : In(rows * row_code_bits), weight : In(cols * column_code_bits)
        Codes, lane 0 of row (column) 0 in the low bits.
    mode : In(mode_bits), only if the processing element has several modes
        What the codes of this cycle are of.
    mask : In(lanes), only with several lanes
        Lanes that count.
    valid, last : In(1)
    result : Out(cols * accumulator.result_bits)
        0 in all cycles without a result.

    Parameters
    ----------
    pe : PE
    shape : Shape
    accumulator : Accumulator
    """

    def __init__(self, *, pe: PE, shape: Shape, accumulator: Accumulator) -> None:
        self.pe = pe
        self.shape = shape
        self.accumulator = accumulator
        if pe.block:
            pe.block.check_accumulator(accumulator)
        kind = OutputStationaryBlocks if pe.block else OutputStationaryCells
        self.cells = kind(pe=pe, shape=in_blocks(shape, pe), accumulator=accumulator)
        self._edge = edge_latency(pe, masked=self.masked)
        mask = {"mask": In(pe.lanes)} if self.masked else {}
        super().__init__(
            {
                "act": In(shape.rows * pe.row_code_bits),
                **mask,
                "weight": In(shape.cols * pe.column_code_bits),
                **({"mode": In(pe.mode_bits)} if pe.mode_bits else {}),
                "valid": In(1),
                "last": In(1),
                "result": Out(shape.cols * accumulator.result_bits),
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
        finish = finish_unit(self.accumulator, pipeline=FINISH)
        cells = self.cells.latency + self.shape.mesh_cols - 1 + self.cells.leave_latency
        return 1 + self._edge + cells + (finish.latency if finish else 0)

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe, shape = self.pe, self.shape
        mask = self.mask.replicate(shape.rows) if self.masked else None
        mode = self.mode if pe.mode_bits else None
        act, weight = place_edges(m, pe, self.cells.shape, act=self.act, mask=mask, weight=self.weight, mode=mode)
        bands = place_bands(m, self.cells, act=act, controls=self._controls(m), weight=weight)
        result = self.cells.leave(m, [band.below for band in bands])
        m.d.comb += self.result.eq(self._finished(m, deskewed(m, shape, result, what="result")))
        return m

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
        for index in range(self.shape.mesh_rows):
            if index:
                valid = delayed(m, valid, 1, name=f"valid_{index}", init=0)
                last = delayed(m, last, 1, name=f"last_{index}", init=1)
                quiet = delayed(m, quiet, 1, name=f"quiet_{index}", init=1)
            end = self._turns(m, index, quiet) if self.cells.hold else [quiet]
            controls.append(Cat(valid, last, *end))
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
