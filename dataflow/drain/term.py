"""The drain edge of one column, for each sum: zero points and scales."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from dataflow.drain.pipeline import CONVERT, PipelinedColumn, multiply_stages, register, to_float
from hw.core.delay import delayed
from hw.core.narrow import wrap
from hw.core.number import Number, shape_of, total
from hw.core.rows import above
from hw.core.stages import run_steps
from hw.integer.multiply import product_steps
from sw_ref.drain.edge import Drain
from sw_ref.formats.binary_float import FloatShape
from sw_ref.formats.signs import PowerOfTwo
from sw_ref.interval import Interval

__all__ = ["TermColumn"]


class TermColumn(PipelinedColumn):
    """Steps 1 and 2: ``term = (sum - weight_zero * row_sum - act_zero * column_sum) * scale``.

    Parameters
    ----------
    drain : Drain
    sums, row_sum : Interval
        What they can be.
    fields : tuple of (str, Shape)
        Parameters, see `field_shapes`.
    """

    def __init__(
        self, *, drain: Drain, sums: Interval, row_sum: Interval, fields: tuple[tuple[str, Shape], ...]
    ) -> None:
        self.drain = drain
        self.sums = sums
        self.row_sum_interval = row_sum
        self._fields = dict(fields)
        centred = Interval(0, 0) if drain.sums else sums
        row_sum_port = {}
        if drain.weight_zero:
            centred = centred - drain.weight_zero.interval * row_sum
            row_sum_port = {"row_sum": In(shape_of(row_sum))}
        if drain.act_zero:
            centred = centred - drain.act_zero.interval * self._interval("column_sum")
        self.integers = centred * (drain.scale_interval if not isinstance(drain.scale, FloatShape) else 1)
        self.integer_bits = self.integers.signed_bits
        if not drain.accumulates_floats and drain.accumulator.overflow != "saturate":
            # no bit above those that the accumulator keeps has a say in them
            self.integer_bits = min(self.integer_bits, drain.accumulator.bits)
        term = Shape(drain.arithmetic.bits) if drain.accumulates_floats else Shape(self.integer_bits, True)
        taken = [*drain.column_fields, *(("act_zero",) if drain.act_zero else ())]
        taken += ["act_scale"] if drain.act_scale == "group" else []
        super().__init__(
            {
                "sum": In(Shape(sums.signed_bits, True)),
                **row_sum_port,
                **{name: In(self._fields[name]) for name in taken},
                "term": Out(term),
            }
        )

    def _interval(self, field: str) -> Interval:
        shape = self._fields[field]
        return Interval.of_bits(shape.width, shape.signed)

    @property
    def name(self) -> str:
        return f"drain_term_{len(self.sum)}_to_{len(self.term)}"

    @property
    def steps(self) -> list[tuple[str, int]]:
        drain, steps = self.drain, []
        if drain.weight_zero or drain.act_zero:
            steps.append(("centre", 2))
        if isinstance(drain.scale, PowerOfTwo):
            steps.append(("shift", 1))
        elif drain.scale and not isinstance(drain.scale, FloatShape):
            steps.append(("multiply", 1))
        if drain.accumulates_floats and not drain.sums:
            steps.append(("convert", CONVERT))
        if isinstance(drain.scale, FloatShape):
            steps.append(("scale", multiply_stages(drain.scale)))
        if drain.act_scale == "group":
            steps.append(("act_scale", multiply_stages(drain.act_scale_format)))
        return steps or [("wait", 1)]

    def circuit(self, platform: object) -> Module:
        m = Module()
        floats, shape = self.drain.arithmetic, self.drain.sums
        # exponents are of the same width
        given = Cat(Const(0, floats.fraction - shape.fraction), self.sum) if shape else Number(self.sum, self.sums)
        term = self.run(m, given)
        m.d.comb += self.term.eq(term.value if isinstance(term, Number) else term)
        return m

    def _wait(self, m: Module, sum_: Number | Value) -> Number | Value:
        if self.drain.sums:
            return delayed(m, sum_, 1, name="waiting")
        return register(m, "waiting", wrap(sum_, self.integer_bits))

    def _centre(self, m: Module, sum_: Number) -> Number:
        centred = register(m, "sum_waiting", sum_)
        if self.drain.weight_zero:
            row_sum = Number(self.row_sum, self.row_sum_interval)
            centred = centred - self._product(m, "weight_zero_product", Number(self.weight_zero), row_sum)
        if self.drain.act_zero:
            centred = centred - self._product(m, "act_zero_product", Number(self.act_zero), Number(self.column_sum))
        return register(m, "centred", wrap(centred, self.integer_bits))

    def _product(self, m: Module, name: str, x: Number, y: Number) -> Number:
        """``x * y``, a cycle later."""
        narrow, wide = sorted((x, y), key=lambda number: len(number.value))
        at = SimpleNamespace(multiplicand=wide, multiplier=narrow)
        run_steps(m, at, product_steps(narrow.interval, dsp="none", name=name), registers=0)
        return register(m, name, at.product)

    def _shift(self, m: Module, centred: Number) -> Number:
        codes, form = self.field(m, "scale"), self.drain.scale
        shifted = []
        for index in range(self.drain.scale_terms):
            code = codes.word_select(index, form.bits)
            exponent, negative = code[:-1], code[-1]
            largest = centred.interval * form.terms[0][-1] | 0
            magnitude = Signal(signed(min(largest.signed_bits, self.integer_bits)), name=f"shifted_{index}")
            # the exponent counts from 1, and 0 is 0
            doubled = above(m, centred.value << exponent, magnitude, name=f"doubled_{index}")
            m.d.comb += magnitude.eq(Mux(exponent == 0, 0, doubled))
            spread = largest | -largest if largest.signed_bits == len(magnitude) else None
            shifted.append(Number(Mux(negative, -magnitude, magnitude), spread))
        return register(m, "term_integer", wrap(total(shifted), self.integer_bits))

    def _multiply(self, m: Module, centred: Number) -> Number:
        product = self._product(m, "scale_product", centred, Number(self.field(m, "scale")))
        return wrap(product, self.integer_bits)

    def _convert(self, m: Module, integer: Number) -> Value:
        return to_float(m, integer, self.drain.arithmetic)

    def _scale(self, m: Module, term: Value) -> Value:
        return self.scaled(m, "scale", term, self.drain.scale)
