"""Output-stationary array: every cell keeps one sum until its last product is in."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from dataflow.edge import deskewed, edge_latency, place_edges
from dataflow.mesh import Band, Cells, MeshRow, Shape, Tile, place_bands
from hw.delay import delayed
from hw.rows import any_of
from hw.unit import Unit, place
from pe.base import PE
from pe.float_round import finish_unit
from sw_ref.accumulate import Accumulator

FINISH = 6
"""Register stages of what turns a sum into a float, once a column."""

__all__ = ["OutputStationaryArray", "OutputStationaryCell", "OutputStationaryCells"]


class OutputStationaryCell(Unit):
    """One cell: adds the products of a step to its sum, and hands the sum over after the last.

    The register of the sum is cleared by its own reset input, so that neither starting nor keeping a sum costs logic;
    so is the result, which is 0 except in the one cycle after the last step unless ``hold`` is set.

    A cell that keeps several sums has them on their way through its core: each comes to the register when it is its
    turn. It adds in every cycle; where a step does not count, all its lanes are masked.

    Ports
    -----
    act, weight : In
        Operands of this cycle.
    control : In(2 with ``hold`` or several sums, else 3)
        From the low bit: last, the operands are the last of their sum; quiet, they are not, unless ``hold`` is set;
        valid, they count (which last implies), unless there are several sums. That last and quiet are two signals
        spares every cell an inverter.
    below : Out(accumulator bits)
        The result: the sum, in the cycle after the last step (`OutputStationaryCells.latency` cycles later still).

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
                "control": In(1 + (not hold) + (pe.interleave == 1)),
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
        latency = _latency(self.pe)
        last = delayed(m, self.control[0], latency, name="last", init=1)
        m.d.comb += [
            core.act.eq(self.act),
            core.weight.eq(self.weight),
            core.addend.eq(acc),
            self.below.eq(result),
        ]
        counts = Const(1) if self.pe.interleave > 1 else delayed(m, self.control[-1], latency, name="valid", init=0)
        with m.If(counts):
            m.d.sync += acc.eq(core.sum)
        with m.If(last):
            m.d.sync += [acc.eq(0), result.eq(core.sum)]
        if not self.hold:
            quiet = delayed(m, self.control[1], latency, name="quiet", init=1)
            with m.If(quiet):
                m.d.sync += result.eq(0)
        return m


@dataclass(frozen=True, kw_only=True)
class OutputStationaryCells(Cells):
    """Tiles of output-stationary cells; ``below`` carries the result of one row at a time, and 0 between.

    Control, from the low bit: ``last``, ``quiet`` and ``valid``, as a cell takes them; where a tile has several rows,
    ``last``, ``valid``, and one ``select`` a row, which puts that row's result on ``below``.
    """

    accumulator: Accumulator

    @property
    def latency(self) -> int:
        """Cycles from operands to a sum's register."""
        return _latency(self.pe)

    @property
    def hold(self) -> bool:
        """Whether results wait for their turn: the rows of a tile end together, but leave one by one."""
        return self.shape.tile_rows > 1

    @property
    def control_bits(self) -> int:
        return 1 + (self.pe.interleave == 1) + (self.shape.tile_rows if self.hold else 1)

    @property
    def control_init(self) -> int:
        # a reset clears all sums, and all results too
        return 0b01 if self.hold else 0b11

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

    Parameters
    ----------
    pe : PE
    shape : Shape
    accumulator : Accumulator
    """

    def __init__(self, *, pe: PE, shape: Shape, accumulator: Accumulator) -> None:
        if pe.interleave > 1 and shape.tile_rows > 1:
            raise ValueError(f"Array tile_rows must be 1 for cells that keep several sums, not {shape.tile_rows}")
        self.pe = pe
        self.shape = shape
        self.accumulator = accumulator
        self.cells = OutputStationaryCells(pe=pe, shape=shape, accumulator=accumulator)
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
        return 2 + self._edge + self.cells.latency + self.shape.mesh_cols + (finish.latency if finish else 0)

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe, shape = self.pe, self.shape
        mask = self.mask if self.masked else None
        tick = None
        if pe.interleave > 1:
            mask = self.valid.replicate(pe.lanes) & (self.mask if self.masked else 1)
            tick = delayed(m, self.tick, self._edge + 1, name="tick_edge")
        mask = None if mask is None else mask.replicate(shape.rows)
        mode = self.mode if pe.mode_bits else None
        act, weight = place_edges(m, pe, shape, act=self.act, mask=mask, weight=self.weight, mode=mode)
        bands = place_bands(m, self.cells, act=act, controls=self._controls(m), weight=weight, tick=tick)
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
        rest = [] if self.pe.interleave > 1 else [valid]
        for index in range(self.shape.mesh_rows):
            if index:
                apart = self.pe.interleave
                last = delayed(m, last, apart, name=f"last_{index}", init=1)
                quiet = delayed(m, quiet, apart, name=f"quiet_{index}", init=1)
                rest = [delayed(m, valid, apart, name=f"valid_{index}", init=0) for valid in rest]
            if self.cells.hold:
                controls.append(Cat(last, *rest, *self._selects(m, index, ~quiet)))
            else:
                controls.append(Cat(last, quiet, *rest))
        return controls

    def _selects(self, m: Module, index: int, ended: Value) -> list[Value]:
        """Turns of the rows of mesh row ``index`` to give their results.

        Row r of the array gives its result r + 1 cycles after row 0 has ended its sum; this tile ends its sums
        ``index`` cycles after that, when ``ended`` is high.
        """
        tile_rows = self.shape.tile_rows
        wait = index * (tile_rows - 1) + self.cells.latency + 1
        selects = [delayed(m, ended, wait, name=f"select_{index}", init=0)]
        for row in range(1, tile_rows):
            selects.append(delayed(m, selects[-1], 1, name=f"select_{index}_{row}", init=0))
        return selects


def _latency(pe: PE) -> int:
    """Cycles from the operands of a cell to the register of a sum."""
    return pe.latency + pe.interleave - 1
