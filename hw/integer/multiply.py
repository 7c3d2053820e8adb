"""Multipliers: rows of adders on carry chains, or a DSP block, in any number of cycles."""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Value
from amaranth.lib.wiring import In, Out

from hw.core.number import Number, assign, shape_of, wire
from hw.core.rows import GatedAdd, GatedPair, add_multiple, shifted, spelled
from hw.core.stages import Step, check_pipeline, run_steps
from hw.core.unit import Unit, place
from sw_ref.interval import Interval

__all__ = ["BoothAdd", "Multiply", "check_dsp", "merged_steps", "multiple", "product_steps", "row_widths"]


class Multiply(Unit):
    """``product = a * b``, exact.

    Parameters
    ----------
    a, b : tuple of int and bool
        Width and signedness.
    dsp : {"none", "auto"}
        ``none``: rows of adders, one for each two bits of the narrower operand (Booth, radix 4). ``auto``: left to the
        synthesis tool, as ``*``.
    pipeline : int
        Register stages, the last of them at the output, and so the latency.
    """

    def __init__(self, *, a: tuple[int, bool], b: tuple[int, bool], dsp: str, pipeline: int) -> None:
        check_dsp(dsp)
        check_pipeline(pipeline)
        self.dsp = dsp
        self.latency = pipeline
        self._formats = (a, b)
        product = shape_of(Interval.of_bits(*a) * Interval.of_bits(*b))
        super().__init__({"a": In(Shape(*a)), "b": In(Shape(*b)), "product": Out(product)})

    @property
    def name(self) -> str:
        return f"multiply_{spelled(self._formats)}{'_dsp' if self.dsp == 'auto' else ''}_p{self.latency}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # the fewer bits the multiplier has, the fewer rows there are
        narrow, wide = sorted((Number(self.a), Number(self.b)), key=lambda number: len(number.value))
        at = SimpleNamespace(multiplicand=wide, multiplier=narrow)
        run_steps(m, at, product_steps(narrow.interval, dsp=self.dsp), registers=self.latency)
        m.d.comb += assign(self.product, at.product)
        return m


class BoothAdd(Unit):
    """``sum = x + (below + low - 2 * high) * a``: one carry chain.

    One digit of a multiplier in radix 4, straight from its bits (Booth 1951, MacSorley 1961). On LUT6 a bit of the sum
    takes one look-up table: a bit of ``x``, two of ``a``, and the digit.

    Parameters
    ----------
    x, a, sum : tuple of int and bool
        Width and signedness of the ports. ``sum`` must hold every result that occurs. ``digit`` is, from the low bit,
        below, low, high.
    """

    def __init__(self, *, x: tuple[int, bool], a: tuple[int, bool], sum: tuple[int, bool]) -> None:
        self._formats = (x, a, sum)
        super().__init__({"x": In(Shape(*x)), "a": In(Shape(*a)), "digit": In(3), "sum": Out(Shape(*sum))})

    @property
    def name(self) -> str:
        return f"add_booth_{spelled(self._formats)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        below, low, high = self.digit
        chosen = Mux(low ^ below, self.a, Mux((high ^ low) & (high ^ below), self.a << 1, 0))
        m.d.comb += self.sum.eq(add_multiple(m, self.x, chosen, high, self.sum))
        return m


def check_dsp(dsp: str) -> None:
    """Raise unless ``dsp`` is a way to multiply."""
    if dsp not in ("none", "auto"):
        raise ValueError(f"DSP must be none or auto, not {dsp!r}")


def merged_steps(
    multiplicand: Interval, multiplier: Interval, *, lanes: int, lut: int, name: str = "row"
) -> list[Step]:
    """Steps that turn the Numbers of `product_steps` in each of ``at.parts`` into the sum of their products.

    All rows are one chain: those of the lowest digits of all lanes come first, so that what each row adds to is hardly
    longer than a multiple, and no product is added as a whole. The sum is ``at.total``, and rows are called
    ``<name>_<lane>_<lowest bit>``.

    Parameters
    ----------
    multiplicand, multiplier : Interval
        Those of each lane.
    lanes : int
    lut : {4, 6}
        As for `product_steps`.
    """
    return [
        Step(1 if index else _first_delay(lut), partial(_merged_row, lane=lane, name=name, row=row, total=total))
        for index, (lane, row, total) in enumerate(_merged_rows(multiplicand, multiplier, lanes=lanes, lut=lut))
    ]


