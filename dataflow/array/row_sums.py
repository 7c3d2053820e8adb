"""Sums of a row's activations, which a zero point of the weights is multiplied by: formed once a row."""

from collections.abc import Callable

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.core.naming import format_name
from hw.core.narrow import wrap
from hw.core.number import Number, assign, shape_of, total
from hw.core.unit import Unit, place
from pe.operands.decode import value_of
from sw_ref.formats.base import Format

__all__ = ["OutputStationaryRowSums", "WeightStationaryRowSum", "rows_in_turn"]


class _Values(Unit):
    """``total = sum over lanes of the values of the codes``, of those lanes that count."""

    def __init__(self, *, act: Format, lanes: int) -> None:
        self.act = act
        self.lanes = lanes
        self.interval = (act.fixed_form.interval | 0).sum_of(lanes)
        super().__init__({"codes": In(lanes * act.bits), "mask": In(lanes), "total": Out(shape_of(self.interval))})

    @property
    def name(self) -> str:
        return f"total_{self.lanes}x{format_name(self.act)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        lanes = [self._value(m, lane) for lane in range(self.lanes)]
        m.d.comb += assign(self.total, total(lanes))
        return m

    def _value(self, m: Module, lane: int) -> Number:
        value = value_of(m, f"decode_{lane}", self.act, self.codes.word_select(lane, self.act.bits))
        return Number(Mux(self.mask[lane], value.value, 0), value.interval | 0)


class OutputStationaryRowSums(Unit):
    """For each row of an output-stationary array, the sum of the activations that go into it.

    Ports
    -----
    codes : In(rows * lanes * act bits), mask : In(lanes), valid, last : In(1)
        As the array has them.
    sum : Out(bits)
        Modulo ``2**bits``, of row r `latency` + r cycles after the last step.

    Parameters
    ----------
    act : Format
    lanes, rows : int
    bits : int
        Width of a sum.
    """

    latency: int = 1

    def __init__(self, *, act: Format, lanes: int, rows: int, bits: int) -> None:
        self.act = act
        self.lanes = lanes
        self.rows = rows
        self.bits = bits
        super().__init__(
            {
                "codes": In(rows * lanes * act.bits),
                "mask": In(lanes),
                "valid": In(1),
                "last": In(1),
                "sum": Out(bits),
            }
        )

    @property
    def name(self) -> str:
        return f"row_sums_{self.rows}x{self.lanes}x{format_name(self.act)}_{self.bits}"

    def circuit(self, platform: object) -> Module:
        m = Module()

        def step(row: int) -> Value:
            values = place(m, f"row_{row}", _Values(act=self.act, lanes=self.lanes))
            m.d.comb += [
                values.codes.eq(self.codes.word_select(row, self.lanes * self.act.bits)),
                values.mask.eq(self.mask),
            ]
            return values.total

        following = rows_in_turn(m, step, rows=self.rows, bits=self.bits, valid=self.valid, last=self.last)
        m.d.comb += self.sum.eq(following)
        return m


def rows_in_turn(m: Module, step: Callable[[int], Value], *, rows: int, bits: int, valid: Value, last: Value) -> Value:
    """Sums of all rows modulo ``2**bits``, that of row r ``1 + r`` cycles after the step with ``last``.

    ``step(row)`` makes what a row adds in a cycle in which ``valid`` is high; the last step must be ``valid`` too.
    """
    following: Value | None = None
    for row in reversed(range(rows)):
        added = step(row)
        running = Signal(bits, name=f"running_{row}")
        waiting = Signal(bits, name=f"waiting_{row}", reset_less=True)
        sum_ = Signal(bits, name=f"sum_{row}")
        m.d.comb += sum_.eq(running + added)
        with m.If(valid):
            m.d.sync += running.eq(Mux(last, 0, sum_))
        # the sums of a tile move up, a row a cycle
        m.d.sync += waiting.eq(Mux(last, sum_, 0 if following is None else following))
        following = waiting
    assert following is not None, "arrays have rows"
    return following


class WeightStationaryRowSum(Unit):
    """Sum of the activations of one vector of a weight-stationary array.

    Ports
    -----
    codes : In(lanes * act bits), mask : In(lanes)
        As the array has them.
    sum : Out(bits)
        Modulo ``2**bits``, of the vector of `latency` cycles ago.

    Parameters
    ----------
    act : Format
    lanes : int
        Activations of a vector.
    bits : int
        Width of the sum.
    most : int
        Largest latency, at least 1.
    """

    def __init__(self, *, act: Format, lanes: int, bits: int, most: int) -> None:
        self.act = act
        self.lanes = lanes
        self.bits = bits
        self.latency = min(most, max(1, (lanes - 1).bit_length()))
        super().__init__({"codes": In(lanes * act.bits), "mask": In(lanes), "sum": Out(bits)})

    @property
    def name(self) -> str:
        return f"row_sum_{self.lanes}x{format_name(self.act)}_{self.bits}_by_{self.latency}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # a tree of pairs, of which the upper levels end in registers
        pairs = -(-self.lanes // 2)
        level = []
        for index in range(pairs):
            lanes = min(2, self.lanes - 2 * index)
            values = place(m, f"pair_{index}", _Values(act=self.act, lanes=lanes))
            start = 2 * index
            m.d.comb += [
                values.codes.eq(self.codes[start * self.act.bits : (start + lanes) * self.act.bits]),
                values.mask.eq(self.mask[start : start + lanes]),
            ]
            level.append(Number(values.total, values.interval))
        left = (pairs - 1).bit_length()
        level = [self._stage(m, number, left, index) for index, number in enumerate(level)]
        while left:
            left -= 1
            level = [total(level[at : at + 2]) for at in range(0, len(level), 2)]
            level = [self._stage(m, number, left, index) for index, number in enumerate(level)]
        # a group may be shorter than a vector: what it sums to fits all the same
        m.d.comb += assign(self.sum.as_signed(), wrap(level[0], self.bits))
        return m

    def _stage(self, m: Module, number: Number, left: int, index: int) -> Number:
        """``number``, in a register if there are as many stages left for the levels that follow."""
        if left >= self.latency:
            return number
        register = Signal(number.value.shape(), name=f"level_{left}_{index}", reset_less=True)
        m.d.sync += register.eq(number.value)
        return Number(register, number.interval)
