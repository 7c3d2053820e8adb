"""The engine around an array: any M, N and K, valid/ready streams, and whatever stalls they bring."""

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.hdl import Shape as HdlShape
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from dataflow.array.nonfinite import finds_nonfinite
from dataflow.array.shape import Shape
from dataflow.array.verdict import elaborate_verdict, make_verdict
from dataflow.drain.edge import DrainEdge
from dataflow.drain.parameters import ParameterQueue
from dataflow.engine.fit import check_fit
from dataflow.engine.job import SIZE_BITS, job_layout
from dataflow.engine.panel import PANEL_LATENCY, PanelBuffer
from dataflow.engine.parts import Leaving, Parts
from dataflow.engine.tiling import Tiling
from dataflow.engine.walk import PLAN_CYCLES, depth_steps, elaborate_plan
from hw.core.naming import module_name
from hw.core.registers import delayed
from hw.core.unit import Unit, place
from pe.base import PE
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum
from sw_ref.drain.edge import Drain
from sw_ref.drain.steps.zero_points import ZeroPoints
from sw_ref.engine.spec import EngineSpec, Field
from sw_ref.interval import Interval

__all__ = ["Engine"]

# From an array without a drain edge to the FIFO: its rows lie far from the memory of the FIFO.
_SUM_LATENCY = 1


