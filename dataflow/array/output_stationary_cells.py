"""Output-stationary cells: every one keeps one sum until its last product is in."""

from dataclasses import dataclass

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from dataflow.array.mesh import Band, Cells, MeshRow, Tile
from hw.core.registers import delayed
from hw.core.rows import any_of
from hw.core.unit import Unit, place
from pe.base import PE
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum

__all__ = ["OutputStationaryCell", "OutputStationaryCells"]


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
        The result: the sum, in the cycle after the last step (`PE.latency` and `PE.interleave` - 1 cycles later still).

    Parameters
    ----------
    pe, accumulator
        What is added, and what is kept of it.
    hold : bool
        Keep the result until the next one, where it is 0 otherwise.
    """

    def __init__(self, *, pe: PE, accumulator: Accumulator | FloatSum, hold: bool) -> None:
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
    ``last``, ``valid``, and one ``quiet`` a row, which keeps that row's result off ``below`` unless it is its turn.
    """

    accumulator: Accumulator | FloatSum

    @property
    def latency(self) -> int:
        """Cycles from the operands of a cell to its result, if that has not to wait for its turn."""
        return _latency(self.pe) + 1

    @property
    def turn_latency(self) -> int:
        """Cycles from the last operands to the turn of the first row, where a tile has several."""
        return self.latency

    @property
    def leave_latency(self) -> int:
        """Cycles that `leave` takes."""
        return 1

    @property
    def rows(self) -> int:
        """Rows of results that a tile has."""
        return self.shape.tile_rows

    @property
    def hold(self) -> bool:
        """Whether results wait for their turn: the rows of a tile end together, but leave one by one."""
        return self.rows > 1

    @property
    def control_bits(self) -> int:
        return 1 + (self.pe.interleave == 1) + self.rows

    @property
    def control_init(self) -> int:
        # a reset clears all sums, and all results too
        return (1 << self.control_bits) - 1 & ~0b10 if self.hold else 0b11

    @property
    def above_bits(self) -> int:
        return 0

    @property
    def below_bits(self) -> int:
        return self.accumulator.bits

    def cell(self, row: int) -> Unit:
        return OutputStationaryCell(pe=self.pe, accumulator=self.accumulator, hold=self.hold)

    def cell_control(self, control: Value, row: int) -> Value:
        return control[:2] if self.hold else control

    def join_cells(self, m: Module, tile: Tile, column: int, cells: list[Unit]) -> Value:
        results = [cell.below for cell in cells]
        if self.hold:
            quiets = tile.control[2:]
            results = [result & ~quiet.replicate(len(result)) for result, quiet in zip(results, quiets, strict=True)]
        return any_of(m, f"gather_{column}", results)

    def join_rows(self, m: Module, band: Band, rows: list[MeshRow]) -> None:
        m.d.comb += band.below.eq(any_of(m, "gather", [row.below for row in rows]))

    def leave(self, m: Module, belows: list[Value]) -> Value:
        """The sums of all columns, `leave_latency` cycles after they were below the bands of an array."""
        # in each column one mesh row at most is not 0, so that the OR of all is the one that counts
        return delayed(m, any_of(m, "gather", belows), 1, name="gathered")


def _latency(pe: PE) -> int:
    """Cycles from the operands of a cell to the register of a sum."""
    return pe.latency + pe.interleave - 1