def row_widths(multiplicand: Interval, multiplier: Interval, *, lanes: int, lut: int) -> list[tuple[int, int]]:
    """For each row of `merged_steps`, the bits of what it adds to, and of its sum; one lane is `product_steps`."""
    done, widths = Interval(0, 0), []
    for _lane, row, total in _merged_rows(multiplicand, multiplier, lanes=lanes, lut=lut):
        low = 1 if row.kind == "pair" else row.low
        widths.append((shifted(done, low).bits, shifted(total, low).bits))
        done = total
    return widths


def product_steps(multiplier: Interval, *, dsp: str, lut: int = 6, name: str = "row") -> list[Step]:
    """Steps that turn Numbers ``at.multiplicand`` and ``at.multiplier`` into their product, ``at.product``.

    Each row of adders adds a multiple to the bits of the product that are not done yet. Rows are called
    ``<name>_<lowest bit>``.

    Parameters
    ----------
    multiplier : Interval
        That of ``at.multiplier``.
    dsp : {"none", "auto"}
        As for `Multiply`.
    lut : {4, 6}
        Inputs of the look-up tables in front of a carry chain. 6: a row for each two bits of the multiplier, a
        `BoothAdd`, and a `GatedAdd` for the top bit if it is not a sign. 4: a `GatedPair` for the lowest two bits and a
        `GatedAdd` for each other one, whose gates fit into a carry cell of four inputs; what a digit chooses would not.
    """
    if dsp == "auto":
        return [Step(4, _multiply)]
    rows = _rows(multiplier, lut)
    first = _first_delay(lut)
    return [Step(first if index == 0 else 1, partial(_row, name=name, row=row)) for index, row in enumerate(rows)]


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A row of a product.

    Parameters
    ----------
    kind : {"digit", "pair", "bit"}
        `BoothAdd`, `GatedPair`, `GatedAdd`.
    low : int
        Lowest bit of the multiplier that it reads, but for that below a digit.
    covered : Interval
        Holds the number that the bits read so far stand for.
    negative : bool
        Whether the highest of them counts negative by itself; in a digit it always does.
    """

    kind: str
    low: int
    covered: Interval
    negative: bool = False


def _first_delay(lut: int) -> int:
    # the first row waits for its carry chain; those of the others run along with it, of one bit no faster than of two
    return 3 if lut == 6 else 2


def _rows(multiplier: Interval, lut: int, *, paired: bool = True) -> list[_Row]:
    if lut == 6 and multiplier.bits > 1:
        return _booth_rows(multiplier)
    return _binary_rows(multiplier, paired=paired)


def _merged_rows(
    multiplicand: Interval, multiplier: Interval, *, lanes: int, lut: int
) -> list[tuple[int, _Row, Interval]]:
    """All rows of all lanes, each with its lane, in the order in which they add, and what holds the sum so far."""
    # only the first row of all has nothing to add to, as it must be for a pair
    rows = [(lane, row) for lane in range(lanes) for row in _rows(multiplier, lut, paired=lane == 0)]
    parts, found = [Interval(0, 0)] * lanes, []
    for lane, row in sorted(rows, key=lambda each: each[1].low):
        parts[lane] = multiplicand * row.covered
        found.append((lane, row, sum(parts[1:], parts[0])))
    return found


def _booth_rows(multiplier: Interval) -> list[_Row]:
    rows, last = [], False
    for low in range(0, multiplier.bits, 2):
        last = low + 2 >= multiplier.bits and (multiplier.signed or multiplier.bits % 2 == 1)
        covered = multiplier if last else Interval.of_bits(low + 2, signed=True)
        rows.append(_Row(kind="digit", low=low, covered=covered))
    if not last:
        # the highest digit has counted the top bit as negative, and is made up for
        rows.append(_Row(kind="bit", low=multiplier.bits, covered=multiplier))
    return rows


def _binary_rows(multiplier: Interval, *, paired: bool = True) -> list[_Row]:
    bits = multiplier.bits
    first = min(2, bits) if paired else 1
    return [
        _Row(
            kind="pair" if high == first == 2 else "bit",
            low=0 if high == first else high - 1,
            covered=multiplier if high == bits else Interval.of_bits(high, signed=False),
            negative=high == bits and multiplier.signed,
        )
        for high in range(first, bits + 1)
    ]


def multiple(m: Module, name: str, a: Number, digit: Value, interval: Interval) -> Number:
    """``a`` times a digit, as a `BoothAdd` has it, which is within ``interval``."""
    sum_ = shape_of(interval)
    unit = place(m, name, BoothAdd(x=(1, False), a=_format(a.value.shape()), sum=_format(sum_)))
    m.d.comb += [unit.x.eq(0), unit.a.eq(a.value), unit.digit.eq(digit)]
    return Number(unit.sum, interval)


def _multiply(m: Module, at: SimpleNamespace) -> None:
    at.product = wire(m, "product", at.multiplicand * at.multiplier)


def _row(m: Module, at: SimpleNamespace, *, name: str, row: _Row) -> None:
    """Adds what the next bits of the multiplier say; the bits of the product below ``row.low`` are done."""
    done = at.product if row.low else None
    at.product = _added(m, at, f"{name}_{row.low}", row, done, at.multiplicand.interval * row.covered)


def _merged_row(m: Module, at: SimpleNamespace, *, lane: int, name: str, row: _Row, total: Interval) -> None:
    """Adds what the next bits of a lane's multiplier say to the sum of all lanes so far."""
    at.total = _added(m, at.parts[lane], f"{name}_{lane}_{row.low}", row, getattr(at, "total", None), total)


