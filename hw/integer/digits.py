"""Rows that add multiples of a number by signed digits: products without a multiplier."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Module, Mux, Shape, Value
from amaranth.lib.wiring import In, Out

from hw.core.number import Number, shape_of, wire
from hw.core.rows import add_multiple, complemented, shifted, spelled
from hw.core.stages import Step, run_steps
from hw.core.unit import Unit, place
from sw_ref.interval import Interval

__all__ = ["Digit", "DigitAdd", "Shift", "add_digits", "digit_steps"]

# of a carry chain that runs along with that of the row before
_ROW_DELAY = 1


@dataclass(frozen=True, kw_only=True)
class Digit:
    """A signed digit: 0, or plus or minus a power of two, as bits that choose a multiple of ``a``.

    From the low bit: one (``a`` counts), negative, and if there is a far shift, far (``a << far`` counts, and one is
    clear); then one bit for each near shift, which moves ``a`` in front of all that. A negative digit adds the
    complement, and the missing 1 by a carry.

    Parameters
    ----------
    far : int
        Places of the far shift; 0 if there is none.
    near : tuple of int
        Places of the near shifts.
    """

    far: int = 0
    near: tuple[int, ...] = ()

    @property
    def row_bits(self) -> int:
        """Width of what a row of adders sees of a digit."""
        return 3 if self.far else 2

    @property
    def bits(self) -> int:
        return self.row_bits + len(self.near)

    def moved(self, m: Module, name: str, a: Number, digit: Value) -> Number:
        """``a`` after its near shifts."""
        if not self.near:
            return a
        interval = a.interval * Interval(1, 1 << sum(self.near))
        shape = a.value.shape()
        shift = Shift(a=(shape.width, shape.signed), moved=shape_of(interval).width, places=self.near)
        place(m, name, shift)
        m.d.comb += [shift.a.eq(a.value), shift.by.eq(digit[self.row_bits :])]
        return Number(shift.moved, interval)

    def multiple(self, m: Module, name: str, a: Number, digit: Value) -> Number:
        """``digit * a`` of a moved ``a``, and 1 less where the digit is negative, which takes no carry."""
        positive = a.interval * Interval(0, 1 << self.far)
        interval = positive | -positive - 1
        chosen = _chosen(a.value, digit, self.far)
        return Number(complemented(m, name, chosen, digit[1], interval.bits), interval)

    def row(self, x: Number, a: Number, sum: Shape) -> "DigitAdd":
        """What adds a multiple of a moved ``a`` to ``x``."""
        shapes = (x.value.shape(), a.value.shape(), sum)
        return DigitAdd(
            **{port: (s.width, s.signed) for port, s in zip(("x", "a", "sum"), shapes, strict=True)}, far=self.far
        )

    def multiples(self, a: Interval) -> Interval:
        """All multiples of a moved ``a``."""
        return a * Interval(-1 << self.far, 1 << self.far)


class Shift(Unit):
    """``moved = a << (sum of the places whose bit of by is set)``: a look-up table or two a bit.

    Parameters
    ----------
    a : tuple of int and bool
        Width and signedness of ``a``; ``moved`` has the same sign.
    moved : int
        Width that holds every result.
    places : tuple of int
    """

    def __init__(self, *, a: tuple[int, bool], moved: int, places: tuple[int, ...]) -> None:
        self.places = places
        super().__init__({"a": In(Shape(*a)), "by": In(len(places)), "moved": Out(Shape(moved, a[1]))})

    @property
    def name(self) -> str:
        shape = self.a.shape()
        places = "_".join(map(str, self.places))
        return f"shift_{spelled([(shape.width, shape.signed)])}_by_{places}_to_{len(self.moved)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        moved = self.a
        for bit, places in zip(self.by, self.places, strict=True):
            moved = Mux(bit, moved << places, moved)
        m.d.comb += self.moved.eq(moved)
        return m


class DigitAdd(Unit):
    """``sum = x + digit * a`` for a signed digit, without near shifts: one carry chain.

    Parameters
    ----------
    x, a, sum : tuple of int and bool
        Width and signedness of the ports. ``sum`` is modulo its width.
    far : int
        As in `Digit`.
    """

    def __init__(self, *, x: tuple[int, bool], a: tuple[int, bool], sum: tuple[int, bool], far: int) -> None:
        self.far = far
        self._formats = (x, a, sum)
        digit_bits = Digit(far=far).row_bits
        super().__init__({"x": In(Shape(*x)), "a": In(Shape(*a)), "digit": In(digit_bits), "sum": Out(Shape(*sum))})

    @property
    def name(self) -> str:
        return f"add_digit{f'_far{self.far}' if self.far else ''}_{spelled(self._formats)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        chosen = _chosen(self.a, self.digit, self.far)
        m.d.comb += self.sum.eq(add_multiple(m, self.x, chosen, self.digit[1], self.sum))
        return m


def add_digits(
    m: Module,
    name: str,
    running: Number | None,
    multiplicand: Number,
    digits: Sequence[Value],
    *,
    form: Digit,
    places: int,
    total: Interval,
) -> Number:
    """A sum with a product, as a chain of rows: one for each signed digit of the multiplier.

    Parameters
    ----------
    running : Number or None
        What the product is added to. Without, the lowest row takes no adder, but leaves its carry to whoever adds
        next: the product is 1 more where the lowest digit is negative.
    digits : sequence of Value
        Lowest first, each of the form ``form``; neighbours are ``places`` bits apart.
    total : Interval
        What the sum can be; bits above those that it takes are dropped.
    """
    at = SimpleNamespace(**{f"{name}_a": multiplicand, f"{name}_digits": Cat(digits)})
    if running is not None:
        at.sum = running
    run_steps(m, at, digit_steps(name, count=len(digits), form=form, places=places, total=total), registers=0)
    return at.sum


def digit_steps(name: str, *, count: int, form: Digit, places: int, total: Interval) -> list[Step]:
    """Steps that add to Number ``at.sum`` a product, as `add_digits` does: one for each digit.

    The multiplicand is Number ``at.<name>_a``, and Value ``at.<name>_digits`` all digits. If there is no
    ``at.sum`` yet, the first step leaves the carry that the product lacks as ``at.carry``.
    """
    return [
        Step(
            _ROW_DELAY, partial(_add_digit, name=name, index=index, count=count, form=form, places=places, total=total)
        )
        for index in range(count)
    ]


def _add_digit(
    m: Module, at: SimpleNamespace, *, name: str, index: int, count: int, form: Digit, places: int, total: Interval
) -> None:
    """Adds the next digit; the bits of the sum below it are done."""
    digits = getattr(at, f"{name}_digits")
    digit = digits[: form.bits]
    a = form.moved(m, f"{name}_moved_{index}", getattr(at, f"{name}_a"), digit)
    last, low = index == count - 1, places * index
    if last:
        delattr(at, f"{name}_a")
        delattr(at, f"{name}_digits")
    else:
        setattr(at, f"{name}_digits", digits[form.bits :])
    if not hasattr(at, "sum"):
        at.sum = wire(m, f"{name}_row_0", form.multiple(m, f"{name}_chosen", a, digit))
        at.carry = digit[1]
        return
    done = at.sum.value[:low]
    x = Number(at.sum.value.shift_right(low), shifted(at.sum.interval, low))
    interval = shifted(total, low) if last else x.interval + form.multiples(a.interval)
    row = form.row(x, a, shape_of(interval))
    place(m, f"{name}_row_{index}", row)
    m.d.comb += [row.x.eq(x.value), row.a.eq(a.value), row.digit.eq(digit[: form.row_bits])]
    joined = Cat(done, row.sum)
    whole = total if last else Interval(interval.lo << low, (interval.hi + 1 << low) - 1)
    at.sum = Number(joined.as_signed() if interval.signed else joined, whole)


def _chosen(a: Value, digit: Value, far: int) -> Value:
    """What a digit chooses of a moved ``a``, its sign apart."""
    chosen = Mux(digit[0], a, 0)
    return chosen | Mux(digit[2], a << far, 0) if far else chosen
