"""The drain edge of one column, for each total: the steps after adding up."""

from amaranth.hdl import Module, Shape
from amaranth.lib.wiring import In, Out

from dataflow.drain.pipeline import Column
from dataflow.drain.steps import CIRCUITS
from hw.core.number import Number
from sw_ref.drain.edge import Drain
from sw_ref.drain.step import Sizes

__all__ = ["FinishColumn"]


class FinishColumn(Column):
    """``result``: what comes of ``total`` through the steps of the stage "total".

    Parameters
    ----------
    drain : Drain
    sizes : Sizes
    fields : tuple of (str, Shape)
        Parameters of columns and rows.
    """

    def __init__(self, *, drain: Drain, sizes: Sizes, fields: tuple[tuple[str, Shape], ...]) -> None:
        self.drain = drain
        self.kinds = [(step, CIRCUITS[type(step)]) for step in drain.stage("total")]
        self.integer_bits = drain.accumulator.bits
        shapes = dict(fields)
        parameters = [each for step, _kind in self.kinds for each in step.parameters(drain)]
        taken = [each.name for wanted in ("output", "row") for each in parameters if each.kind == wanted]
        given = drain.arithmetic.bits if drain.accumulates_floats else drain.accumulator.bits
        bits = drain.arithmetic.bits if drain.floating else drain.result_interval(sizes).signed_bits
        super().__init__({"total": In(given), **{name: In(shapes[name]) for name in taken}, "result": Out(bits)})

    @property
    def takes_floats(self) -> bool:
        return self.drain.accumulates_floats

    @property
    def name(self) -> str:
        return f"drain_finish_{len(self.total)}_to_{len(self.result)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        result = self.run(m, self.total if self.takes_floats else Number(self.total.as_signed()))
        m.d.comb += self.result.as_signed().eq(result.value if isinstance(result, Number) else result)
        return m
