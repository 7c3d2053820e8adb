"""The drain edge of one column, for each sum: the steps before adding up."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Const, Module, Shape, Value
from amaranth.lib.wiring import In, Member, Out

from dataflow.drain.pipeline import Column, register
from dataflow.drain.steps import CIRCUITS
from hw.core.narrow import wrap
from hw.core.number import Number, shape_of
from hw.core.registers import delayed
from sw_ref.drain.edge import Drain
from sw_ref.drain.step import Sizes
from sw_ref.interval import Interval

__all__ = ["TermColumn"]


class TermColumn(Column):
    """``term``: what comes of ``sum`` through the steps of the stage "term".

    Parameters
    ----------
    drain : Drain
    sums : Interval
        What a sum can be.
    sizes : Sizes
    fields : tuple of (str, Shape)
        Parameters of columns and rows.
    """

    def __init__(self, *, drain: Drain, sums: Interval, sizes: Sizes, fields: tuple[tuple[str, Shape], ...]) -> None:
        self.drain = drain
        self.sums = sums
        self.sizes = sizes
        self.kinds = [(step, CIRCUITS[type(step)]) for step in drain.stage("term")]
        self.integers = drain.term_interval(sums, sizes)
        self.integer_bits = self.integers.signed_bits
        if not drain.accumulates_floats and drain.accumulator.overflow != "saturate":
            # no bit above those that the accumulator keeps has a say in them
            self.integer_bits = min(self.integer_bits, drain.accumulator.bits)
        term = Shape(drain.arithmetic.bits) if drain.accumulates_floats else Shape(self.integer_bits, True)
        super().__init__(
            {
                "sum": In(Shape(sums.signed_bits, True)),
                **self._taken(dict(fields)),
                "term": Out(term),
            }
        )

    def _taken(self, shapes: Mapping[str, Shape]) -> dict[str, Member]:
        """Sums of rows, and the parameters."""
        found = {}
        if any(step.takes_row_sums and not kind.late for step, kind in self.kinds):
            found["row_sum"] = In(shape_of(self.sizes.row_sum))
        if "row_sum_float" in self.late:
            found["row_sum_float"] = In(self.drain.arithmetic.bits)
        parameters = [each for step, _kind in self.kinds for each in step.parameters(self.drain)]
        for wanted in ("column", "row"):
            found |= {each.name: In(shapes[each.name]) for each in parameters if each.kind == wanted}
        return found

    @property
    def takes_floats(self) -> bool:
        return self.drain.sums is not None

    @property
    def name(self) -> str:
        return f"drain_term_{len(self.sum)}_to_{len(self.term)}"

    @property
    def latency(self) -> int:
        # without a step, a sum waits for what is read from the memory of totals
        return max(1, super().latency)

    def circuit(self, platform: object) -> Module:
        m = Module()
        floats, shape = self.drain.arithmetic, self.drain.sums
        # exponents are of the same width
        given = Cat(Const(0, floats.fraction - shape.fraction), self.sum) if shape else Number(self.sum, self.sums)
        term = self.run(m, given) if self.circuits else self._waiting(m, given)
        m.d.comb += self.term.eq(term.value if isinstance(term, Number) else term)
        return m

    def _waiting(self, m: Module, given: Number | Value) -> Number | Value:
        if isinstance(given, Number):
            return register(m, "waiting", wrap(given, self.integer_bits))
        return delayed(m, given, 1, name="waiting")
