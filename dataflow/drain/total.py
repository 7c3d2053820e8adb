"""The drain edge of one column: adding up."""

from amaranth.hdl import Module, Shape
from amaranth.lib.wiring import In, Out

from dataflow.drain.pipeline import ADD, register
from hw.core.narrow import keep
from hw.core.number import Number
from hw.core.unit import Unit, place
from hw.float.add import FloatAdd
from sw_ref.drain.edge import Drain

__all__ = ["AccumulateColumn"]


class AccumulateColumn(Unit):
    """Step 3: ``total = base + term``; without ``accumulates``, ``total = term``.

    ``neutral`` is the base to which nothing has been added.

    Parameters
    ----------
    drain : Drain
    term : Shape
    accumulates : bool
    """

    def __init__(self, *, drain: Drain, term: Shape, accumulates: bool) -> None:
        self.drain = drain
        self.accumulates = accumulates
        bits = drain.arithmetic.bits if drain.accumulates_floats else drain.accumulator.bits
        base = {"base": In(bits)} if accumulates else {}
        # -0 is what adds nothing to a float, not even a sign
        self.neutral = 1 << (bits - 1) if drain.accumulates_floats else 0
        super().__init__({"term": In(term), **base, "total": Out(bits)})
        self.latency = (ADD if drain.accumulates_floats else 1) if accumulates else 0

    @property
    def name(self) -> str:
        kind = "float" if self.drain.accumulates_floats else f"{len(self.term)}"
        return f"drain_accumulate_{kind}_{len(self.total)}{'' if self.accumulates else '_through'}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        if self.drain.accumulates_floats:
            total = self.term
            if self.accumulates:
                add = place(m, "add", FloatAdd(shape=self.drain.arithmetic, pipeline=ADD))
                m.d.comb += [add.x.eq(self.base), add.y.eq(self.term)]
                total = add.sum
            m.d.comb += self.total.eq(total)
            return m
        term = Number(self.term)
        if self.accumulates:
            base = Number(self.base.as_signed())
            kept = register(m, "kept", keep(base + term, self.drain.accumulator))
        else:
            kept = keep(term, self.drain.accumulator)
        m.d.comb += self.total.as_signed().eq(kept.value)
        return m
