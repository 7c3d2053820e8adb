"""Weight-stationary engine: a block of weights stays while the rows of a panel pass it."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from dataflow.array.nonfinite import nonfinite
from dataflow.array.row_sums import WeightStationaryRowSum
from dataflow.array.weight_stationary import WeightStationaryArray
from dataflow.engine.base import Engine
from dataflow.engine.job import SIZE_BITS
from dataflow.engine.panel import PANEL_LATENCY
from dataflow.engine.parts import Parts
from dataflow.engine.walk import BlockWalk, Countdown, PassWalk, low_ones
from hw.core.ram import CHOICE_LATENCY, RAM_LATENCY, Ram
from hw.core.registers import delayed
from hw.core.unit import Unit, place
from sw_ref.arith.float_sum import FloatSum

__all__ = ["SUM_TURNAROUND", "WeightStationaryEngine"]

SUM_TURNAROUND = CHOICE_LATENCY + 1
"""Cycles from reading a sum of the panel to when it can be read again, without those of adding the next block."""


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
        if isinstance(self.accumulator, FloatSum):
            raise ValueError(
                f"Dataflow must be output_stationary for sums as {self.accumulator.name}, which depend on their order: "
                "weight_stationary adds up block by block"
            )
        return WeightStationaryArray(pe=self.pe, shape=self.shape, accumulator=self.accumulator)

    @property
    def group_cycles(self) -> int:
        return max(SUM_TURNAROUND + self.array.sum_latency, self.turnaround)

    @property
    def _step_words(self) -> int:
        return 0

    @property
    def _rows_in_flight(self) -> int:
        waiting = self.panel_rows if self.turns > 1 else 0
        return self.latency + 5 + waiting

    def _elaborate_issue(self, m: Module, parts: Parts) -> Value:
        loader = self._elaborate_loader(m, parts)
        block = Signal(loader.block.shape(), name="block")
        active = Signal()
        rows_left = Signal(range(self.panel_rows + 1))
        last_row = Signal()
        first_row = Signal()
        fire = Signal()
        last_fire = Signal()
        panel, array = parts.panel, parts.array
        completes = block.last if self.drain else Const(1)
        ends = fire & block.ends_group
        ready = parts.elaborate_reserve(m, rows=Const(1), starts=first_row, completes=completes, ends=ends)

        settled, drained = self._elaborate_pauses(m, ends=ends, done=last_fire, rows=block.rows)
        may_start = settled & (drained | ~block.ends_group)
        m.d.comb += [
            fire.eq(active & panel.available & (~block.ends_group | ready) & (~first_row | may_start)),
            last_fire.eq(fire & last_row),
            loader.swap.eq(loader.loaded & (~active | last_fire)),
            panel.take.eq(fire),
            panel.rewind.eq(last_row & block.ends_pass),
            panel.release.eq(last_row & block.ends_panel),
        ]
        with m.If(fire):
            m.d.sync += [rows_left.eq(rows_left - 1), last_row.eq(rows_left == 2), first_row.eq(0)]
        with m.If(last_fire):
            m.d.sync += active.eq(0)
        with m.If(loader.swap):
            m.d.sync += [
                block.eq(loader.block),
                rows_left.eq(loader.block.rows),
                last_row.eq(loader.block.rows == 1),
                first_row.eq(1),
                active.eq(1),
            ]

        # the panel answers some cycles later, and everything else waits for it
        mask = low_ones(block.used, self.span)
        m.d.comb += [
            array.act.eq(panel.data),
            array.mask.eq(delayed(m, mask, PANEL_LATENCY, name="issued_mask")),
            array.swap.eq(delayed(m, loader.swap, PANEL_LATENCY, name="issued_swap", init=0)),
        ]
        flags = parts.leaving.flags
        token = data.StructLayout(dict.fromkeys(("valid", "first_row", "starts_group", "ends_group", "end", *flags), 1))
        now = Signal(token, name="issued")
        m.d.comb += [
            now.valid.eq(fire),
            now.first_row.eq(first_row),
            now.starts_group.eq(block.starts_group),
            now.ends_group.eq(block.ends_group),
            now.end.eq(last_row),
            *(now[flag].eq(block[flag]) for flag in flags),
        ]
        self._elaborate_sums(m, parts, now, loader)
        return ~active & ~loader.busy

    def _elaborate_pauses(self, m: Module, *, ends: Value, done: Value, rows: Value) -> tuple[Value, Value]:
        """Whether the sums of a panel's first row can be read again, and whether no row waits at the drain edge.

        ``done``: the last of so many ``rows`` passes a block; ``ends``: a row's sums are complete.
        """
        settling = Countdown(most=self.group_cycles, name="settling")
        settling.count(m)
        with m.If(done & (rows < self.group_cycles)):
            settling.start(m, self.group_cycles - rows)
        if self.turns == 1:
            return settling.done, Const(1)
        draining = Countdown(most=self.panel_rows * (self.turns - 1), name="draining")
        draining.count(m)
        with m.If(ends):
            draining.add(m, self.turns - 1)
        return settling.done, draining.done

    def _elaborate_loader(self, m: Module, parts: Parts) -> "_Loader":
        """Load one block of weights ahead of the one in use."""
        lanes = self.pe.lanes
        loader = _Loader(
            rows=self.panel_rows, span=self.span, flags=parts.leaving.flags, invalid_bits=self.invalid_bits
        )
        depth = PassWalk(span=self.span, plan=parts.plan, passes=parts.job.passes, name="block")
        row_blocks = BlockWalk(span=self.panel_rows, bits=SIZE_BITS, name="m")
        col_blocks = BlockWalk(span=self.shape.cols, bits=SIZE_BITS, name="n")
        # this row and all behind it: rows that a block has no weights for hold some, never what they held at power-up
        every = (1 << self.shape.rows) - 1
        rows = Signal(self.shape.rows, name="load_rows", init=every)
        k = Signal(range(self.span + 1), name="load_k")
        accepted = Signal(name="weight_accepted")
        block, job = loader.block, parts.job
        ends_panel = depth.last & col_blocks.last
        flags = {"first": depth.first_group, "last": depth.last, "final": ends_panel & row_blocks.last}
        m.d.comb += [
            self.weight.ready.eq(loader.busy & ~loader.loaded),
            accepted.eq(self.weight.valid & self.weight.ready),
            block.rows.eq(row_blocks.used),
            block.used.eq(depth.used),
            block.starts_group.eq(depth.first_of_group),
            block.ends_group.eq(depth.last_of_group),
            block.ends_pass.eq(depth.last_of_pass),
            block.ends_panel.eq(ends_panel),
            *(block[flag].eq(flags[flag]) for flag in parts.leaving.flags),
            parts.array.weight.eq(delayed(m, self.weight.payload, PANEL_LATENCY, name="issued_weight")),
            parts.array.load.eq(delayed(m, Mux(accepted, rows, 0), PANEL_LATENCY, name="issued_load", init=0)),
        ]
        with m.If(accepted):
            m.d.sync += [rows.eq(rows << 1), k.eq(k + lanes)]
            with m.If(k + lanes >= depth.used):
                m.d.sync += [rows.eq(every), k.eq(0), loader.loaded.eq(1)]
        if self.invalid_bits:
            used = low_ones(col_blocks.used, self.shape.cols)
            rest = low_ones(depth.used - k, lanes)
            self._elaborate_invalid_cols(m, parts, loader, accepted=accepted, lanes=rest, cols=used)
        with m.If(loader.swap):
            depth.step(m)
            m.d.sync += loader.loaded.eq(0)
            with m.If(depth.last):
                col_blocks.step(m)
            with m.If(block.ends_panel):
                col_blocks.start(m, job.n)
                row_blocks.step(m)
                m.d.sync += loader.busy.eq(~block.final)
        with m.If(parts.start):
            depth.start(m)
            col_blocks.start(m, job.n)
            row_blocks.start(m, job.m)
            m.d.sync += loader.busy.eq(1)
        return loader

    def _elaborate_invalid_cols(
        self, m: Module, parts: Parts, loader: "_Loader", *, accepted: Value, lanes: Value, cols: Value
    ) -> None:
        """Which columns of the next block have a weight that is not finite; of a beat, ``lanes`` and ``cols`` count."""
        pe, bits = self.pe, self.pe.column_code_bits
        codes, mode = self.weight.payload, parts.job.mode if self.pe.mode_bits else None
        hits = [nonfinite(pe, "weight", codes[at : at + bits], lanes, mode) for at in range(0, len(codes), bits)]
        found = Signal(self.invalid_bits, name="invalid_cols_found")
        with m.If(accepted):
            m.d.sync += found.eq(found | Cat(hits))
        with m.If(loader.swap):
            m.d.sync += [found.eq(0), loader.invalid_cols.eq(found), loader.used_cols.eq(cols)]

    def _elaborate_sums(self, m: Module, parts: Parts, token: data.View, loader: "_Loader") -> None:
        """Add each product to the panel's sum of its row and column, and pass complete sums on."""
        array, leaving = parts.array, parts.leaving
        base_row_sum, row_sum = self._elaborate_row_sum(m, array)
        base_invalid, invalid = self._elaborate_invalid(m, array, loader)
        checks = [array.check] if self.verdict else []
        bases = Cat(array.base, base_row_sum, base_invalid, *([array.check_base] if checks else []))
        memory = place(m, "sums", Ram(width=len(bases), depth=max(2, self.panel_rows)))
        # the array takes the base some cycles before it gives the result; the memory takes some more to find it
        ahead = PANEL_LATENCY + array.latency - array.sum_latency - CHOICE_LATENCY
        # and the address comes from a register
        token = token.shape()(delayed(m, token.as_value(), ahead - 1, name="token", init=0))
        done = 1 + CHOICE_LATENCY + array.sum_latency
        row = Signal.like(memory.read_address, name="sum_row", reset_less=True)
        m.d.comb += memory.read_address.eq(row)
        with m.If(token.valid):
            m.d.sync += row.eq(Mux(token.first_row, 0, row + 1))

        starts_group = delayed(m, token.starts_group, 1 + RAM_LATENCY, name="base_starts_group")
        m.d.comb += bases.eq(delayed(m, Mux(starts_group, 0, memory.read_data), 1, name="bases"))

        m.d.comb += [
            memory.write_address.eq(delayed(m, memory.read_address, done - 1, name="write_row")),
            memory.write_data.eq(Cat(array.result, row_sum, invalid, *checks)),
            memory.write.eq(delayed(m, token.valid & ~token.ends_group, done, name="write_sum", init=0)),
        ]
        told = {"ends_group": token.end, **{flag: token[flag] for flag in leaving.flags}}
        told["final"] &= token.end
        late = {name: delayed(m, told[name], done, name=f"leave_{name}") for name in told if name in leaving.signals}
        valid = delayed(m, token.valid & token.ends_group, done, name="leave_sum", init=0)
        beside = {"row_sum": row_sum, "invalid": invalid, **({"check": array.check} if checks else {})}
        leaving.tell(m, sums=array.result, **beside, row=memory.write_address, valid=valid, **late)

    def _elaborate_invalid(self, m: Module, array: Unit, loader: "_Loader") -> tuple[Value, Value]:
        """Which sums have a factor that is not finite, which goes with the sums as well."""
        bits = self.invalid_bits
        base, invalid = Signal(bits, name="base_invalid"), Signal(bits, name="next_invalid", reset_less=True)
        if bits:
            pe, lanes = self.pe, self.pe.lanes
            rows = [
                nonfinite(
                    pe,
                    "act",
                    array.act.word_select(row, pe.row_code_bits),
                    array.mask.word_select(row, lanes),
                    array.mode if pe.mode_bits else None,
                )
                for row in range(self.shape.rows)
            ]
            # the next block may be taken into use with the last row
            cols = delayed(m, Cat(loader.invalid_cols, loader.used_cols), PANEL_LATENCY, name="block_cols")
            now = (cols[:bits] | Cat(rows).any().replicate(bits)) & cols[bits:]
            before = delayed(m, base, array.sum_latency - 1, name="invalid_before")
            m.d.sync += invalid.eq(before | delayed(m, now, array.latency - 1, name="invalid"))
        return base, invalid

    def _elaborate_row_sum(self, m: Module, array: Unit) -> tuple[Value, Value]:
        """The sum of a row's activations, which goes with the sums: what to add to, and what comes of it."""
        bits = self.row_sum_bits
        base, row_sum = Signal(bits, name="base_row_sum"), Signal(bits, name="next_row_sum", reset_less=True)
        if bits:
            steps = array.latency - 1
            total = WeightStationaryRowSum(act=self.pe.act, lanes=self.span, bits=bits, most=steps)
            place(m, "row_sum", total)
            m.d.comb += [total.codes.eq(array.act), total.mask.eq(array.mask)]
            before = delayed(m, base, array.sum_latency - 1, name="row_sum_before")
            m.d.sync += row_sum.eq(before + delayed(m, total.sum, steps - total.latency, name="row_total"))
        return base, row_sum


class _Loader:
    """The block of weights that comes next.

    ``busy`` while there are more; ``loaded`` when it is in place; ``swap`` takes it into use, and then ``invalid_cols``
    tells which of its columns have a weight that is not finite, and ``used_cols`` which there are. `block` tells what
    it is: ``rows`` of the panel that pass it, ``used`` products along K, whether it starts or ends a group, ends a pass
    over K, ends the panel, and the ``flags`` of its sums, see `dataflow.engine.base.Leaving`.
    """

    def __init__(self, *, rows: int, span: int, flags: tuple[str, ...], invalid_bits: int) -> None:
        self.busy = Signal(name="load_busy")
        self.loaded = Signal(name="block_loaded")
        self.swap = Signal(name="swap")
        self.invalid_cols = Signal(invalid_bits, name="invalid_cols")
        self.used_cols = Signal(invalid_bits, name="used_cols")
        self.block = Signal(
            data.StructLayout(
                {
                    "rows": rows.bit_length(),
                    "used": span.bit_length(),
                    "starts_group": 1,
                    "ends_group": 1,
                    "ends_pass": 1,
                    "ends_panel": 1,
                    **dict.fromkeys(flags, 1),
                }
            ),
            name="next_block",
        )