class Engine(Unit):
    """Computes ``C = A @ W``, group by group along K, for matrices of any size.

    One command starts one product. Operands and results then come in the order of `sw_ref.engine.schedule`; what a beat
    holds beyond the edges of a matrix is ignored. A new command may be given as soon as it is accepted.

    Without a drain edge, every sum of a group (and pass) is a result. With one, all sums of an element of C make one
    result, as `sw_ref.drain.edge` says, and what that takes besides the sums comes on streams of its own.

    An operand that is infinite or NaN counts as 0, and makes every result that it takes part in invalid: a NaN, where
    results are floats.

    Ports
    -----
    command : In(stream of `job`)
        Sizes, see `dataflow.engine.job.job_layout`; ``k`` at most ``tiling.max_k``.
    act, weight : In(stream)
        Codes, lane 0 of row (column) 0 in the low bits.
    column, row, output : In(stream), only what the drain edge has fields for
        Parameters: of all columns, for each group; of one row, for each group; of all columns, for each tile of C.
    result : Out(stream of {values, invalid, last})
        One row of one tile: a value for each column, column 0 in the low bits; whether each is invalid, if it can be;
        ``last`` ends the product.
    nonfinite : Out(1), only if results can be invalid
        A result of the last product was.
    fault : Out(1), only with check columns
        High for a cycle for each row of sums that disagrees with its check sums, when the sums of its group are
        complete; see `fault_latency`.
    corrected : Out(1), only with two check columns
        High with ``fault`` if the row is right all the same, see `sw_ref.arith.checksum.Verdict`.

    All streams are valid/ready. Neither ``ready`` of an input nor ``valid`` of the output depends on an input in
    the same cycle. Reset (at least one cycle) drops whatever was going on.

    Parameters
    ----------
    pe : PE
    shape : Shape
    accumulator : Accumulator or FloatSum
        Of the sums.
    tiling : Tiling
    drain : Drain or None
        What becomes of the sums.
    """

    dataflow: str

    def __init__(
        self, *, pe: PE, shape: Shape, accumulator: Accumulator | FloatSum, tiling: Tiling, drain: Drain | None
    ) -> None:
        self.pe = pe
        self.shape = shape
        self.accumulator = accumulator
        self.tiling = tiling
        self.drain = drain
        check_fit(pe, accumulator, tiling)
        self.array = self._make_array()
        self.job = job_layout(max_k=tiling.max_k, max_passes=tiling.max_passes, mode_bits=pe.mode_bits)
        self.invalid_bits = shape.cols if finds_nonfinite(pe) else 0
        self.edge = self._make_edge(drain) if drain else None
        self.verdict = make_verdict(shape, self.accumulator)
        row = {"values": shape.cols * self.result_bits, "invalid": self.invalid_bits, "last": 1}
        row = data.StructLayout({name: bits for name, bits in row.items() if bits})
        streams = {name: In(stream.Signature(bits)) for name, bits in self.parameter_bits.items()}
        super().__init__(
            {
                "command": In(stream.Signature(self.job)),
                "act": In(stream.Signature(shape.rows * pe.row_code_bits)),
                "weight": In(stream.Signature(shape.cols * pe.column_code_bits)),
                **streams,
                "result": Out(stream.Signature(row)),
                **dict.fromkeys(self.flags, Out(1)),
            }
        )

    @property
    def flags(self) -> tuple[str, ...]:
        """Outputs of one bit beside the streams."""
        return (*(("nonfinite",) if self.invalid_bits else ()), *(self.verdict.flags if self.verdict else ()))

    @property
    def name(self) -> str:
        group = f"_g{self.tiling.group_size}" if self.tiling.group_size else ""
        passes = f"_p{self.tiling.max_passes}" if self.tiling.max_passes > 1 else ""
        drain = "_drain" if self.drain else ""
        # which is also that of the module: engines are tops, and lie side by side in one simulation or one project
        return module_name(f"{self.array.name}{group}{passes}{drain}_engine", type(self), self.arguments)

    @cached_property
    def module_name(self) -> str:
        return self.name

    @property
    def spec(self) -> EngineSpec:
        """What whoever feeds it has to know."""
        pe, tiling = self.pe, self.tiling
        return EngineSpec(
            dataflow=self.dataflow,
            rows=self.shape.rows,
            cols=self.shape.cols,
            panel_rows=self.panel_rows,
            lanes=pe.lanes,
            span=self.span,
            interleave=pe.interleave,
            modes=pe.modes,
            row_code_bits=pe.row_code_bits,
            column_code_bits=pe.column_code_bits,
            group_size=tiling.group_size,
            max_k=tiling.max_k,
            max_group=tiling.max_group,
            max_passes=tiling.max_passes,
            max_steps=self.steps,
            sums=self.accumulator,
            rule=pe.rule,
            lowest=pe.lowest,
            drain=self.drain,
            accumulates=bool(self.edge) and self.edge.accumulates,
            row_sums=bool(self.row_sum_bits),
            invalid=bool(self.invalid_bits),
            result_bits=self.result_bits,
            parameters={kind: _fields(shapes) for kind, shapes in self.parameter_shapes.items()},
            command=_fields({name: HdlShape.cast(field.shape) for name, field in self.job}),
            start=PLAN_CYCLES + 1,
            latency=self.latency,
            group_cycles=self.group_cycles,
            turns=self.turns,
        )

    @property
    def result_bits(self) -> int:
        """Width of a result."""
        return self.edge.result_bits if self.edge else self.accumulator.result_bits

    @property
    def parameter_bits(self) -> dict[str, int]:
        """Width of each stream of parameters."""
        return self.edge.parameter_bits if self.edge else {}

    @property
    def parameter_shapes(self) -> dict[str, dict[str, HdlShape]]:
        """Fields of a slot of each stream of parameters, the first in the low bits."""
        return self.edge.parameter_shapes if self.edge else {}

    @property
    def row_sum_bits(self) -> int:
        """Width of the sum of a row's activations; 0 if nobody needs it."""
        return self.edge.row_sum_bits if self.edge else 0

    @property
    def turnaround(self) -> int:
        """Cycles from one sum of an element of C to the next, at least."""
        return self.edge.turnaround if self.edge else 1

    @property
    def turns(self) -> int:
        """Cycles that the drain edge takes for a row of sums."""
        return self.edge.turns if self.edge else 1

    @property
    def latency(self) -> int:
        """Cycles from the step with the last products of an element of C to its result, if no row waits."""
        judged = self.verdict.sum_latency if self.verdict else 0
        return PANEL_LATENCY + self.array.latency + judged + (self.edge.latency if self.edge else _SUM_LATENCY)

    @property
    def fault_latency(self) -> int:
        """Cycles from the step with the last products of a group to ``fault`` of its first row; 0 without checks."""
        return PANEL_LATENCY + self.array.latency + self.verdict.latency if self.verdict else 0

    @property
    def steps(self) -> int:
        """Steps along K that a panel has room for."""
        return depth_steps(self.tiling.max_k, span=self.span, group=self.tiling.max_group)

    @property
    @abstractmethod
    def span(self) -> int:
        """Products along K that one step, or one block of weights, takes in."""

    @property
    @abstractmethod
    def panel_rows(self) -> int:
        """Rows of A that stay on chip."""

    @property
    @abstractmethod
    def group_cycles(self) -> int:
        """Cycles between the first sums of two groups, at least."""

    @abstractmethod
    def _make_array(self) -> Unit: ...

    @abstractmethod
    def _elaborate_issue(self, m: Module, parts: Parts) -> Value:
        """Describe what feeds the array; return whether the job is done being issued."""

    @property
    @abstractmethod
    def _step_words(self) -> int:
        """Words of a step of the panel, see `PanelBuffer`."""

    def _make_edge(self, drain: Drain) -> DrainEdge:
        if self.pe.rule.lsb and (drain.find(ZeroPoints) or drain.takes_row_sums):
            raise ValueError(f"Drain zero points must be none with {self.pe.name}, whose sums are not in units of 1")
        if drain.takes_row_sums and len(self.pe.modes) > 1:
            raise ValueError(
                f"Drain weight_zero and offset must be none with {self.pe.name}, as the sums of rows that they take "
                "are formed of one kind of activations, and not of all modes"
            )
        return DrainEdge(
            drain=drain,
            sums=Interval.of_bits(self.accumulator.result_bits, signed=True),
            act=self.pe.act,
            weight=self.pe.weight,
            depth=self.tiling.max_group,
            cols=self.shape.cols,
            rows=self.panel_rows,
            lanes=min(self.tiling.drain_lanes or self.shape.cols, self.shape.cols),
            finds_nonfinite=bool(self.invalid_bits),
            accumulates=self.tiling.max_passes > 1 or self.tiling.max_group < self.tiling.max_k,
        )

    @property
    def _groups_in_flight(self) -> int:
        """Groups whose sums may be on their way to the result FIFO, and two more."""
        return -(-(self.latency + 3) // self.group_cycles) + 2

    @property
    @abstractmethod
    def _rows_in_flight(self) -> int:
        """Results that must have room so that the array never waits for a reader that is always ready."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        job = Signal(self.job, name="job")
        accepted = Signal(name="command_accepted")
        panel = PanelBuffer(
            width=len(self.act.payload),
            rows=self.panel_rows,
            step_words=self._step_words,
            span=self.span,
            steps=self.steps,
            size_bits=SIZE_BITS,
            depth_bits=len(job.k),
        )
        place(m, "panel", panel)
        array = place(m, "array", self.array)
        depth = self._rows_in_flight
        parts = Parts(
            job=job,
            plan=elaborate_plan(m, job, self.span),
            start=Signal(name="start"),
            accepted=accepted,
            panel=panel,
            array=array,
            free=Signal(range(depth + 1), name="free_results", init=depth),
            given_back=Signal(name="result_taken"),
            queues=self._place_queues(m),
            leaving=self._make_leaving(),
            tick=self._tick(m),
        )
        idle = self._elaborate_issue(m, parts)
        if array.pe.mode_bits:
            # the last operands of a product are still on their way when the next command is taken
            m.d.comb += array.mode.eq(delayed(m, job.mode, PANEL_LATENCY, name="issued_mode"))
        # until there is a plan of the job
        waits = Signal(PLAN_CYCLES + 1, name="start_waits")
        m.d.sync += waits.eq(Cat(accepted, waits))
        m.d.comb += [
            self.command.ready.eq(idle & panel.idle & parts.tick & ~waits.any()),
            accepted.eq(self.command.valid & self.command.ready),
            panel.rows_of_a.eq(job.m),
            panel.plan.eq(parts.plan),
            parts.start.eq(waits[-1]),
            panel.start.eq(parts.start),
            panel.act.payload.eq(self.act.payload),
            panel.act.valid.eq(self.act.valid),
            self.act.ready.eq(panel.act.ready),
        ]
        with m.If(accepted):
            m.d.sync += job.eq(self.command.payload)
        self._elaborate_results(m, parts, depth)
        return m

    def _make_leaving(self) -> Leaving:
        widths = {
            "sums": self.shape.cols * self.accumulator.result_bits,
            "row_sum": self.row_sum_bits,
            "invalid": self.invalid_bits,
        }
        plain = ("sums", *(("invalid",) if self.invalid_bits else ()), "valid", "final")
        checks = {"check": len(self.verdict.check)} if self.verdict else {}
        taken = (*(self.edge.taken if self.edge else plain), *checks)
        return Leaving(widths=widths | checks, panel_rows=self.panel_rows, taken=taken)

    def _tick(self, m: Module) -> Value:
        """Whether a step can begin in the next cycle, and end in this one."""
        if self.pe.interleave == 1:
            return Const(1)
        turn = Signal(range(self.pe.interleave), name="turn")
        tick = Signal(name="tick")
        m.d.comb += tick.eq(turn == self.pe.interleave - 1)
        m.d.sync += turn.eq(Mux(tick, 0, turn + 1))
        return tick

    def _place_queues(self, m: Module) -> dict[str, ParameterQueue]:
        """The parameters that wait for their sums."""
        queues = {}
        for name, bits in self.parameter_bits.items():
            port = getattr(self, name)
            depth = self._rows_in_flight if name == "row" else self._groups_in_flight
            queue = ParameterQueue(width=bits, depth=depth)
            queues[name] = place(m, f"{name}_queue", queue)
            m.d.comb += [
                queue.parameters.payload.eq(port.payload),
                queue.parameters.valid.eq(port.valid),
                port.ready.eq(queue.parameters.ready),
            ]
        return queues

    def _elaborate_results(self, m: Module, parts: Parts, depth: int) -> None:
        """From the array's sums to the stream of results."""
        leaving: dict[str, Value] = dict(parts.leaving.signals)
        if self.verdict:
            leaving = elaborate_verdict(m, self.verdict, leaving)
            m.d.comb += [getattr(self, name).eq(getattr(self.verdict, name)) for name in self.verdict.flags]
        values, valid, final = (leaving[name] for name in ("sums", "valid", "final"))
        invalid = leaving.get("invalid", Const(0, 0))
        if self.edge:
            edge = place(m, "drain", self.edge)
            m.d.comb += [getattr(edge, name).eq(signal) for name, signal in leaving.items()]
            for name, queue in parts.queues.items():
                m.d.comb += [
                    getattr(edge, f"{name}_parameters").eq(queue.data),
                    queue.take.eq(getattr(edge, f"{name}_taken")),
                ]
            values, valid, final = edge.result, edge.result_valid, edge.result_final
            invalid = edge.result_invalid if self.invalid_bits else invalid
        beat = Cat(values, invalid, final)
        if not self.edge:
            beat = delayed(m, beat, _SUM_LATENCY, name="sums")
            valid = delayed(m, valid, _SUM_LATENCY, name="sums_valid", init=0)
        m.submodules.results = fifo = SyncFIFOBuffered(width=len(self.result.payload.as_value()), depth=depth)
        taken = parts.given_back
        m.d.comb += [
            fifo.w_data.eq(beat),
            fifo.w_en.eq(valid),
            self.result.payload.eq(fifo.r_data),
            self.result.valid.eq(fifo.r_rdy),
            taken.eq(self.result.valid & self.result.ready),
            fifo.r_en.eq(taken),
        ]
        if self.invalid_bits:
            seen = taken & self.result.payload.invalid.any()
            m.d.sync += self.nonfinite.eq(Mux(parts.accepted, 0, self.nonfinite | seen))


def _fields(shapes: Mapping[str, HdlShape]) -> tuple[Field, ...]:
    return tuple(Field(name=name, bits=shape.width, signed=shape.signed) for name, shape in shapes.items())
