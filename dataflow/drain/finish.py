"""The drain edge of one column, for each total: scales, bias, requantization and bounds."""

from amaranth.hdl import Cat, Module, Mux, Shape, Value
from amaranth.lib.wiring import In, Out

from dataflow.drain.pipeline import (
    ADD,
    CONVERT,
    REQUANTIZE,
    PipelinedColumn,
    multiply_stages,
    register,
    to_float,
)
from hw.core.delay import delayed
from hw.core.narrow import keep, saturate
from hw.core.number import Number
from hw.core.unit import place
from hw.float.add import FloatAdd
from hw.integer.requantize import Requantize
from sw_ref.drain.edge import Drain
from sw_ref.formats.binary_float import FloatShape
from sw_ref.interval import Interval

__all__ = ["FinishColumn"]


class FinishColumn(PipelinedColumn):
    """Steps 4 to 8: what becomes of a total.

    Parameters
    ----------
    drain : Drain
    fields : tuple of (str, Shape)
        Parameters, see `field_shapes`.
    """

    def __init__(self, *, drain: Drain, fields: tuple[tuple[str, Shape], ...]) -> None:
        self.drain = drain
        shapes = dict(fields)
        taken = [*drain.output_fields, *(("act_scale",) if drain.act_scale == "row" else ())]
        given = drain.arithmetic.bits if drain.accumulates_floats else drain.accumulator.bits
        super().__init__(
            {
                "total": In(given),
                **{name: In(shapes[name]) for name in taken},
                "result": Out(self.result_bits(drain)),
            }
        )

    @staticmethod
    def result_bits(drain: Drain) -> int:
        """Width of a result."""
        if drain.floating:
            return drain.arithmetic.bits
        interval = drain.accumulator.interval
        if drain.requantize:
            interval = drain.requantize.interval
        if drain.clamp:
            interval = Interval(*drain.clamp)
        return interval.signed_bits

    @property
    def name(self) -> str:
        return f"drain_finish_{len(self.total)}_to_{len(self.result)}"

    @property
    def steps(self) -> list[tuple[str, int]]:
        drain = self.drain
        steps = []
        if drain.floating and not drain.accumulates_floats:
            steps.append(("convert", CONVERT))
        if drain.channel_scale:
            steps.append(("channel_scale", multiply_stages(drain.arithmetic)))
        if drain.act_scale == "row":
            steps.append(("act_scale", multiply_stages(drain.act_scale_format)))
        if drain.bias:
            steps.append(("float_bias", ADD) if drain.floating else ("integer_bias", 1))
        if drain.requantize:
            steps.append(("requantize", REQUANTIZE))
        if drain.clamp or drain.relu:
            steps.append(("limit_float", 1) if drain.floating else ("limit_integer", 1))
        return steps

    def circuit(self, platform: object) -> Module:
        m = Module()
        given = self.total if self.drain.accumulates_floats else Number(self.total.as_signed())
        result = self.run(m, given)
        m.d.comb += self.result.as_signed().eq(result.value if isinstance(result, Number) else result)
        return m

    def _convert(self, m: Module, y: Number) -> Value:
        return to_float(m, y, self.drain.arithmetic)

    def _channel_scale(self, m: Module, y: Value) -> Value:
        return self.scaled(m, "channel_scale", y, self.drain.arithmetic)

    def _float_bias(self, m: Module, y: Value) -> Value:
        add = place(m, "biased", FloatAdd(shape=self.drain.arithmetic, pipeline=ADD))
        m.d.comb += [add.x.eq(y), add.y.eq(self.field(m, "bias"))]
        return add.sum

    def _integer_bias(self, m: Module, y: Number) -> Number:
        return register(m, "biased", keep(y + Number(self.field(m, "bias")), self.drain.accumulator))

    def _requantize(self, m: Module, y: Number) -> Number:
        form = self.drain.requantize
        unit = Requantize(
            bits_in=len(y.value),
            multiplier_bits=self.drain.multiplier_bits,
            shift_bits=len(self.shift),
            bits_out=form.bits,
            signed=form.signed,
            dsp="none",
            pipeline=REQUANTIZE,
        )
        place(m, "requantized", unit)
        m.d.comb += [
            unit.integer.eq(y.value),
            unit.multiplier.eq(self.field(m, "multiplier")),
            unit.shift.eq(self.field(m, "shift")),
        ]
        return Number(unit.result)

    def _limit_integer(self, m: Module, y: Number) -> Number:
        if self.drain.clamp:
            y = saturate(y, Interval(*self.drain.clamp))
        if self.drain.relu:
            y = saturate(y, Interval(0, max(0, y.interval.hi)))
        return register(m, "limited", y)

    def _limit_float(self, m: Module, y: Value) -> Value:
        floats = self.drain.arithmetic
        magnitude = y[:-1]
        is_nan = magnitude > floats.infinity
        limited = y
        if self.drain.clamp:
            low, high = (int(floats.encode(bound)) for bound in self.drain.clamp)
            limited = Mux(_ordered(y) < _ordered_code(low, floats), low, limited)
            limited = Mux(_ordered(y) > _ordered_code(high, floats), high, limited)
        if self.drain.relu:
            limited = Mux(limited[-1], 0, limited)
        return delayed(m, Mux(is_nan, floats.nan, limited), 1, name="limited")


def _ordered(code: Value) -> Value:
    """A signed integer that is larger where the float is."""
    magnitude = code[:-1]
    return Mux(code[-1], -magnitude, Cat(magnitude, 0).as_signed())


def _ordered_code(code: int, floats: FloatShape) -> int:
    sign = 1 << (floats.bits - 1)
    return -(code ^ sign) if code & sign else code
