"""Weight-stationary array: every cell keeps one weight while activations and partial sums pass through."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from dataflow.array.check_columns import WeightStationaryCheck
from dataflow.array.checked import check_columns
from dataflow.array.edge import deskewed, edge_latency, place_edges
from dataflow.array.mesh import Band, Cells, MeshRow, Tile, place_bands
from dataflow.array.shape import Shape
from hw.core.narrow import keep
from hw.core.number import Number, assign
from hw.core.registers import delayed
from hw.core.unit import Unit, place
from hw.integer.halves import Halved
from pe.base import PE
from pe.pipelined import Pipelined
from sw_ref.arith.accumulate import Accumulator, bits_for

__all__ = ["WeightStationaryArray", "WeightStationaryCell", "WeightStationaryCells"]

# Bits of the longest carry chain that leaves a cycle short.
_LONG = 96


class WeightStationaryCell(Unit):
    """One cell: adds its products to the partial sum from above, while its next weight is being loaded.

    Ports
    -----
    act : In
        Operand of this cycle.
    weight : In
        The next weight.
    control : In(2)
        From the low bit: swap, from the next cycle on, the next weight is the one in use; load, take the next weight.
    above, below : In, Out(accumulator bits)
        ``below = above + act * weight in use``, where ``above`` belongs to the ``act`` of `PE.latency` cycles ago.

    Parameters
    ----------
    pe, accumulator
        What is added, and what is kept of it.
    registered : bool
        Hold ``below`` in a register, as the last row of a tile does; else it follows ``above`` in the same cycle.
    """

    def __init__(self, *, pe: PE, accumulator: Accumulator, registered: bool) -> None:
        self.pe = pe
        self.accumulator = accumulator
        self.registered = registered
        super().__init__(
            {
                "act": In(pe.row_bits),
                "weight": In(pe.column_bits),
                "control": In(2),
                "above": In(accumulator.bits),
                "below": Out(accumulator.bits),
            }
        )

    @property
    def name(self) -> str:
        return f"{self.pe.core(self.accumulator).name}_ws_cell{'' if self.registered else '_through'}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        core = place(m, "core", self.pe.core(self.accumulator))
        following = Signal(self.pe.column_bits, reset_less=True)
        in_use = Signal(self.pe.column_bits, reset_less=True)
        swap, load = self.control
        with m.If(load):
            m.d.sync += following.eq(self.weight)
        with m.If(swap):
            m.d.sync += in_use.eq(following)
        m.d.comb += [
            core.act.eq(self.act),
            core.weight.eq(in_use),
            core.addend.eq(self.above),
            self.below.eq(delayed(m, core.sum, int(self.registered), name="psum")),
        ]
        return m


@dataclass(frozen=True, kw_only=True)
class WeightStationaryCells(Cells):
    """Tiles of weight-stationary cells; ``above`` and ``below`` carry the partial sums, below a tile in a register.

    Control, from the low bit: ``swap``, and one ``load`` for each row of a tile.
    """

    accumulator: Accumulator

    @property
    def psum(self) -> Accumulator:
        """Partial sum of one column.

        Wide enough for every row; but never wider than the accumulator that it ends in, unless that saturates,
        since the low bits of a sum depend on low bits alone. Those of many bits come in halves, where cells can do so.
        """
        bits = bits_for(self.pe.term, self.shape.rows)
        if self.accumulator.overflow != "saturate":
            bits = min(bits, self.accumulator.bits)
        long = bits > _LONG and isinstance(self.pe, Pipelined) and self.pe.halves
        return (Halved if long else Accumulator)(bits, "wrap")

    @property
    def control_bits(self) -> int:
        return 1 + self.shape.tile_rows

    @property
    def control_init(self) -> None:
        # what is left of earlier work arrives before what comes after a reset, and is overwritten by it
        return None

    @property
    def above_bits(self) -> int:
        return self.psum.bits

    @property
    def below_bits(self) -> int:
        return self.psum.bits

    def cell(self, row: int) -> WeightStationaryCell:
        return WeightStationaryCell(pe=self.pe, accumulator=self.psum, registered=row == self.shape.tile_rows - 1)

    def cell_control(self, control: Value, row: int) -> Value:
        return Cat(control[0], control[1 + row])

    def join_cells(self, m: Module, tile: Tile, column: int, cells: list[Unit]) -> Value:
        m.d.comb += [cell.above.eq(over.below) for over, cell in pairwise(cells)]
        m.d.comb += cells[0].above.eq(tile.above.word_select(column, self.above_bits))
        return cells[-1].below

    def join_rows(self, m: Module, band: Band, rows: list[MeshRow]) -> None:
        m.d.comb += [row.above.eq(over.below) for over, row in pairwise(rows)]
        m.d.comb += [rows[0].above.eq(band.above), band.below.eq(rows[-1].below)]


class _Accumulate(Unit):
    """One column's edge: ``sum = base + psum``, kept as the accumulator says, in a register.

    Sums of many bits take two cycles, one for each half of the carry chain; `latency` tells.
    """

    def __init__(self, *, psum: Accumulator, accumulator: Accumulator) -> None:
        self.psum_format = psum
        self.accumulator = accumulator
        self.latency = 1 if max(psum.bits, accumulator.bits) <= _LONG else 2
        super().__init__({"psum": In(psum.bits), "base": In(accumulator.bits), "sum": Out(accumulator.bits)})

    @property
    def name(self) -> str:
        suffix = "_sat" if self.accumulator.overflow == "saturate" else ""
        halves = "_halves" if isinstance(self.psum_format, Halved) else ""
        return f"accumulate_{self.psum_format.bits}_{self.accumulator.bits}{suffix}{halves}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        total = Signal(self.accumulator.bits, reset_less=True)
        base, psum = Number(self.base.as_signed()), Number(self.psum.as_signed())
        sums = base + psum if self.latency == 1 else self._in_halves(m, base, psum)
        m.d.sync += assign(total.as_signed(), keep(sums, self.accumulator))
        m.d.comb += self.sum.eq(total)
        return m

    def _in_halves(self, m: Module, base: Number, psum: Number) -> Number:
        """The sum of one cycle ago: the low half was added then, the high one is now."""
        bits, low = max(len(base.value), len(psum.value)), self.psum_format.bits // 2
        x, y = Signal(signed(bits), name="wide_base"), Signal(signed(bits), name="wide_psum")
        m.d.comb += [assign(x, base), assign(y, psum)]
        lower = delayed(m, x[:low] + y[:low], 1, name="lower")
        late = int(not isinstance(self.psum_format, Halved))
        rest = delayed(m, x[low:], 1, name="base_rest"), delayed(m, y[low:], late, name="psum_rest")
        higher = Number(rest[0].as_signed()) + Number(rest[1].as_signed()) + Number(lower[-1])
        return Number(Cat(lower[:-1], higher.value).as_signed(), base.interval + psum.interval)


class WeightStationaryArray(Unit):
    """Array of rows x cols cells that multiplies vectors of activations by a block of weights.

    The block is ``rows * lanes`` deep (K) and ``cols`` wide (N). In a cycle with ``load[r]`` high, ``weight`` goes to
    row ``r`` of the next block. A cycle with ``swap`` high makes the next block the one in use for the activations of
    the following cycles; loading may go on in that same cycle. Each cycle takes one vector ``act``; `latency` cycles
    later its product with the block comes out, added to the ``base`` of `sum_latency` cycles before:

        result[n] = base[n] + sum over r, lane of act[r, lane] * weight[r, lane, n]

    A row that does not count must still be loaded, with any weights, once after power-up: its activations are masked,
    but in a simulator 0 times an unknown weight is unknown. Several rows may take the weights of one cycle.

    Ports
    -----
    act : In(rows * row_code_bits), weight : In(cols * column_code_bits)
        Codes, lane 0 of row (column) 0 in the low bits.
    mode : In(mode_bits), only if the processing element has several modes
        What the codes of this cycle are of.
    mask : In(rows * lanes)
        Activations that count.
    load : In(rows), swap : In(1)
    base, result : In, Out(cols * accumulator bits)
    check_base, check : In, Out(checks * bits of a check sum), only with check columns
        As base and result: check sums, see `sw_ref.arith.checksum`, the plain one in the low bits.

    Parameters
    ----------
    pe : PE
    shape : Shape
    accumulator : Accumulator
    """

    def __init__(self, *, pe: PE, shape: Shape, accumulator: Accumulator) -> None:
        if pe.block:
            raise ValueError(f"Dataflow must be output_stationary for {pe.name}, which keeps its sums in the cells")
        self.pe = pe
        self.shape = shape
        self.accumulator = accumulator
        self.cells = WeightStationaryCells(pe=pe, shape=shape.unchecked, accumulator=accumulator)
        self._edge = edge_latency(pe, masked=True)
        self._accumulate = _Accumulate(psum=self.cells.psum, accumulator=accumulator)
        makers = check_columns(WeightStationaryCheck, pe=pe, shape=shape, accumulator=accumulator)
        self._makers = [partial(make, base_latency=self.sum_latency) for make in makers]
        # what a check sum takes does not depend on when it is wanted
        self._check_latency = max((make(latency=0).least_latency for make in self._makers), default=0)
        check_bits = sum(make(latency=self.latency).bits for make in self._makers)
        super().__init__(
            {
                "act": In(shape.rows * pe.row_code_bits),
                "mask": In(shape.rows * pe.lanes),
                "weight": In(shape.cols * pe.column_code_bits),
                **({"mode": In(pe.mode_bits)} if pe.mode_bits else {}),
                "load": In(shape.rows),
                "swap": In(1),
                "base": In(shape.cols * accumulator.bits),
                "result": Out(shape.cols * accumulator.bits),
                **({"check_base": In(check_bits), "check": Out(check_bits)} if check_bits else {}),
            }
        )

    @property
    def name(self) -> str:
        return f"{self.pe.name_with(self.accumulator)}_ws_{self.shape.name}"

    @property
    def sum_latency(self) -> int:
        """Cycles from a base to its result: 2 for sums of more than 96 bits, else 1."""
        return self._accumulate.latency

    @property
    def latency(self) -> int:
        """Cycles from a vector of activations to its result."""
        return self._cells_latency + self._waits

    @property
    def _waits(self) -> int:
        """Cycles that sums of products wait for check sums that take longer."""
        return max(0, self._check_latency - self._cells_latency)

    @property
    def _cells_latency(self) -> int:
        """`latency`, if no check sum takes longer."""
        cells = self.pe.latency + self.shape.mesh_rows + self.shape.mesh_cols - 1
        return 1 + self._edge + cells + self.sum_latency

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe, shape = self.pe, self.shape
        mode = self.mode if pe.mode_bits else None
        act, weight = place_edges(m, pe, shape, act=self.act, mask=self.mask, weight=self.weight, mode=mode)
        bands = place_bands(m, self.cells, act=act, controls=self._controls(m), weight=weight)
        for over, band in pairwise(bands):
            m.d.comb += band.above.eq(over.below)
        psums = deskewed(m, shape, bands[-1].below, what="psum")
        psums = delayed(m, psums, self._waits, name="psum_late")
        m.d.comb += self.result.eq(self._accumulated(m, psums))
        if self._makers:
            self._elaborate_checks(m)
        return m

    def _elaborate_checks(self, m: Module) -> None:
        """Check sums, in step with the results."""
        sums = []
        for index, make in enumerate(self._makers):
            check = place(m, f"check_{index}", make(latency=self.latency))
            m.d.comb += [
                check.act_codes.eq(self.act),
                check.weight_codes.eq(self.weight),
                check.mask.eq(self.mask),
                check.load.eq(self.load),
                check.swap.eq(self.swap),
                check.base.eq(self.check_base.word_select(index, check.bits)),
            ]
            sums.append(check.sum)
        m.d.comb += self.check.eq(Cat(sums))

    def _controls(self, m: Module) -> list[Value]:
        """Control of each mesh row, skewed as its activations are."""
        swap = delayed(m, self.swap, self._edge + 1, name="swap_edge")
        controls = []
        for index in range(self.shape.mesh_rows):
            if index:
                swap = delayed(m, swap, 1, name=f"swap_{index}")
            loads = self.load.word_select(index, self.shape.tile_rows)
            controls.append(Cat(swap, delayed(m, loads, self._edge + 1 + index, name=f"load_{index}")))
        return controls

    def _accumulated(self, m: Module, psums: Value) -> Value:
        sums = []
        for column in range(self.shape.cols):
            edge = place(m, f"accumulate_{column}", _Accumulate(psum=self.cells.psum, accumulator=self.accumulator))
            m.d.comb += [
                edge.psum.eq(psums.word_select(column, self.cells.psum.bits)),
                edge.base.eq(self.base.word_select(column, self.accumulator.bits)),
            ]
            sums.append(edge.sum)
        return Cat(sums)
