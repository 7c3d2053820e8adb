"""Adders of packed words: of multiples that come ready-made, and of numbers at places that the circuit chooses."""

from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from hw.core.number import Number, shape_of, wire
from hw.core.rows import above, shifted, with_below
from hw.core.stages import Step
from hw.core.unit import Unit, place
from sw_ref.interval import Interval

__all__ = ["FarAdd", "MultipleAdd", "PlacedAdd", "multiples_steps"]


class MultipleAdd(Unit):
    """``sum = x + digit * once``, where ``thrice`` is ``3 * once``: one carry chain, one LUT6 a bit.

    Parameters
    ----------
    x_bits, once_bits, sum_bits : int
        Widths, all unsigned. ``sum`` must hold every result that occurs; ``thrice`` has two bits more than ``once``.
    """

    def __init__(self, *, x_bits: int, once_bits: int, sum_bits: int) -> None:
        ports = {"x": In(x_bits), "once": In(once_bits), "thrice": In(once_bits + 2), "digit": In(2)}
        super().__init__({**ports, "sum": Out(sum_bits)})

    @property
    def name(self) -> str:
        return f"add_multiple_u{len(self.x)}_u{len(self.once)}_u{len(self.sum)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # as in hw.core.rows.GatedAdd, what is met first is on the carry chain
        multiple = Signal(len(self.thrice), name="multiple")
        m.d.comb += multiple.eq(_multiple(self.once, self.thrice, self.digit))
        m.d.comb += self.sum.eq((self.x + multiple)[: len(self.sum)])
        return m


class PlacedAdd(Unit):
    """``sum = x + (a << step * place)``, or ``x - ...`` with ``negate``: one carry chain, one LUT6 a bit.

    Parameters
    ----------
    x_bits, sum_bits : int
        Widths, both signed. ``sum`` must hold every result that occurs.
    step : int
        ``a`` has twice as many bits, and is unsigned.
    places : int
        How many there are. ``at`` has a bit for each, of which one is set; it may be none if ``a`` is 0.
    word_bits : int
        Bits that the shifted ``a`` takes at most.
    """

    def __init__(self, *, x_bits: int, step: int, places: int, word_bits: int, sum_bits: int) -> None:
        self.step = step
        self.word_bits = word_bits
        ports = {"x": In(signed(x_bits)), "a": In(2 * step), "at": In(places), "negate": In(1)}
        super().__init__({**ports, "sum": Out(signed(sum_bits))})

    @property
    def name(self) -> str:
        return f"add_placed_i{len(self.x)}_{len(self.at)}x{self.step}_u{self.word_bits}_i{len(self.sum)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # each digit of the word is the low one of a, the high one, or 0
        low, high = self.a[: self.step], self.a[self.step :]
        none = Const(0, self.step)
        lows = [*(Mux(here, low, none) for here in self.at), none]
        highs = [none, *(Mux(here, high, none) for here in self.at)]
        digits = [lo | hi for lo, hi in zip(lows, highs, strict=True)]
        word = Cat(Cat(digits)[: self.word_bits] ^ self.negate.replicate(self.word_bits), self.negate).as_signed()
        # a difference, as in hw.core.select.SelectAdd
        total = with_below(self.negate, self.x) - with_below(1, ~word)
        m.d.comb += self.sum.eq(above(m, total, self.sum))
        return m


class FarAdd(Unit):
    """``sum = x + (a << distance * far)`` for a ``far`` of 0, 1 or 2: one carry chain, one LUT6 a bit.

    Parameters
    ----------
    x_bits, a_bits, sum_bits : int
        Widths, all signed. ``sum`` is modulo its width. With ``a`` = 0, ``far`` may also be 3.
    distance : int
    """

    def __init__(self, *, x_bits: int, a_bits: int, distance: int, sum_bits: int) -> None:
        self.distance = distance
        ports = {"x": In(signed(x_bits)), "a": In(signed(a_bits)), "far": In(2)}
        super().__init__({**ports, "sum": Out(signed(sum_bits))})

    @property
    def name(self) -> str:
        return f"add_far_i{len(self.x)}_i{len(self.a)}_by_{self.distance}_i{len(self.sum)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        near, middle, far = (self.a << self.distance * count for count in range(3))
        placed = Signal(self.sum.shape(), name="placed")
        m.d.comb += placed.eq(Mux(self.far[1], far, Mux(self.far[0], middle, near))[: len(placed)])
        m.d.comb += self.sum.eq((self.x + placed)[: len(self.sum)])
        return m


def multiples_steps(name: str, count: int) -> list[Step]:
    """Steps of a chain of rows that give Number ``at.product``: ``sum over k of at.digits[k] * once[k] * 4**k``.

    ``at.digits`` has ``count`` Values of two bits, the lowest first, and ``at.multiples`` for each of them a namespace
    of Values ``once`` and ``thrice``, see `MultipleAdd`; all of one width. Everything is unsigned.
    """
    return [Step(2, partial(_add_multiple, name=name, index=index)) for index in range(count)]


def _add_multiple(m: Module, at: SimpleNamespace, *, name: str, index: int) -> None:
    multiple, digit = at.multiples.pop(0), at.digits.pop(0)
    added = Interval.of_bits(len(multiple.once), signed=False) * 3
    if not index:
        at.product = wire(m, f"{name}_row_0", Number(_multiple(multiple.once, multiple.thrice, digit), added))
        return
    low, rest = at.product.value[: 2 * index], at.product.value[2 * index :]
    x = Number(rest, shifted(at.product.interval, 2 * index))
    total = x.interval + added
    row = MultipleAdd(x_bits=len(x.value), once_bits=len(multiple.once), sum_bits=shape_of(total).width)
    place(m, f"{name}_row_{index}", row)
    m.d.comb += [
        row.x.eq(x.value),
        row.once.eq(multiple.once),
        row.thrice.eq(multiple.thrice),
        row.digit.eq(digit),
    ]
    at.product = Number(Cat(low, row.sum), Interval(0, (total.hi + 1 << 2 * index) - 1))


def _multiple(once: Value, thrice: Value, digit: Value) -> Value:
    return Mux(digit[1], Mux(digit[0], thrice, once << 1), Mux(digit[0], once, 0))
