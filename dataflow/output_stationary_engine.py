"""Output-stationary engine: a step of K each cycle, a tile of results after the last."""

from amaranth.hdl import Module, Mux, Signal, Value

from dataflow.engine import SIZE_BITS, Engine, Parts
from dataflow.output_stationary import OutputStationaryArray
from dataflow.panel import PanelBuffer
from dataflow.walk import BlockWalk, DepthWalk, low_ones
from hw.delay import delayed

__all__ = ["OutputStationaryEngine"]


class OutputStationaryEngine(Engine):
    """Engine around an `OutputStationaryArray`.

    For each panel of ``rows`` rows of A, for each block of ``cols`` columns of W, for each step of ``lanes`` along K:
    one beat of weights, and the activations of that step from the panel. The results of a tile leave while the next one
    is computed; a group shorter than ``rows`` steps waits for that.
    """

    dataflow = "output_stationary"

    @property
    def span(self) -> int:
        return self.pe.lanes

    @property
    def panel_rows(self) -> int:
        return self.shape.rows

    def _make_array(self) -> OutputStationaryArray:
        return OutputStationaryArray(pe=self.pe, shape=self.shape, accumulator=self.accumulator)

    def _panel(self) -> PanelBuffer:
        return PanelBuffer(
            width=len(self.act.payload),
            rows=self.shape.rows,
            by_row=False,
            span=self.span,
            group_size=self.tiling.group_size,
            max_k=self.tiling.max_k,
            size_bits=SIZE_BITS,
        )

    def _result_depth(self) -> int:
        # a tile is on its way for the latency, the memory and the FIFO, and then leaves row by row
        rows = self.shape.rows
        return rows * (-(-(self.array.latency + 4) // rows) + 2)

    def _elaborate_issue(self, m: Module, parts: Parts) -> Value:
        job, panel, array = parts.job, parts.panel, parts.array
        rows = self.shape.rows
        most = (1 << SIZE_BITS) - 1
        steps = DepthWalk(span=self.span, group_size=self.tiling.group_size, most=self.tiling.max_k, name="step")
        row_blocks = BlockWalk(span=rows, most=most, name="m")
        col_blocks = BlockWalk(span=self.shape.cols, most=most, name="n")
        busy = Signal()
        # cycles until the rows of the last tile have left the array's cells
        draining = Signal(range(rows))
        ends_sum, fire, ends_panel = Signal(), Signal(), Signal()

        m.d.comb += [
            self.weight.ready.eq(
                busy & panel.available & (~steps.last_of_group | ((draining == 0) & (parts.free >= rows)))
            ),
            fire.eq(self.weight.valid & self.weight.ready),
            ends_sum.eq(fire & steps.last_of_group),
            ends_panel.eq(fire & steps.last & col_blocks.last),
            panel.release.eq(ends_panel),
        ]
        with m.If(draining != 0):
            m.d.sync += draining.eq(draining - 1)
        with m.If(ends_sum):
            m.d.comb += parts.reserve.eq(row_blocks.used)
            m.d.sync += draining.eq(rows - 1)
        with m.If(fire):
            steps.step(m)
            m.d.sync += panel.address.eq(panel.address + 1)
            with m.If(steps.last):
                steps.start(m, job.k)
                col_blocks.step(m)
                m.d.sync += panel.address.eq(0)
                with m.If(col_blocks.last):
                    col_blocks.start(m, job.n)
                    row_blocks.step(m)
                    m.d.sync += busy.eq(~row_blocks.last)
        with m.If(parts.start):
            steps.start(m, self.command.payload.k)
            col_blocks.start(m, self.command.payload.n)
            row_blocks.start(m, self.command.payload.m)
            m.d.sync += [busy.eq(1), panel.address.eq(0)]

        # the panel answers in the next cycle, and everything else waits for it
        m.d.comb += [
            array.act.eq(panel.data),
            array.weight.eq(delayed(m, self.weight.payload, 1, name="issued_weight")),
            array.valid.eq(delayed(m, fire, 1, name="issued_valid", init=0)),
            array.last.eq(delayed(m, ends_sum, 1, name="issued_last", init=0)),
        ]
        if array.masked:
            mask = low_ones(steps.used, self.span)
            m.d.comb += array.mask.eq(delayed(m, mask, 1, name="issued_mask"))
        final = ends_panel & row_blocks.last
        self._elaborate_results(m, parts, tile=Mux(ends_sum, row_blocks.used, 0), final=final)
        return ~busy

    def _elaborate_results(self, m: Module, parts: Parts, *, tile: Value, final: Value) -> None:
        """Write the rows of a tile as they come out of the array: ``tile`` of them, 0 if no sum ends now."""
        latency = 1 + parts.array.latency
        arriving = delayed(m, tile, latency, name="arriving_rows", init=0)
        arriving_final = delayed(m, final, latency, name="arriving_final", init=0)
        rest, rest_final = Signal.like(arriving, name="rest_rows"), Signal(name="rest_final")
        rows = Signal.like(arriving, name="leaving_rows")
        is_final = Signal(name="leaving_final")
        m.d.comb += [
            rows.eq(Mux(arriving != 0, arriving, rest)),
            is_final.eq(Mux(arriving != 0, arriving_final, rest_final)),
            parts.push.eq(rows != 0),
            parts.push_last.eq(is_final & (rows == 1)),
        ]
        m.d.sync += [rest.eq(rows - (rows != 0)), rest_final.eq(is_final)]
