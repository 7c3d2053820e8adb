"""The engine around an array: any M, N and K, valid/ready streams, and whatever stalls they bring."""

from abc import abstractmethod
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from dataflow.mesh import Shape
from dataflow.panel import PanelBuffer
from hw.unit import Unit, place
from pe.base import PE
from sw_ref.accumulate import Accumulator

__all__ = ["SIZE_BITS", "Engine", "Tiling"]

SIZE_BITS = 20
"""Width of M and N in a command: up to 1048575 rows and columns."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a matrix product is cut.

    Parameters
    ----------
    group_size : int
        Products along K that make one result; 0 for all of K.
    max_k : int
        Largest K, which the panel of activations has room for.
    panel_rows : int
        Rows of A that stay on chip while all weights pass (an output-stationary array keeps as many as it has
        rows).
    """

    group_size: int = 0
    max_k: int = 4096
    panel_rows: int = 64

    def __post_init__(self) -> None:
        for name, least, most in (("group_size", 0, 65535), ("max_k", 1, 65535), ("panel_rows", 1, 4096)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"Tiling {name} must be an integer from {least} to {most}, not {value!r}")


class Engine(Unit):
    """Computes ``C = A @ W``, group by group along K, for matrices of any size.

    One command starts one product. Operands and results then come in the order of `dataflow.schedule`; what a beat
    holds beyond the edges of a matrix is ignored. A new command may be given as soon as it is accepted.

    Ports
    -----
    command : In(stream of {m, n, k})
        Sizes, each at least 1; ``k`` at most ``tiling.max_k``.
    act, weight : In(stream)
        Codes, lane 0 of row (column) 0 in the low bits.
    result : Out(stream of {sums, last})
        One row of one tile: a sum for each column, column 0 in the low bits; ``last`` ends the product.

    All streams are valid/ready. Neither ``ready`` of an input nor ``valid`` of the output depends on an input in
    the same cycle. Reset (at least one cycle) drops whatever was going on.

    Parameters
    ----------
    pe : PE
    shape : Shape
    accumulator : Accumulator
        Of the sums.
    tiling : Tiling
    """

    dataflow: str

    def __init__(self, *, pe: PE, shape: Shape, accumulator: Accumulator, tiling: Tiling) -> None:
        self.pe = pe
        self.shape = shape
        self.accumulator = accumulator
        self.tiling = tiling
        self.array = self._make_array()
        size = data.StructLayout({"m": SIZE_BITS, "n": SIZE_BITS, "k": tiling.max_k.bit_length()})
        row = data.StructLayout({"sums": shape.cols * accumulator.bits, "last": 1})
        super().__init__(
            {
                "command": In(stream.Signature(size)),
                "act": In(stream.Signature(shape.rows * pe.lanes * pe.act.bits)),
                "weight": In(stream.Signature(shape.cols * pe.lanes * pe.weight.bits)),
                "result": Out(stream.Signature(row)),
            }
        )

    @property
    def name(self) -> str:
        group = f"_g{self.tiling.group_size}" if self.tiling.group_size else ""
        return f"{self.array.name}{group}_engine"

    @property
    @abstractmethod
    def span(self) -> int:
        """Products along K that one step, or one block of weights, takes in."""

    @property
    @abstractmethod
    def panel_rows(self) -> int:
        """Rows of A that stay on chip."""

    @abstractmethod
    def _make_array(self) -> Unit: ...

    @abstractmethod
    def _panel(self) -> PanelBuffer: ...

    @abstractmethod
    def _result_depth(self) -> int:
        """Results that must have room so that the array never waits for a reader that is always ready."""

    @abstractmethod
    def _elaborate_issue(self, m: Module, parts: "Parts") -> Value:
        """Describe what feeds the array; return whether the job is done being issued."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        job = Signal(self.command.payload.shape(), name="job")
        panel = place(m, "panel", self._panel())
        array = place(m, "array", self.array)
        fifo_depth = self._result_depth()
        m.submodules.results = fifo = SyncFIFOBuffered(width=len(self.result.payload.as_value()), depth=fifo_depth)
        parts = Parts(
            job=job,
            start=Signal(name="start"),
            panel=panel,
            array=array,
            free=Signal(range(fifo_depth + 1), name="free_results", init=fifo_depth),
            reserve=Signal(range(fifo_depth + 1), name="reserved_results"),
            push=Signal(name="push_result"),
            push_last=Signal(name="push_last"),
        )
        idle = self._elaborate_issue(m, parts)
        taken = Signal(name="result_taken")
        m.d.comb += [
            self.command.ready.eq(idle & panel.idle),
            parts.start.eq(self.command.valid & self.command.ready),
            panel.m.eq(Mux(parts.start, self.command.payload.m, job.m)),
            panel.k.eq(Mux(parts.start, self.command.payload.k, job.k)),
            panel.start.eq(parts.start),
            panel.act.payload.eq(self.act.payload),
            panel.act.valid.eq(self.act.valid),
            self.act.ready.eq(panel.act.ready),
            fifo.w_data.eq(Cat(array.result, parts.push_last)),
            fifo.w_en.eq(parts.push),
            self.result.payload.eq(fifo.r_data),
            self.result.valid.eq(fifo.r_rdy),
            taken.eq(self.result.valid & self.result.ready),
            fifo.r_en.eq(taken),
        ]
        with m.If(parts.start):
            m.d.sync += job.eq(self.command.payload)
        m.d.sync += parts.free.eq(parts.free - parts.reserve + taken)
        return m


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the two halves of an engine share.

    ``start`` is high in the cycle in which a command is accepted, ``job`` holds it afterwards. Each result is
    reserved room for when its last products are issued (``reserve``, at most ``free``), and is written when it leaves
    the array (``push``).
    """

    job: Value
    start: Signal
    panel: PanelBuffer
    array: Unit
    free: Signal
    reserve: Signal
    push: Signal
    push_last: Signal
