"""Adders and gates kept apart: small modules that synthesis does not merge with their neighbours.

Synthesis turns products and trees of additions into carry-save logic that hardly uses an FPGA's carry chains. A row
in a module of its own stays one carry chain.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from hw.number import Number, shape_of, wire
from hw.unit import Unit, place
from sw_ref.interval import Interval

__all__ = ["AnyOf", "DigitAdd", "GatedAdd", "any_of", "multiply", "multiply_digits"]


class GatedAdd(Unit):
    """``sum = x + (a if gate else 0)``, or ``x - (a if gate else 0)``: one carry chain.

    Parameters
    ----------
    x, a, sum : tuple of int and bool
        Width and signedness of the ports. ``sum`` must hold every result that occurs.
    subtract : bool
    """

    def __init__(self, *, x: tuple[int, bool], a: tuple[int, bool], sum: tuple[int, bool], subtract: bool) -> None:
        self.subtract = subtract
        self._formats = (x, a, sum)
        super().__init__(
            {"x": In(Shape(*x)), "a": In(Shape(*a)), "gate": In(1), "sum": Out(Shape(*sum))},
        )

    @property
    def name(self) -> str:
        widths = "_".join(f"{'i' if signed else 'u'}{bits}" for bits, signed in self._formats)
        return f"{'sub' if self.subtract else 'add'}_gated_{widths}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # Yosys puts the operand whose name it has met first on the carry chain, and the chain takes x as it is; the
        # gate fits into the look-up table of the other
        gated = Signal.like(self.a, name="gated")
        m.d.comb += gated.eq(Mux(self.gate, self.a, 0))
        result = self.x - gated if self.subtract else self.x + gated
        m.d.comb += self.sum.eq(result[: len(self.sum)])
        return m


class DigitAdd(Unit):
    """``sum = x + digit * a`` for a signed digit: one carry chain.

    A digit is two or three bits, from the low one: one (``a`` counts), negative, two (``2a`` counts). A negative digit
    adds the complement, and the missing 1 through a bit below the lowest.

    Parameters
    ----------
    x, a, sum : tuple of int and bool
        Width and signedness of the ports. ``sum`` must hold every result that occurs.
    digit_bits : {2, 3}
    """

    def __init__(self, *, x: tuple[int, bool], a: tuple[int, bool], sum: tuple[int, bool], digit_bits: int) -> None:
        self._formats = (x, a, sum)
        super().__init__(
            {"x": In(Shape(*x)), "a": In(Shape(*a)), "digit": In(digit_bits), "sum": Out(Shape(*sum))},
        )

    @property
    def name(self) -> str:
        widths = "_".join(f"{'i' if signed else 'u'}{bits}" for bits, signed in self._formats)
        return f"add_digit{len(self.digit)}_{widths}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # as in GatedAdd, the carry chain takes x as it is, and the look-up tables choose the multiple
        below = Cat(1, self.x).as_signed() if self.x.shape().signed else Cat(1, self.x)
        multiple = digit_multiple(m, "multiple", self.a, self.digit)
        chosen = Signal(signed(len(multiple) + 1), name="chosen")
        m.d.comb += chosen.eq(Cat(self.digit[1], multiple))
        m.d.comb += self.sum.eq((below + chosen)[1 : 1 + len(self.sum)])
        return m


def digit_multiple(m: Module, name: str, a: Value, digit: Value) -> Value:
    """``digit * a``, and 1 less where the digit is negative, which takes no carry; for digits see `DigitAdd`."""
    doubles = len(digit) > 2
    chosen = Mux(digit[0], a, 0)
    if doubles:
        chosen = chosen | Mux(digit[2], a << 1, 0)
    # a bit more for the sign of a negative multiple
    extended = Signal(signed(len(a) + 1 + doubles), name=name)
    m.d.comb += extended.eq(chosen)
    return (extended.as_unsigned() ^ digit[1].replicate(len(extended))).as_signed()


class AnyOf(Unit):
    """``word = word_0 | word_1 | ...``: one small look-up table a bit."""

    def __init__(self, *, width: int, inputs: int) -> None:
        self.width = width
        self.inputs = inputs
        words = {f"word_{index}": In(width) for index in range(inputs)}
        super().__init__({**words, "word": Out(width)})

    @property
    def name(self) -> str:
        return f"any_of_{self.inputs}x{self.width}"

    @property
    def words(self) -> list[Value]:
        """All inputs."""
        return [getattr(self, f"word_{index}") for index in range(self.inputs)]

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.word.eq(reduce(or_, self.words))
        return m


def any_of(m: Module, name: str, words: Sequence[Value]) -> Value:
    """The OR of ``words``, as a tree of `AnyOf` with four inputs at most: a LUT4 takes no more."""
    words, level = list(words), 0
    while len(words) > 1:
        level += 1
        groups = [words[at : at + 4] for at in range(0, len(words), 4)]
        words = []
        for index, group in enumerate(groups):
            if len(group) == 1:
                words.append(group[0])
                continue
            gate = place(m, f"{name}_{level}_{index}", AnyOf(width=len(group[0]), inputs=len(group)))
            m.d.comb += [port.eq(word) for port, word in zip(gate.words, group, strict=True)]
            words.append(gate.word)
    return words[0]


def multiply(m: Module, name: str, multiplicand: Number, multiplier: Number) -> Number:
    """The exact product, as a chain of rows: one for each bit of ``multiplier``.

        product = sum over bits k of multiplier[k] * multiplicand * 2**k

    where the top bit of a signed multiplier counts negative. The lowest bit of each row's sum is a bit of the product;
    the rest goes on to the next row.
    """
    top = len(multiplier.value) - 1
    if multiplier.interval.signed and top == 0:
        # one signed bit is 0 or -1
        running = _gated_add(m, f"{name}_row_0", Number.constant(0), multiplicand, multiplier.value[0], True)
    else:
        first = Number(Mux(multiplier.value[0], multiplicand.value, 0), multiplicand.interval | 0)
        running = wire(m, f"{name}_row_0", first)
    low: list[Value] = []
    for k in range(1, top + 1):
        low.append(running.value[0])
        negative = multiplier.interval.signed and k == top
        running = _gated_add(m, f"{name}_row_{k}", _halved(running), multiplicand, multiplier.value[k], negative)
    joined = Cat(*low, running.value)
    interval = multiplicand.interval * multiplier.interval
    return Number(joined.as_signed() if running.interval.signed else joined, interval)


def multiply_digits(
    m: Module, name: str, multiplicand: Number, digits: Sequence[Value], *, places: int, product: Interval
) -> tuple[Number, Value]:
    """A product as a chain of rows, one for each signed digit of the multiplier.

    Parameters
    ----------
    digits : sequence of Value
        Lowest first, as `DigitAdd` takes them; neighbours are ``places`` bits apart.
    product : Interval
        What the product can be.

    Returns
    -------
    Number, Value
        The product is the sum of the two: the lowest row leaves its carry to whoever adds next.
    """
    largest = 2 if len(digits[0]) > 2 else 1
    spread = multiplicand.interval * Interval(-largest, largest)
    first = digit_multiple(m, f"{name}_row_0", multiplicand.value, digits[0])
    running = wire(m, f"{name}_row_0_multiple", Number(first, Interval(spread.lo - 1, spread.hi)))
    low: list[Value] = []
    a_shape = multiplicand.value.shape()
    for index, digit in enumerate(digits[1:], start=1):
        low.append(running.value[:places])
        rest = Number(running.value.shift_right(places), _shifted(running.interval, places))
        interval = rest.interval + spread
        x_shape, sum_shape = rest.value.shape(), shape_of(interval)
        row = DigitAdd(
            x=(x_shape.width, x_shape.signed),
            a=(a_shape.width, a_shape.signed),
            sum=(sum_shape.width, sum_shape.signed),
            digit_bits=len(digit),
        )
        place(m, f"{name}_row_{index}", row)
        m.d.comb += [row.x.eq(rest.value), row.a.eq(multiplicand.value), row.digit.eq(digit)]
        running = Number(row.sum, interval)
    joined = Cat(*low, running.value).as_signed()
    return Number(joined, Interval(product.lo - 1, product.hi)), digits[0][1]


def _halved(number: Number) -> Number:
    """``floor(number / 2)``."""
    return Number(number.value.shift_right(1), _shifted(number.interval, 1))


def _shifted(interval: Interval, places: int) -> Interval:
    return Interval(interval.lo >> places, interval.hi >> places)


def _gated_add(m: Module, name: str, x: Number, a: Number, gate: Value, subtract: bool) -> Number:
    gated = a.interval | 0
    interval = x.interval - gated if subtract else x.interval + gated
    x_shape, a_shape, sum_shape = x.value.shape(), a.value.shape(), shape_of(interval)
    # a first row is a bit shorter than the others, and can be the same module for nothing
    x_bits = max(x_shape.width, a_shape.width) if x_shape.signed == a_shape.signed else x_shape.width
    row = GatedAdd(
        x=(x_bits, x_shape.signed),
        a=(a_shape.width, a_shape.signed),
        sum=(sum_shape.width, sum_shape.signed),
        subtract=subtract,
    )
    place(m, name, row)
    m.d.comb += [row.x.eq(x.value), row.a.eq(a.value), row.gate.eq(gate)]
    return Number(row.sum, interval)
