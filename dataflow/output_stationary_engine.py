"""Output-stationary engine: a step of K each cycle, a tile of results after the last."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from dataflow.engine import Engine, Parts
from dataflow.job import SIZE_BITS
from dataflow.nonfinite import nonfinite
from dataflow.output_stationary import OutputStationaryArray
from dataflow.row_sums import OutputStationaryRowSums
from dataflow.walk import BlockWalk, PassWalk, low_ones
from hw.delay import delayed
from hw.unit import place

__all__ = ["OutputStationaryEngine"]


class OutputStationaryEngine(Engine):
    """Engine around an `OutputStationaryArray`.

    For each panel of ``rows`` rows of A, for each block of ``cols`` columns of W, for each step of ``lanes`` along K:
    one beat of weights, and the activations of that step from the panel. The results of a tile leave while the next one
    is computed; a group shorter than ``rows`` steps waits for that, as it does for the turnaround of the drain edge.
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

    @property
    def group_cycles(self) -> int:
        return max(self.shape.rows * self.turns, self.turnaround)

    @property
    def _by_row(self) -> bool:
        return False

    @property
    def _rows_in_flight(self) -> int:
        return self.shape.rows * self._groups_in_flight

    def _elaborate_issue(self, m: Module, parts: Parts) -> Value:
        panel, array = parts.panel, parts.array
        steps = PassWalk(span=self.span, layout=self.job, name="step")
        row_blocks = BlockWalk(span=self.shape.rows, bits=SIZE_BITS, name="m")
        col_blocks = BlockWalk(span=self.shape.cols, bits=SIZE_BITS, name="n")
        busy = Signal()
        # cycles until another sum may end: the rows of the last tile have left the array
        draining = Signal(range(self.group_cycles))
        ends_sum, fire, ends_panel = Signal(), Signal(), Signal()
        completes = steps.last if self.drain else Const(1)
        ready = parts.elaborate_reserve(m, rows=row_blocks.used, starts=Const(1), completes=completes, ends=ends_sum)

        m.d.comb += [
            self.weight.ready.eq(busy & panel.available & (~steps.last_of_group | ((draining == 0) & ready))),
            fire.eq(self.weight.valid & self.weight.ready),
            ends_sum.eq(fire & steps.last_of_group),
            ends_panel.eq(fire & steps.last & col_blocks.last),
            panel.release.eq(ends_panel),
        ]
        with m.If(draining != 0):
            m.d.sync += draining.eq(draining - 1)
        with m.If(ends_sum):
            m.d.sync += draining.eq(self.group_cycles - 1)
        with m.If(fire):
            steps.step(m, parts.job)
            m.d.sync += panel.address.eq(panel.address + 1)
            with m.If(steps.last_of_pass):
                m.d.sync += panel.address.eq(0)
            with m.If(steps.last):
                col_blocks.step(m)
                with m.If(col_blocks.last):
                    col_blocks.start(m, parts.job.n)
                    row_blocks.step(m)
                    m.d.sync += busy.eq(~row_blocks.last)
        with m.If(parts.start):
            steps.start(m, parts.current)
            col_blocks.start(m, parts.current.n)
            row_blocks.start(m, parts.current.m)
            m.d.sync += [busy.eq(1), panel.address.eq(0)]

        # the panel answers in the next cycle, and everything else waits for it
        m.d.comb += [
            array.act.eq(panel.data),
            array.weight.eq(delayed(m, self.weight.payload, 1, name="issued_weight")),
            array.valid.eq(delayed(m, fire, 1, name="issued_valid", init=0)),
            array.last.eq(delayed(m, ends_sum, 1, name="issued_last", init=0)),
        ]
        mask = delayed(m, low_ones(steps.used, self.span), 1, name="issued_mask")
        if array.masked:
            m.d.comb += array.mask.eq(mask)
        if self.row_sum_bits:
            self._elaborate_row_sums(m, parts, mask)
        if self.invalid_bits:
            used = delayed(m, low_ones(col_blocks.used, self.shape.cols), 1, name="issued_cols")
            self._elaborate_invalid(m, parts, mask, used)
        flags = {"first": steps.first_group, "last": steps.last, "final": ends_panel & row_blocks.last}
        self._elaborate_leaving(m, parts, rows=Mux(ends_sum, row_blocks.used, 0), flags=flags)
        return ~busy

    def _elaborate_row_sums(self, m: Module, parts: Parts, mask: Value) -> None:
        array = parts.array
        sums = OutputStationaryRowSums(act=self.pe.act, lanes=self.span, rows=self.shape.rows, bits=self.row_sum_bits)
        place(m, "row_sums", sums)
        m.d.comb += [
            sums.codes.eq(array.act),
            sums.mask.eq(mask),
            sums.valid.eq(array.valid),
            sums.last.eq(array.last),
        ]
        parts.leaving.tell(m, row_sum=delayed(m, sums.sum, array.latency - sums.latency, name="row_sum"))

    def _elaborate_invalid(self, m: Module, parts: Parts, mask: Value, cols: Value) -> None:
        """Tell which sums have a factor that is not finite: by row and by column, each kept until its sum ends."""
        array, pe = parts.array, self.pe
        mode = array.mode if pe.mode_bits else None
        found = {}
        for side, codes, bits in (("act", array.act, pe.row_code_bits), ("weight", array.weight, pe.column_code_bits)):
            hits = [nonfinite(pe, side, codes[at : at + bits], mask, mode) for at in range(0, len(codes), bits)]
            running, found[side] = (
                Signal(len(hits), name=f"nonfinite_{side}s"),
                Signal(len(hits), name=f"{side}s_found"),
            )
            m.d.comb += found[side].eq(running | Cat(hits))
            with m.If(array.valid):
                m.d.sync += running.eq(Mux(array.last, 0, found[side]))
        rows, held, used = (
            Signal(bits, name=name)
            for name, bits in (
                ("invalid_rows", self.shape.rows),
                ("invalid_cols", self.shape.cols),
                ("used_cols", self.shape.cols),
            )
        )
        m.d.sync += rows.eq(Mux(array.last, found["act"], rows >> 1))
        with m.If(array.last):
            m.d.sync += [held.eq(found["weight"]), used.eq(cols)]
        invalid = (held | rows[0].replicate(len(held))) & used
        parts.leaving.tell(m, invalid=delayed(m, invalid, array.latency - 1, name="invalid"))

    def _elaborate_leaving(self, m: Module, parts: Parts, *, rows: Value, flags: dict[str, Value]) -> None:
        """Tell what comes out of the array: ``rows`` of a tile, 0 if no sum ends now, and what its sums are."""
        leaving, latency = parts.leaving, 1 + parts.array.latency
        arriving = delayed(m, rows, latency, name="arriving_rows", init=0)
        arriving_flags = delayed(m, Cat(flags[name] for name in leaving.flags), latency, name="arriving_flags")
        rest, rest_flags = Signal.like(arriving, name="rest_rows"), Signal.like(arriving_flags, name="rest_flags")
        left, now = Signal.like(arriving, name="leaving_rows"), Signal.like(arriving_flags, name="leaving_flags")
        m.d.comb += [
            left.eq(Mux(arriving != 0, arriving, rest)),
            now.eq(Mux(arriving != 0, arriving_flags, rest_flags)),
        ]
        m.d.sync += [rest.eq(left - (left != 0)), rest_flags.eq(now)]
        told = dict(zip(leaving.flags, now, strict=True))
        told["final"] &= left == 1
        leaving.tell(m, sums=parts.array.result, valid=left != 0, ends_group=left == 1, **told)
        if "row" in leaving.signals:
            row = Signal.like(leaving.signals["row"], name="next_row")
            leaving.tell(m, row=Mux(arriving != 0, 0, row))
            m.d.sync += row.eq(leaving.signals["row"] + 1)
