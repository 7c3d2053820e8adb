"""Multipliers for the edges of an array: Booth rows on carry chains, or a DSP block, in any number of cycles."""

from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Shape
from amaranth.lib.wiring import In, Out

from hw.number import Number, assign, shape_of, wire
from hw.rows import GatedAdd, add_multiple, spelled
from hw.stages import Step, check_pipeline, run_steps
from hw.unit import Unit, place
from sw_ref.interval import Interval

__all__ = ["BoothAdd", "Multiply", "check_dsp", "product_steps"]


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


def product_steps(multiplier: Interval, *, dsp: str, name: str = "row") -> list[Step]:
    """Steps that turn Numbers ``at.multiplicand`` and ``at.multiplier`` into their product, ``at.product``.

    ``multiplier`` is the interval of the latter. Rows of adders are called ``<name>_<lowest bit>``.
    """
    if dsp == "auto":
        return [Step(4, _multiply)]
    rows = []
    for low in range(0, multiplier.bits, 2):
        last = low + 2 >= multiplier.bits and (multiplier.signed or multiplier.bits % 2 == 1)
        covered = multiplier if last else Interval.of_bits(low + 2, signed=True)
        rows.append(partial(_row, name=name, low=low, covered=covered, is_digit=True))
    if not last:
        # the highest digit has counted the top bit as negative
        rows.append(partial(_row, name=name, low=multiplier.bits, covered=multiplier, is_digit=False))
    # the first row waits for its carry chain; those of the others run along with it
    return [Step(3 if index == 0 else 1, row) for index, row in enumerate(rows)]


def _multiply(m: Module, at: SimpleNamespace) -> None:
    at.product = wire(m, "product", at.multiplicand * at.multiplier)


def _row(m: Module, at: SimpleNamespace, *, name: str, low: int, covered: Interval, is_digit: bool) -> None:
    """Adds what the multiplier's bits from ``low`` on say: the next digit, or what makes up for a negative top bit.

    ``covered`` holds the number that the digits so far stand for. The bits of the product below ``low`` are done.
    """
    a = at.multiplicand
    product = a.interval * covered
    done = at.product if low else Number.constant(0)
    x = Number(done.value.shift_right(low), _from_bit(done.interval, low))
    sum_ = shape_of(_from_bit(product, low))
    # the last sum may be a bit shorter than what is added
    added = a.value[: sum_.width] if sum_.width < len(a.value) else a.value
    shapes = {"x": x.value.shape(), "a": added.shape(), "sum": sum_}
    formats = {port: (shape.width, shape.signed) for port, shape in shapes.items()}
    row = place(m, f"{name}_{low}", BoothAdd(**formats) if is_digit else GatedAdd(**formats, subtract=False))
    m.d.comb += [row.x.eq(x.value), row.a.eq(added)]
    if not low:
        multiplier = at.multiplier
        # as the rows read it: a digit begins with the bit below, and the highest may end beyond the number
        beyond = multiplier.value[-1] if multiplier.interval.signed else Const(0, 0)
        at.unread = Cat(Const(0, 1), multiplier.value, beyond)
        del at.multiplier
    m.d.comb += (row.digit if is_digit else row.gate).eq(at.unread[: 3 if is_digit else 1])
    at.unread = at.unread[2:]
    joined = Cat(done.value[:low], row.sum) if low else row.sum
    at.product = Number(joined.as_signed() if row.sum.shape().signed else joined, product)


def _from_bit(interval: Interval, low: int) -> Interval:
    return Interval(interval.lo >> low, interval.hi >> low)