def _added(m: Module, at: SimpleNamespace, name: str, row: _Row, done: Number | None, total: Interval) -> Number:
    """``done``, if there is any, and what a row adds to it, which is within ``total``."""
    a, low = at.multiplicand, row.low
    if not low:
        multiplier = at.multiplier
        # as digits are read: one begins with the bit below, and the highest may end beyond the number
        beyond = multiplier.value[-1] if multiplier.interval.signed else Const(0, 0)
        at.unread = Cat(Const(0, 1), multiplier.value, beyond) if row.kind == "digit" else multiplier.value
        del at.multiplier
    if row.kind == "pair":
        product = _pair(m, name, a, at.unread[:2], total, row.negative)
        at.unread = at.unread[2:]
        return product
    if row.kind == "bit" and done is None and not row.negative:
        gate, at.unread = at.unread[0], at.unread[1:]
        return wire(m, name, Number(Mux(gate, a.value, 0), total))
    if done is None:
        done = Number.constant(0)
    x = Number(done.value.shift_right(low), shifted(done.interval, low))
    sum_ = shape_of(shifted(total, low))
    # the last sum may be a bit shorter than what is added
    added = a.value[: sum_.width] if sum_.width < len(a.value) else a.value
    formats = {"x": _format(x.value.shape()), "a": _format(added.shape()), "sum": _format(sum_)}
    if row.kind == "digit":
        unit = place(m, name, BoothAdd(**formats))
        m.d.comb += unit.digit.eq(at.unread[:3])
        at.unread = at.unread[2:]
    else:
        unit = place(m, name, GatedAdd(**formats, subtract=row.negative))
        m.d.comb += unit.gate.eq(at.unread[0])
        at.unread = at.unread[1:]
    m.d.comb += [unit.x.eq(x.value), unit.a.eq(added)]
    return _joined(done.value[:low], unit.sum, total)


def _pair(m: Module, name: str, a: Number, gates: Value, product: Interval, negative: bool) -> Number:
    """The product by the lowest two bits of a multiplier."""
    unit = GatedPair(a=_format(a.value.shape()), sum=_format(shape_of(shifted(product, 1))), subtract=negative)
    place(m, name, unit)
    m.d.comb += [unit.a.eq(a.value), unit.gates.eq(gates)]
    return _joined(a.value[:1] & gates[0], unit.sum, product)


def _joined(low: Value, high: Value, interval: Interval) -> Number:
    joined = Cat(low, high) if len(low) else high
    return Number(joined.as_signed() if high.shape().signed else joined, interval)


def _format(shape: Shape) -> tuple[int, bool]:
    return shape.width, shape.signed
