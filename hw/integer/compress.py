"""Sums of many words: counters of the bits of a weight, and carry chains that add three words at once."""

from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.core.number import Number, shape_of
from hw.core.rows import Add, spelled
from hw.core.stages import Step
from hw.core.unit import Unit, place
from sw_ref.interval import Interval

__all__ = ["ADD_DELAY", "AddThree", "Count", "add_threes", "compress_steps", "heap_heights", "plan_levels"]

ADD_DELAY = 3
"""That of a carry chain behind look-up tables, as a `Step` counts it."""

# By the inputs of look-up tables: bits that a counter takes at most, and words that the last addition takes.
_COUNTED = {4: 3, 6: 6}
_ADDED = {4: 2, 6: 3}


class AddThree(Unit):
    """``sum = a + b + c``, modulo ``2**len(sum)``: one carry chain, where one can take three words.

    Xilinx families have an adder of look-up tables with two outputs take this module's place, see `fpga.map.three`.

    Parameters
    ----------
    a, b, c, sum : tuple of int and bool
        Width and signedness of the ports.
    """

    def __init__(self, *, a: tuple[int, bool], b: tuple[int, bool], c: tuple[int, bool], sum: tuple[int, bool]) -> None:
        self._formats = (a, b, c, sum)
        words = {name: In(Shape(*word)) for name, word in zip("abc", (a, b, c), strict=True)}
        super().__init__({**words, "sum": Out(Shape(*sum))})

    @property
    def name(self) -> str:
        return f"add_three_{spelled(self._formats)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.sum.eq((self.a + self.b + self.c)[: len(self.sum)])
        return m


class Count(Unit):
    """``count = plus + bits[0] + bits[1] + ...``, modulo ``2**width``: a function of all bits for each bit of it.

    Parameters
    ----------
    bits : int
        How many there are, at least 1.
    plus : int
    width : int
        Bits of the count, no more than it can have.
    """

    def __init__(self, *, bits: int, plus: int, width: int) -> None:
        self._plus = plus
        super().__init__({"bits": In(bits), "count": Out(width)})

    @property
    def name(self) -> str:
        plus = f"_plus_{self._plus}" if self._plus else ""
        return f"count_{len(self.bits)}{plus}_u{len(self.count)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        column = [*self.bits, *[Const(1, 1)] * self._plus]
        # full adders spelled out, since synthesis would put ``+`` on a carry chain
        for weight in range(len(self.count)):
            above = []
            while len(column) > 1:
                a, b, c = (*column[:3], Const(0, 1))[:3]
                column = [a ^ b ^ c, *column[3:]]
                above.append((a & b) | (c & (a | b)))
            m.d.comb += self.count[weight].eq(column[0])
            column = above or [Const(0, 1)]
        return m


def add_threes(m: Module, name: str, terms: Sequence[Number]) -> list[Number]:
    """The sums of each three neighbours, an `AddThree`; and of the last two, an `Add`, or the last as it is."""
    sums = []
    for index in range(0, len(terms), 3):
        group = terms[index : index + 3]
        if len(group) == 1:
            sums.append(group[0])
            continue
        interval = sum((term.interval for term in group[1:]), group[0].interval)
        value = _added(m, f"{name}_{index // 3}", [term.value for term in group], shape_of(interval))
        sums.append(Number(value, interval))
    return sums


def compress_steps(words: Sequence[tuple[Interval, int]], total: Interval, *, lut: int) -> list[Step]:
    """Steps that turn Numbers ``at.words`` into their weighted sum, ``at.total``.

    The bits of each weight are counted by look-up tables, level by level, until one addition can take what is left.
    Signs are not extended: ``-s * 2**n`` is ``(1 - s) * 2**n - 2**n``, and all that is constant of this becomes one
    number (Baugh and Wooley 1973). A level holds as few counters as get it down to the next height of its kind
    (Dadda 1965).

    Parameters
    ----------
    words : sequence of Interval and int
        Of each word its interval, and the weight of its lowest bit, as an exponent of 2.
    total : Interval
        Holds the sum.
    lut : {4, 6}
        Inputs of look-up tables. 6: a counter takes six bits or three, and the last addition three words, see
        `AddThree`. 4: three bits, and two words.
    """
    width = total.bits
    levels = plan_levels(heap_heights(words, width), lut)
    return [
        Step(0, partial(_heap, words=words, width=width)),
        *(Step(1, partial(_count, name=f"level_{index}", level=level)) for index, level in enumerate(levels)),
        Step(ADD_DELAY, partial(_last, total=total)),
    ]


