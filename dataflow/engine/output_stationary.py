"""Output-stationary engine: a step of K each cycle, a tile of results after the last."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from dataflow.array.nonfinite import nonfinite
from dataflow.array.output_stationary import OutputStationaryArray
from dataflow.array.row_sums import OutputStationaryRowSums
from dataflow.engine.base import Engine
from dataflow.engine.job import SIZE_BITS
from dataflow.engine.panel import PANEL_LATENCY
from dataflow.engine.parts import Parts
from dataflow.engine.walk import BlockWalk, Countdown, PassWalk, low_ones
from hw.core.registers import delayed
from hw.core.unit import place

__all__ = ["OutputStationaryEngine"]


class OutputStationaryEngine(Engine):
    """Engine around an `OutputStationaryArray`.

    For each panel of ``rows`` rows of A, for each block of ``cols`` columns of W, for each step of ``lanes`` along K:
    one beat of weights, and the activations of that step from the panel. The results of a tile leave while the next one
    is computed; a group shorter than ``rows`` steps waits for that, as it does for the turnaround of the drain edge.

    With cells that keep ``interleave`` sums, panels have so many times the ``rows``. A step takes so many cycles, in
    which its weights stay, and so many beats of activations: row ``r`` of beat ``i`` is row ``r * interleave + i``.
    """

    dataflow = "output_stationary"

    @property
    def span(self) -> int:
        return self.pe.lanes

    @property
    def panel_rows(self) -> int:
        return self.shape.rows * self.pe.interleave

    def _make_array(self) -> OutputStationaryArray:
        return OutputStationaryArray(pe=self.pe, shape=self.shape, accumulator=self.accumulator)

    @property
    def group_cycles(self) -> int:
        return max(self.panel_rows * self.turns, self.turnaround)

    @property
    def _step_words(self) -> int:
        return self.pe.interleave

    @property
    def _rows_in_flight(self) -> int:
        return self.panel_rows * self._groups_in_flight

    def _elaborate_issue(self, m: Module, parts: Parts) -> Value:
        panel = parts.panel
        steps = PassWalk(span=self.span, plan=parts.plan, passes=parts.job.passes, name="step")
        row_blocks = BlockWalk(span=self.panel_rows, bits=SIZE_BITS, name="m")
        col_blocks = BlockWalk(span=self.shape.cols, bits=SIZE_BITS, name="n")
        busy = Signal()
        # cycles until another sum may end: the rows of the last tile have left the array
        draining = Countdown(most=self.group_cycles, name="draining")
        ends_sum = Signal()
        fire = Signal()
        ends_panel = Signal()
        stepping, stepped = self._elaborate_stepping(m, parts, fire)
        completes = steps.last if self.drain else Const(1)
        rows = row_blocks.used if self.panel_rows > 1 else Const(1)
        ready = parts.elaborate_reserve(m, rows=rows, starts=Const(1), completes=completes, ends=ends_sum)

        m.d.comb += [
            self.weight.ready.eq(
                busy & self._can_begin(m, parts) & panel.available & (~steps.last_of_group | (draining.done & ready))
            ),
            fire.eq(self.weight.valid & self.weight.ready),
            ends_sum.eq(fire & steps.last_of_group),
            ends_panel.eq(steps.last & col_blocks.last),
            panel.take.eq(stepping),
            panel.rewind.eq(parts.tick & steps.last_of_pass),
            panel.release.eq(parts.tick & ends_panel),
        ]
        draining.count(m)
        with m.If(ends_sum):
            draining.start(m, self.group_cycles - 1)
        with m.If(stepped):
            steps.step(m)
            with m.If(steps.last):
                col_blocks.step(m)
                with m.If(col_blocks.last):
                    col_blocks.start(m, parts.job.n)
                    row_blocks.step(m)
                    m.d.sync += busy.eq(~row_blocks.last)
        with m.If(parts.start):
            steps.start(m)
            col_blocks.start(m, parts.job.n)
            row_blocks.start(m, parts.job.m)
            m.d.sync += busy.eq(1)

        self._elaborate_operands(m, parts, fire=fire, stepping=stepping, last=steps.last_of_group)
        mask = delayed(m, low_ones(steps.used, self.span), PANEL_LATENCY, name="issued_mask")
        if parts.array.masked:
            m.d.comb += parts.array.mask.eq(mask)
        if self.row_sum_bits:
            self._elaborate_row_sums(m, parts, mask)
        if self.invalid_bits:
            used = delayed(m, low_ones(col_blocks.used, self.shape.cols), PANEL_LATENCY, name="issued_cols")
            self._elaborate_invalid(m, parts, mask, used)
        flags = {"first": steps.first_group, "last": steps.last, "final": ends_panel & row_blocks.last}
        self._elaborate_leaving(m, parts, rows=Mux(ends_sum, row_blocks.used, 0), flags=flags)
        return ~busy

    def _elaborate_operands(self, m: Module, parts: Parts, *, fire: Value, stepping: Value, last: Value) -> None:
        """Feed the array: the panel answers some cycles later, and everything else waits for it."""
        array = parts.array
        m.d.comb += [
            array.act.eq(parts.panel.data),
            array.valid.eq(delayed(m, stepping, PANEL_LATENCY, name="issued_valid", init=0)),
            array.last.eq(delayed(m, stepping & last, PANEL_LATENCY, name="issued_last", init=0)),
        ]
        if self.pe.interleave > 1:
            # known after a reset, as cells add in every cycle: a weight times nothing
            held = Signal.like(array.weight, name="issued_weight")
            with m.If(fire):
                m.d.sync += held.eq(self.weight.payload)
            m.d.comb += [
                array.weight.eq(delayed(m, held, PANEL_LATENCY - 1, name="weight", init=0)),
                array.tick.eq(delayed(m, parts.tick, PANEL_LATENCY, name="issued_tick", init=1)),
            ]
        else:
            m.d.comb += array.weight.eq(delayed(m, self.weight.payload, PANEL_LATENCY, name="issued_weight"))

    def _can_begin(self, m: Module, parts: Parts) -> Value:
        """Whether this cycle can be the first of a step."""
        return delayed(m, parts.tick, 1, name="begins", init=0) if self.pe.interleave > 1 else Const(1)

    def _elaborate_stepping(self, m: Module, parts: Parts, fire: Value) -> tuple[Value, Value]:
        """Whether a step is going on, from the cycle on in which ``fire`` is high; and whether it ends."""
        if self.pe.interleave == 1:
            return fire, fire
        goes_on, stepping = Signal(name="step_goes_on"), Signal(name="stepping")
        m.d.comb += stepping.eq(fire | goes_on)
        m.d.sync += goes_on.eq(stepping & ~parts.tick)
        return stepping, stepping & parts.tick

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
        array, interleave = parts.array, self.pe.interleave
        begins = delayed(m, array.tick, 1, name="issued_begins") if interleave > 1 else Const(1)
        ends = array.tick if interleave > 1 else Const(1)
        row = self._found(m, parts, mask, "act", turns=interleave, counts=array.valid)
        col = self._found(m, parts, mask, "weight", turns=1, counts=array.valid & ends)
        # each row's bit, where it has as far to go as the row's results
        rows = Signal(self.panel_rows, name="invalid_rows")
        now = Cat(Cat(bit & array.last, Const(0, interleave - 1)) for bit in row)
        m.d.sync += rows.eq(rows >> 1 | now)
        held, used = Signal(self.shape.cols, name="invalid_cols"), Signal(self.shape.cols, name="used_cols")
        with m.If(array.last & begins):
            m.d.sync += [held.eq(col), used.eq(cols)]
        invalid = (held | rows[0].replicate(len(held))) & used
        parts.leaving.tell(m, invalid=delayed(m, invalid, array.latency - 1, name="invalid"))

    def _found(self, m: Module, parts: Parts, mask: Value, side: str, *, turns: int, counts: Value) -> Value:
        """Whether something of each row or column was not finite, of the sum of this cycle.

        There are ``turns`` sums, one after the other; what is found of one is kept in cycles that ``counts`` picks.
        """
        array, pe = parts.array, self.pe
        mode = array.mode if pe.mode_bits else None
        codes, bits = (array.act, pe.row_code_bits) if side == "act" else (array.weight, pe.column_code_bits)
        hits = [nonfinite(pe, side, codes[at : at + bits], mask, mode) for at in range(0, len(codes), bits)]
        kept, found = Signal(len(hits), name=f"nonfinite_{side}s"), Signal(len(hits), name=f"{side}s_found")
        before = delayed(m, kept, turns, name=f"nonfinite_{side}s_before", init=0)
        m.d.comb += [
            found.eq(before | Cat(hits)),
            kept.eq(Mux(counts, Mux(array.last, 0, found), before)),
        ]
        return found

    def _elaborate_leaving(self, m: Module, parts: Parts, *, rows: Value, flags: dict[str, Value]) -> None:
        """Tell what comes out of the array: ``rows`` of a tile, 0 if no sum ends now, and what its sums are."""
        leaving, latency = parts.leaving, PANEL_LATENCY + parts.array.latency
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
        if self.verdict:
            leaving.tell(m, check=parts.array.check)
        if "row" in leaving.signals:
            row = Signal.like(leaving.signals["row"], name="next_row")
            leaving.tell(m, row=Mux(arriving != 0, 0, row))
            m.d.sync += row.eq(leaving.signals["row"] + 1)
