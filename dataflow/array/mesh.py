"""A mesh of tiles: how operands travel through an array, whatever its cells do with them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from dataflow.array.shape import Shape
from hw.core.registers import delayed
from hw.core.unit import Unit, place
from pe.base import PE

__all__ = [
    "BAND",
    "Band",
    "Cells",
    "MeshRow",
    "place_bands",
]

BAND = 4
"""Rows of tiles that are emitted together, once for all bands of an array."""


@dataclass(frozen=True, kw_only=True)
class Cells(ABC):
    """What a mesh is made of: the cells of one dataflow, in tiles.

    A cell is a unit with the ports ``act`` (row_bits), ``weight`` (column_bits), ``control``, ``above``
    (`above_bits`, if that is not 0) and ``below`` (`below_bits`); a tile has the same ports for all its rows and
    columns, where ``control`` has `control_bits`. A tile of one cell is that cell.

    Parameters
    ----------
    pe : PE
    shape : Shape
    """

    pe: PE
    shape: Shape

    @property
    @abstractmethod
    def control_bits(self) -> int:
        """Bits that travel with the activations of a row of tiles."""

    @property
    @abstractmethod
    def control_init(self) -> int | None:
        """What the control registers hold after reset; None if they need none."""

    @property
    @abstractmethod
    def above_bits(self) -> int:
        """Bits that a column of cells takes from the tile above."""

    @property
    @abstractmethod
    def below_bits(self) -> int:
        """Bits that a column of cells gives to the tile below, or to the array's edge."""

    @abstractmethod
    def cell(self, row: int) -> Unit:
        """A cell of this row of a tile."""

    @abstractmethod
    def cell_control(self, control: Value, row: int) -> Value:
        """What a cell of this row sees of the tile's control."""

    @abstractmethod
    def join_cells(self, m: Module, tile: "Tile", column: int, cells: list[Unit]) -> Value:
        """Connect the ports ``above`` and ``below`` of a tile's column of cells; return what is below it."""

    @abstractmethod
    def join_rows(self, m: Module, band: "Band", rows: list["MeshRow"]) -> None:
        """Connect the ports ``above`` and ``below`` of a band and its rows."""

    def tile(self) -> Unit:
        """One tile."""
        return self.cell(0) if (self.shape.tile_rows, self.shape.tile_cols) == (1, 1) else Tile(cells=self)

    def ports(self, *, rows: int, cols: int, control_bits: int) -> dict[str, wiring.Member]:
        """Ports of so many rows and columns of cells."""
        above = {"above": In(cols * self.above_bits)} if self.above_bits else {}
        return {
            "act": In(rows * self.pe.row_bits),
            "control": In(control_bits),
            "weight": In(cols * self.pe.column_bits),
            **above,
            "below": Out(cols * self.below_bits),
        }


class Tile(Unit):
    """Cells that see their operands in the same cycle."""

    def __init__(self, *, cells: Cells) -> None:
        self.cells = cells
        shape = cells.shape
        super().__init__(cells.ports(rows=shape.tile_rows, cols=shape.tile_cols, control_bits=cells.control_bits))

    @property
    def name(self) -> str:
        shape = self.cells.shape
        return f"{self.cells.cell(shape.tile_rows - 1).name}_tile_{shape.tile_rows}x{shape.tile_cols}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        cells, pe, shape = self.cells, self.cells.pe, self.cells.shape
        columns = []
        for column in range(shape.tile_cols):
            members = [place(m, f"cell_{row}_{column}", cells.cell(row)) for row in range(shape.tile_rows)]
            for row, cell in enumerate(members):
                m.d.comb += [
                    cell.act.eq(self.act.word_select(row, pe.row_bits)),
                    cell.weight.eq(self.weight.word_select(column, pe.column_bits)),
                    cell.control.eq(cells.cell_control(self.control, row)),
                ]
            columns.append(cells.join_cells(m, self, column, members))
        m.d.comb += self.below.eq(Cat(columns))
        return m


class MeshRow(Unit):
    """One row of tiles: activations and control move one tile to the right each cycle.

    Ports as those of a tile, for all columns. Tile ``j`` sees ``act`` and ``control`` as they were ``j`` cycles ago.
    """

    def __init__(self, *, cells: Cells) -> None:
        self.cells = cells
        shape = cells.shape
        super().__init__(cells.ports(rows=shape.tile_rows, cols=shape.cols, control_bits=cells.control_bits))

    @property
    def name(self) -> str:
        return f"{self.cells.tile().name}_row_{self.cells.shape.mesh_cols}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        cells, shape = self.cells, self.cells.shape
        act, control = self.act, self.control
        below = []
        for column in range(shape.mesh_cols):
            if column:
                act = delayed(m, act, 1, name=f"act_{column}")
                control = delayed(m, control, 1, name=f"control_{column}", init=cells.control_init)
            tile = place(m, f"tile_{column}", cells.tile())
            m.d.comb += [
                tile.act.eq(act),
                tile.control.eq(control),
                tile.weight.eq(self.weight.word_select(column, shape.tile_cols * cells.pe.column_bits)),
            ]
            if cells.above_bits:
                m.d.comb += tile.above.eq(self.above.word_select(column, shape.tile_cols * cells.above_bits))
            below.append(tile.below)
        m.d.comb += self.below.eq(Cat(below))
        return m


