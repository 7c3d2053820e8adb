"""Weight-stationary engine: a block of weights stays while the rows of a panel pass it."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.memory import Memory

from dataflow.engine import SIZE_BITS, Engine, Parts
from dataflow.panel import PanelBuffer
from dataflow.walk import BlockWalk, DepthWalk, low_ones
from dataflow.weight_stationary import WeightStationaryArray
from hw.delay import delayed

__all__ = ["SUM_TURNAROUND", "WeightStationaryEngine"]

SUM_TURNAROUND = 3
"""Cycles from reading a sum of the panel to when it can be read again, with the next block added."""


class WeightStationaryEngine(Engine):
    """Engine around a `WeightStationaryArray`.

    For each panel of `panel_rows` rows of A, for each block of ``cols`` columns of W, for each block of
    ``rows * lanes`` along K: the block's weights, a row of the array a beat, and then the activations of the panel, a
    row of A each cycle. The next block is loaded meanwhile. Sums of a panel are kept in a memory at the array's edge
    until their group is complete.
    """

    dataflow = "weight_stationary"

    @property
    def span(self) -> int:
        return self.shape.rows * self.pe.lanes

    @property
    def panel_rows(self) -> int:
        return self.tiling.panel_rows

    def _make_array(self) -> WeightStationaryArray:
        return WeightStationaryArray(pe=self.pe, shape=self.shape, accumulator=self.accumulator)

    def _panel(self) -> PanelBuffer:
        return PanelBuffer(
            width=len(self.act.payload),
            rows=self.panel_rows,
            by_row=True,
            span=self.span,
            group_size=self.tiling.group_size,
            max_k=self.tiling.max_k,
            size_bits=SIZE_BITS,
        )

    def _result_depth(self) -> int:
        return self.array.latency + 6

    def _elaborate_issue(self, m: Module, parts: Parts) -> Value:
        loader = self._elaborate_loader(m, parts)
        block = Signal(loader.block.shape(), name="block")
        active = Signal()
        rows_left = Signal(range(self.panel_rows + 1))
        settling = Signal(range(SUM_TURNAROUND))
        first_row, fire, last_fire = Signal(), Signal(), Signal()
        panel, array = parts.panel, parts.array

        m.d.comb += [
            fire.eq(
                active & panel.available & (~block.ends_group | (parts.free != 0)) & (~first_row | (settling == 0))
            ),
            last_fire.eq(fire & (rows_left == 1)),
            loader.swap.eq(loader.loaded & (~active | last_fire)),
            parts.reserve.eq(fire & block.ends_group),
            panel.release.eq(last_fire & block.ends_panel),
        ]
        with m.If(settling != 0):
            m.d.sync += settling.eq(settling - 1)
        with m.If(fire):
            m.d.sync += [rows_left.eq(rows_left - 1), first_row.eq(0), panel.address.eq(panel.address + 1)]
        with m.If(last_fire):
            m.d.sync += active.eq(0)
            # the panel's first row must not come round before its sum can be read
            for rows in range(1, SUM_TURNAROUND):
                with m.If(block.rows == rows):
                    m.d.sync += settling.eq(SUM_TURNAROUND - rows)
            with m.If(block.ends_k):
                m.d.sync += panel.address.eq(0)
        with m.If(loader.swap):
            m.d.sync += [
                block.eq(loader.block),
                rows_left.eq(loader.block.rows),
                first_row.eq(1),
                active.eq(1),
            ]
        with m.If(parts.start):
            m.d.sync += panel.address.eq(0)

        # the panel answers in the next cycle, and everything else waits for it
        mask = low_ones(block.used, self.span)
        m.d.comb += [
            array.act.eq(panel.data),
            array.mask.eq(delayed(m, mask, 1, name="issued_mask")),
            array.swap.eq(delayed(m, loader.swap, 1, name="issued_swap", init=0)),
        ]
        token = Cat(fire, first_row, block.starts_group, block.ends_group, block.final & (rows_left == 1))
        self._elaborate_sums(m, parts, token)
        return ~active & ~loader.busy

    def _elaborate_loader(self, m: Module, parts: Parts) -> "_Loader":
        """Load one block of weights ahead of the one in use."""
        lanes, most = self.pe.lanes, (1 << SIZE_BITS) - 1
        loader = _Loader(rows=self.panel_rows, span=self.span)
        depth = DepthWalk(span=self.span, group_size=self.tiling.group_size, most=self.tiling.max_k, name="block")
        row_blocks = BlockWalk(span=self.panel_rows, most=most, name="m")
        col_blocks = BlockWalk(span=self.shape.cols, most=most, name="n")
        row = Signal(self.shape.rows, name="load_row", init=1)
        k = Signal(range(self.span + 1), name="load_k")
        accepted = Signal(name="weight_accepted")
        block, job = loader.block, parts.job
        m.d.comb += [
            self.weight.ready.eq(loader.busy & ~loader.loaded),
            accepted.eq(self.weight.valid & self.weight.ready),
            block.rows.eq(row_blocks.used),
            block.used.eq(depth.used),
            block.starts_group.eq(depth.first_of_group),
            block.ends_group.eq(depth.last_of_group),
            block.ends_k.eq(depth.last),
            block.ends_panel.eq(depth.last & col_blocks.last),
            block.final.eq(depth.last & col_blocks.last & row_blocks.last),
            parts.array.weight.eq(delayed(m, self.weight.payload, 1, name="issued_weight")),
            parts.array.load.eq(delayed(m, Mux(accepted, row, 0), 1, name="issued_load", init=0)),
        ]
        with m.If(accepted):
            m.d.sync += [row.eq(row.rotate_left(1)), k.eq(k + lanes)]
            with m.If(k + lanes >= depth.used):
                m.d.sync += [row.eq(1), k.eq(0), loader.loaded.eq(1)]
        with m.If(loader.swap):
            depth.step(m)
            m.d.sync += loader.loaded.eq(0)
            with m.If(block.ends_k):
                depth.start(m, job.k)
                col_blocks.step(m)
            with m.If(block.ends_panel):
                col_blocks.start(m, job.n)
                row_blocks.step(m)
                m.d.sync += loader.busy.eq(~block.final)
        with m.If(parts.start):
            depth.start(m, self.command.payload.k)
            col_blocks.start(m, self.command.payload.n)
            row_blocks.start(m, self.command.payload.m)
            m.d.sync += loader.busy.eq(1)
        return loader

    def _elaborate_sums(self, m: Module, parts: Parts, token: Value) -> None:
        """Add each product to the panel's sum of its row and column, and pass complete sums on."""
        array = parts.array
        m.submodules.sums = memory = Memory(shape=len(array.base), depth=self.panel_rows, init=[])
        write, read = memory.write_port(), memory.read_port()
        # the array takes the base one cycle before it gives the result; the memory takes one more to find it
        token = delayed(m, token, array.latency - 1, name="token", init=0)
        valid, first_row, starts_group, ends_group, final = token
        row = Signal.like(read.addr, name="sum_row")
        m.d.comb += read.addr.eq(Mux(first_row, 0, row + 1))
        with m.If(valid):
            m.d.sync += row.eq(read.addr)

        starts_group = delayed(m, starts_group, 1, name="base_starts_group")
        m.d.comb += array.base.eq(Mux(starts_group, 0, read.data))

        m.d.comb += [
            write.addr.eq(delayed(m, read.addr, 2, name="write_row")),
            write.data.eq(array.result),
            write.en.eq(delayed(m, valid & ~ends_group, 2, name="write_sum", init=0)),
            parts.push.eq(delayed(m, valid & ends_group, 2, name="push_sum", init=0)),
            parts.push_last.eq(delayed(m, final, 2, name="push_final")),
        ]


class _Loader:
    """The block of weights that comes next.

    ``busy`` while there are more; ``loaded`` when it is in place; ``swap`` takes it into use. `block` tells what it is:
    ``rows`` of the panel that pass it, ``used`` products along K, and whether it starts or ends a group, ends K, ends
    the panel, and ends the product.
    """

    def __init__(self, *, rows: int, span: int) -> None:
        self.busy = Signal(name="load_busy")
        self.loaded = Signal(name="block_loaded")
        self.swap = Signal(name="swap")
        self.block = Signal(
            data.StructLayout(
                {
                    "rows": rows.bit_length(),
                    "used": span.bit_length(),
                    "starts_group": 1,
                    "ends_group": 1,
                    "ends_k": 1,
                    "ends_panel": 1,
                    "final": 1,
                }
            ),
            name="next_block",
        )