def heap_heights(words: Sequence[tuple[Interval, int]], width: int) -> list[int]:
    """How many bits of each weight below ``width`` there are, that of the constant among them."""
    heights = [constant >> weight & 1 for constant in [_constant(words)] for weight in range(width)]
    for interval, low in words:
        for weight in range(low, min(width, low + interval.bits)):
            heights[weight] += 1
    return heights


def plan_levels(heights: Sequence[int], lut: int) -> list[list[list[int]]]:
    """Of each level, and of each weight in it, how many bits each counter takes."""
    levels = []
    while max(heights) > _ADDED[lut]:
        goal, level, after = _next_height(max(heights), lut), [], [0] * (len(heights) + 2)
        for weight, left in enumerate(heights):
            counters: list[int] = []
            while (excess := left + len(counters) + after[weight] - goal) > 0 and left > 1:
                wide = lut == 6 and excess > 2 and left >= 6
                counters.append(6 if wide else min(left, 3 if excess > 1 else 2))
                left -= counters[-1]
                for carry in range(1, counters[-1].bit_length()):
                    after[weight + carry] += 1
            after[weight] += left + len(counters)
            level.append(counters)
        heights = after[: len(heights)]
        levels.append(level)
    return levels


def _next_height(height: int, lut: int) -> int:
    """Where a level of counters leads from a height: six bits become three, and three become two."""
    reached, higher = 0, _ADDED[lut]
    while higher < height:
        reached, higher = higher, 2 * higher if lut == 6 else 3 * higher // 2
    return reached


def _constant(words: Sequence[tuple[Interval, int]]) -> int:
    return -sum(1 << low + interval.bits - 1 for interval, low in words if interval.signed)


def _heap(_m: Module, at: SimpleNamespace, *, words: Sequence[tuple[Interval, int]], width: int) -> None:
    constant = _constant(words)
    at.columns = [[Const(1, 1)] if constant >> weight & 1 else [] for weight in range(width)]
    for number, (interval, low) in zip(at.words, words, strict=True):
        bits = list(number.value)
        if interval.signed:
            bits[-1] = ~bits[-1]
        for column, bit in zip(at.columns[low:], bits, strict=False):
            column.append(bit)
    del at.words


def _count(m: Module, at: SimpleNamespace, *, name: str, level: Sequence[Sequence[int]]) -> None:
    after: list[list[Value]] = [[] for _ in at.columns]
    for weight, (column, counters) in enumerate(zip(at.columns, level, strict=True)):
        for index, size in enumerate(counters):
            taken, column = column[:size], column[size:]
            bits = [bit for bit in taken if not isinstance(bit, Const)]
            width = min(size.bit_length(), len(at.columns) - weight)
            counter = place(m, f"{name}_{weight}_{index}", Count(bits=len(bits), plus=size - len(bits), width=width))
            m.d.comb += counter.bits.eq(Cat(bits))
            for above, bit in zip(after[weight:], counter.count, strict=False):
                above.append(bit)
        after[weight] += column
    at.columns = after


def _last(m: Module, at: SimpleNamespace, *, total: Interval) -> None:
    """One addition of all rows of bits that are left, above the weights of which there is only one."""
    columns = at.columns
    low = next((weight for weight, column in enumerate(columns) if len(column) > 1), len(columns))
    done = [column[0] if column else Const(0, 1) for column in columns[:low]]
    rest = [_row(columns[low:], row) for row in range(max(map(len, columns)))] if low < len(columns) else []
    if rest:
        done.append(_added(m, "last", rest, Shape(len(columns) - low)))
    joined = Signal(shape_of(total), name="joined")
    m.d.comb += joined.eq(Cat(done))
    at.total = Number(joined, total)
    del at.columns


def _row(columns: Sequence[Sequence[Value]], row: int) -> Value:
    """A bit of each column, as one word."""
    top = max(weight for weight, column in enumerate(columns) if len(column) > row)
    return Cat(column[row] if len(column) > row else Const(0, 1) for column in columns[: top + 1])


def _added(m: Module, name: str, words: Sequence[Value], shape: Shape) -> Value:
    """The sum of two or three words, as wide as ``shape``."""
    kept = [word[: shape.width] if len(word) > shape.width else word for word in words]
    # what stays of a signed word counts modulo 2**width
    formats = [(len(word), word.shape().signed) for word in kept]
    if len(words) == 2:
        unit, ports = Add(x=formats[0], y=formats[1], sum=(shape.width, shape.signed)), ("x", "y")
    else:
        ports = ("a", "b", "c")
        unit = AddThree(**dict(zip(ports, formats, strict=True)), sum=(shape.width, shape.signed))
    place(m, name, unit)
    m.d.comb += [getattr(unit, port).eq(word) for port, word in zip(ports, kept, strict=True)]
    return unit.sum