class Band(Unit):
    """Some rows of tiles, one below the other: weights move one tile down each cycle.

    Ports as those of a tile, for all its rows and columns. Row ``i`` sees ``weight`` as it was ``i`` cycles ago, and
    ``weight_below`` is what its last row sees, for another band below. How the rows' vertical ports are joined is
    up to the cells, see `Cells.join_rows`.

    Where cells keep several sums, weights move one tile down with each ``tick``, which goes to the right as activations
    do: they stay for all cycles of a step.
    """

    def __init__(self, *, cells: Cells, mesh_rows: int, lowest: bool) -> None:
        self.cells = cells
        self.mesh_rows = mesh_rows
        self.lowest = lowest
        shape = cells.shape
        ports = cells.ports(
            rows=mesh_rows * shape.tile_rows, cols=shape.cols, control_bits=mesh_rows * cells.control_bits
        )
        if cells.pe.interleave > 1:
            ports["tick"] = In(1)
        if not lowest:
            ports["weight_below"] = Out(shape.cols * cells.pe.column_bits)
        super().__init__(ports)

    @property
    def name(self) -> str:
        lowest = "_lowest" if self.lowest else ""
        return f"{self.cells.tile().name}_band_{self.mesh_rows}x{self.cells.shape.mesh_cols}{lowest}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        cells, weight = self.cells, self.weight
        operand_bits = cells.shape.tile_rows * cells.pe.row_bits
        ticks = _ticks(m, self.tick, cells.shape) if cells.pe.interleave > 1 else None
        rows = []
        for index in range(self.mesh_rows):
            if index:
                weight = _below(m, weight, ticks, name=f"weight_{index}")
            row = place(m, f"row_{index}", MeshRow(cells=cells))
            m.d.comb += [
                row.act.eq(self.act.word_select(index, operand_bits)),
                row.control.eq(self.control.word_select(index, cells.control_bits)),
                row.weight.eq(weight),
            ]
            rows.append(row)
        if not self.lowest:
            m.d.comb += self.weight_below.eq(weight)
        cells.join_rows(m, self, rows)
        return m


def place_bands(
    m: Module, cells: Cells, *, act: Value, controls: list[Value], weight: Value, tick: Value | None = None
) -> list[Band]:
    """Add all rows of tiles in bands of `BAND` rows; what is below a band is left to the caller.

    ``act`` and ``controls`` are those of all mesh rows, ``weight`` is that of the uppermost; ``tick``, where cells keep
    several sums, goes with the leftmost column.
    """
    ticks = None if tick is None else _ticks(m, tick, cells.shape)
    mesh_rows = cells.shape.mesh_rows
    operand_bits = cells.shape.tile_rows * cells.pe.row_bits
    bands = []
    for start in range(0, mesh_rows, BAND):
        stop = min(start + BAND, mesh_rows)
        band = Band(cells=cells, mesh_rows=stop - start, lowest=stop == mesh_rows)
        place(m, f"band_{start // BAND}", band)
        if bands:
            weight = _below(m, bands[-1].weight_below, ticks, name=f"weight_{start}")
        m.d.comb += [
            band.act.eq(act[start * operand_bits : stop * operand_bits]),
            band.control.eq(Cat(controls[start:stop])),
            band.weight.eq(weight),
        ]
        if tick is not None:
            m.d.comb += band.tick.eq(tick)
        bands.append(band)
    return bands


def _ticks(m: Module, tick: Value, shape: Shape) -> list[Value]:
    """``tick`` of each column of tiles, each a cycle behind its left neighbour."""
    ticks = [tick]
    for column in range(1, shape.mesh_cols):
        ticks.append(delayed(m, ticks[-1], 1, name=f"tick_{column}", init=1))
    return ticks


def _below(m: Module, weight: Value, ticks: list[Value] | None, *, name: str) -> Value:
    """The weights of the next row of tiles: those of the cycle before, or of the last tick of each column."""
    if ticks is None:
        return delayed(m, weight, 1, name=name)
    below = Signal.like(weight, name=name, reset_less=True)
    for column, tick in enumerate(ticks):
        bits = len(weight) // len(ticks)
        with m.If(tick):
            m.d.sync += below.word_select(column, bits).eq(weight.word_select(column, bits))
    return below
