"""Output-stationary array: every cell keeps one sum until its last product is in."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from dataflow.edge import deskewed, edge_latency, place_edges
from dataflow.mesh import Band, Cells, MeshRow, Shape, Tile, place_bands
from hw.delay import delayed
from hw.rows import any_of
from hw.unit import Unit, place
from pe.base import PE
from pe.float_round import finish_unit
from sw_ref.accumulate import Accumulator

FINISH = 2
"""Register stages of what turns a sum into a float, once a column."""

__all__ = ["OutputStationaryArray", "OutputStationaryCell", "OutputStationaryCells"]


class OutputStationaryCell(Unit):
    """One cell: adds the products of a step to its sum, and hands the sum over after the last.

    The register of the sum is cleared by its own reset input, so that neither starting nor keeping a sum costs logic;
    so is the result, which is 0 except in the one cycle after the last step unless ``hold`` is set.

    Ports
    -----
    act, weight : In
        Operands of this cycle.
    control : In(2 with ``hold``, else 3)
        From the low bit: valid, the operands count; last, they are the last of their sum (which implies valid); quiet,
        they are not. That last and quiet are two signals spares every cell an inverter.
    below : Out(accumulator bits)
        The result: the sum, in the cycle after the last step (`PE.latency` cycles later still).

    Parameters
    ----------
    pe, accumulator
        What is added, and what is kept of it.
    hold : bool
        Keep the result until the next one, where it is 0 otherwise.
    """

    def __init__(self, *, pe: PE, accumulator: Accumulator, hold: bool) -> None:
        self.pe = pe
        self.accumulator = accumulator
        self.hold = hold
        super().__init__(
            {
                "act": In(pe.row_bits),
                "weight": In(pe.column_bits),
                "control": In(2 if hold else 3),
                "below": Out(accumulator.bits),
            }
        )

    @property
    def name(self) -> str:
        return f"{self.pe.core(self.accumulator).name}_os_cell{'_hold' if self.hold else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        core = place(m, "core", self.pe.core(self.accumulator))
        acc = Signal(self.accumulator.bits, reset_less=True)
        result = Signal(self.accumulator.bits, reset_less=True)
        # after a reset, last and quiet clear sum and result until operands of a new product come
        valid = delayed(m, self.control[0], self.pe.latency, name="valid", init=0)
        last = delayed(m, self.control[1], self.pe.latency, name="last", init=1)
        m.d.comb += [
            core.act.eq(self.act),
            core.weight.eq(self.weight),
            core.addend.eq(acc),
            self.below.eq(result),
        ]
        with m.If(valid):
            m.d.sync += acc.eq(core.sum)
        with m.If(last):
            m.d.sync += [acc.eq(0), result.eq(core.sum)]
        if not self.hold:
            quiet = delayed(m, self.control[2], self.pe.latency, name="quiet", init=1)
            with m.If(quiet):
                m.d.sync += result.eq(0)
        return m


@dataclass(frozen=True, kw_only=True)
class OutputStationaryCells(Cells):
    """Tiles of output-stationary cells; ``below`` carries the result of one row at a time, and 0 between.

    Control, from the low bit: ``valid``, ``last``, and ``quiet``; or, where a tile has several rows, one ``select`` a
    row instead, which puts that row's result on ``below``.
    """

    accumulator: Accumulator

    @property
    def hold(self) -> bool:
        """Whether results wait for their turn: the rows of a tile end together, but leave one by one."""
        return self.shape.tile_rows > 1

    @property
    def control_bits(self) -> int:
        return 2 + (self.shape.tile_rows if self.hold else 1)

    @property
    def control_init(self) -> int:
        # a reset clears all sums, and all results too
        return 0b010 if self.hold else 0b110

    @property
    def above_bits(self) -> int:
        return 0

    @property
    def below_bits(self) -> int:
        return self.accumulator.bits

    def cell(self, row: int) -> OutputStationaryCell:
        return OutputStationaryCell(pe=self.pe, accumulator=self.accumulator, hold=self.hold)

    def cell_control(self, control: Value, row: int) -> Value:
        return control[:2] if self.hold else control

    def join_cells(self, m: Module, tile: Tile, column: int, cells: list[Unit]) -> Value:
        results = [cell.below for cell in cells]
        if self.hold:
            selects = tile.control[2:]
            results = [result & select.replicate(len(result)) for result, select in zip(results, selects, strict=True)]
        return any_of(m, f"gather_{column}", results)

    def join_rows(self, m: Module, band: Band, rows: list[MeshRow]) -> None:
        m.d.comb += band.below.eq(any_of(m, "gather", [row.below for row in rows]))


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
        self.cells = OutputStationaryCells(pe=pe, shape=shape, accumulator=accumulator)
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
        return 2 + self._edge + self.pe.latency + self.shape.mesh_cols + (finish.latency if finish else 0)

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe, shape = self.pe, self.shape
        mask = self.mask.replicate(shape.rows) if self.masked else None
        mode = self.mode if pe.mode_bits else None
        act, weight = place_edges(m, pe, shape, act=self.act, mask=mask, weight=self.weight, mode=mode)
        bands = place_bands(m, self.cells, act=act, controls=self._controls(m), weight=weight)
        # in each column one mesh row at most is not 0, so that the OR of all is the one that counts
        result = delayed(m, any_of(m, "gather", [band.below for band in bands]), 1, name="gathered")
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
            end = self._selects(m, index, ~quiet) if self.cells.hold else [quiet]
            controls.append(Cat(valid, last, *end))
        return controls

    def _selects(self, m: Module, index: int, ended: Value) -> list[Value]:
        """Turns of the rows of mesh row ``index`` to give their results.

        Row r of the array gives its result r + 1 cycles after row 0 has ended its sum; this tile ends its sums
        ``index`` cycles after that, when ``ended`` is high.
        """
        tile_rows = self.shape.tile_rows
        wait = index * (tile_rows - 1) + self.pe.latency + 1
        selects = [delayed(m, ended, wait, name=f"select_{index}", init=0)]
        for row in range(1, tile_rows):
            selects.append(delayed(m, selects[-1], 1, name=f"select_{index}_{row}", init=0))
        return selects
