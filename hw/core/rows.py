"""Adders and gates kept apart: small modules that synthesis does not merge with their neighbours.

Synthesis turns products and trees of additions into carry-save logic that hardly uses an FPGA's carry chains. A row
in a module of its own stays one carry chain.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, ValueLike, signed
from amaranth.lib.wiring import In, Out

from hw.core.narrow import keep
from hw.core.number import Number, shape_of
from hw.core.unit import Unit, place
from sw_ref.arith.accumulate import Accumulator
from sw_ref.interval import Interval

__all__ = [
    "Add",
    "AnyOf",
    "CarryAdd",
    "GatedAdd",
    "GatedPair",
    "above",
    "add_kept",
    "add_multiple",
    "add_pairs",
    "add_with_carry",
    "any_of",
    "complemented",
    "ignored",
    "shifted",
    "spelled",
    "with_below",
]


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
        return f"{'sub' if self.subtract else 'add'}_gated_{spelled(self._formats)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # Yosys puts the operand whose name it has met first on the carry chain, and the chain takes x as it is; the
        # gate fits into the look-up table of the other
        gated = Signal.like(self.a, name="gated")
        m.d.comb += gated.eq(Mux(self.gate, self.a, 0))
        result = self.x - gated if self.subtract else self.x + gated
        m.d.comb += self.sum.eq(result[: len(self.sum)])
        return m


class GatedPair(Unit):
    """``sum = floor((gates[0] + 2 * gates[1]) * a / 2)``, or ``gates[0] - 2 * gates[1]``: one carry chain.

    The bit that is lost is ``gates[0] & a[0]``. A bit of the chain takes two of ``a`` and both gates.

    Parameters
    ----------
    a, sum : tuple of int and bool
        Width and signedness of the ports. ``sum`` must hold every result that occurs.
    subtract : bool
    """

    def __init__(self, *, a: tuple[int, bool], sum: tuple[int, bool], subtract: bool) -> None:
        self.subtract = subtract
        self._formats = (a, sum)
        super().__init__({"a": In(Shape(*a)), "gates": In(2), "sum": Out(Shape(*sum))})

    @property
    def name(self) -> str:
        return f"{'sub' if self.subtract else 'add'}_pair_{spelled(self._formats)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        half, whole = Signal.like(self.a, name="half"), Signal.like(self.a, name="whole")
        m.d.comb += [half.eq(Mux(self.gates[0], self.a >> 1, 0)), whole.eq(Mux(self.gates[1], self.a, 0))]
        result = half - whole if self.subtract else half + whole
        m.d.comb += self.sum.eq(result[: len(self.sum)])
        return m


class CarryAdd(Unit):
    """``sum = x + y + carry``: one carry chain.

    Parameters
    ----------
    x, y, sum : tuple of int and bool
        Width and signedness of the ports. ``sum`` must hold every result that occurs.
    """

    def __init__(self, *, x: tuple[int, bool], y: tuple[int, bool], sum: tuple[int, bool]) -> None:
        self._formats = (x, y, sum)
        super().__init__({"x": In(Shape(*x)), "y": In(Shape(*y)), "carry": In(1), "sum": Out(Shape(*sum))})

    @property
    def name(self) -> str:
        return f"add_carry_{spelled(self._formats)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.sum.eq(above(m, with_below(self.carry, self.x) + with_below(self.carry, self.y), self.sum))
        return m


class Add(Unit):
    """``sum = x + y``: one carry chain.

    Parameters
    ----------
    x, y, sum : tuple of int and bool
        Width and signedness of the ports. ``sum`` must hold every result that occurs.
    """

    def __init__(self, *, x: tuple[int, bool], y: tuple[int, bool], sum: tuple[int, bool]) -> None:
        self._formats = (x, y, sum)
        super().__init__({"x": In(Shape(*x)), "y": In(Shape(*y)), "sum": Out(Shape(*sum))})

    @property
    def name(self) -> str:
        return f"add_{spelled(self._formats)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.sum.eq((self.x + self.y)[: len(self.sum)])
        return m


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


def add_pairs(m: Module, name: str, terms: Sequence[Number]) -> list[Number]:
    """The sums of neighbours, each an `Add`, and the last term as it is if it has none."""
    sums = []
    for index in range(0, len(terms) - 1, 2):
        x, y = terms[index : index + 2]
        interval = x.interval + y.interval
        shapes = {"x": x.value.shape(), "y": y.value.shape(), "sum": shape_of(interval)}
        adder = Add(**{port: (shape.width, shape.signed) for port, shape in shapes.items()})
        place(m, f"{name}_{index // 2}", adder)
        m.d.comb += [adder.x.eq(x.value), adder.y.eq(y.value)]
        sums.append(Number(adder.sum, interval))
    return sums + list(terms[2 * len(sums) :])


def add_with_carry(m: Module, name: str, x: Number, y: Number, carry: Value, *, sum: Interval | None = None) -> Number:
    """``x + y + carry`` as a `CarryAdd`; ``sum`` is what it can be, where that is less than the operands tell."""
    interval = sum or x.interval + y.interval + Interval(0, 1)
    x_shape, y_shape, sum_shape = x.value.shape(), y.value.shape(), shape_of(interval)
    adder = CarryAdd(
        x=(x_shape.width, x_shape.signed), y=(y_shape.width, y_shape.signed), sum=(sum_shape.width, sum_shape.signed)
    )
    place(m, name, adder)
    m.d.comb += [adder.x.eq(x.value), adder.y.eq(y.value), adder.carry.eq(carry)]
    return Number(adder.sum, interval)


def add_kept(m: Module, name: str, x: Number, y: Number, carry: Value, accumulator: Accumulator) -> Number:
    """What ``accumulator`` keeps of ``x + y + carry``."""
    if accumulator.overflow == "saturate":
        return keep(add_with_carry(m, name, x, y, carry), accumulator)
    # no bit above those that are kept has a say in them, so the chain ends there
    return add_with_carry(m, name, x, y, carry, sum=accumulator.interval)


def add_multiple(m: Module, x: Value, multiple: Value, negative: Value, like: Value) -> Value:
    """``x + multiple``, or ``x - multiple`` where ``negative``, as wide as ``like``: one carry chain."""
    # As in GatedAdd, the carry chain takes x as it is, and the look-up tables choose the multiple. For that, Yosys must
    # have met its name after that of x, and find it as wide as x, with each bit computed.
    bits = max(len(x), len(multiple) + (not multiple.shape().signed))
    added = Signal(signed(min(bits, len(like))), name="multiple")
    m.d.comb += added.eq(complemented(m, "chosen", multiple, negative, len(added)))
    # the 1 that a complement lacks comes as a carry, out of a bit below the lowest
    return above(m, with_below(negative, x) + with_below(negative, added), like)


def complemented(m: Module, name: str, value: Value, negative: Value, bits: int) -> Value:
    """``value``, or its complement where ``negative``, modulo ``2**bits``; 1 less than the negative of ``value``."""
    shape = value.shape()
    kept = Signal(Shape(min(shape.width, bits), shape.signed), name=name)
    m.d.comb += kept.eq(value[: len(kept)])
    beyond = kept[-1] if shape.signed else Const(0, 1)
    extended = Cat(kept, beyond.replicate(bits - len(kept)))
    return (extended ^ negative.replicate(bits)).as_signed()


def with_below(bit: ValueLike, value: Value) -> Value:
    """``value`` with one more bit below its lowest."""
    joined = Cat(bit, value)
    return joined.as_signed() if value.shape().signed else joined


def above(m: Module, total: Value, like: Value, *, name: str = "whole") -> Value:
    """``total``, called ``name`` in the Verilog, without its lowest bit, as wide as ``like``."""
    whole = Signal(1 + len(like), name=name)
    m.d.comb += whole.eq(total)
    ignored(m, f"below_{name}", whole[0])
    return whole[1:]


def ignored(m: Module, name: str, bits: Value) -> None:
    """Tell linters that nobody is to use ``bits``: they stay in the Verilog, on a wire whose name says so."""
    if len(bits):
        unused = Signal(len(bits), name=f"unused_{name}", attrs={"keep": 1})
        m.d.comb += unused.eq(bits)


def spelled(formats: Sequence[tuple[int, bool]]) -> str:
    """``i8_u4``: formats as part of a module's name."""
    return "_".join(f"{'i' if signed else 'u'}{bits}" for bits, signed in formats)


def shifted(interval: Interval, places: int) -> Interval:
    """``floor(n / 2**places)`` of all members n."""
    return Interval(interval.lo >> places, interval.hi >> places)
