"""Shifts by an amount that only the circuit knows, as multiplexers of four: one LUT6 a bit."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.digits import Shift
from hw.unit import Unit, place

__all__ = ["ShiftRight", "shift_left", "shift_right"]


class ShiftRight(Unit):
    """``moved = a >> (sum of the places whose bit of by is set)``: a look-up table or two a bit.

    Parameters
    ----------
    bits : int
        Width of ``a`` and of ``moved``.
    places : tuple of int
    """

    def __init__(self, *, bits: int, places: tuple[int, ...]) -> None:
        self.places = places
        super().__init__({"a": In(bits), "by": In(len(places)), "moved": Out(bits)})

    @property
    def name(self) -> str:
        return f"shift_right_u{len(self.a)}_by_{'_'.join(map(str, self.places))}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        moved: Value = self.a
        for bit, places in zip(self.by, self.places, strict=True):
            further = Signal(len(self.a), name=f"by_{places}")
            m.d.comb += further.eq(Mux(bit, moved[places:], moved))
            moved = further
        m.d.comb += self.moved.eq(moved)
        return m


def shift_left(m: Module, name: str, a: Value, by: Value) -> Value:
    """``a << by``, exact."""
    for low, places in _digits(len(by)):
        shift = Shift(a=(len(a), False), moved=len(a) + sum(places), places=places)
        a = _placed(m, f"{name}_{low}", shift, a, by[low : low + len(places)])
    return a


def shift_right(m: Module, name: str, a: Value, by: Value) -> Value:
    """``a >> by``, as wide as ``a``."""
    for low, places in _digits(len(by)):
        shift = ShiftRight(bits=len(a), places=places)
        a = _placed(m, f"{name}_{low}", shift, a, by[low : low + len(places)])
    return a


def _digits(bits: int) -> list[tuple[int, tuple[int, ...]]]:
    """How an amount of ``bits`` bits is cut: lowest bit and places of each multiplexer.

    They are of four, but for the first if the bits are odd in number: words are short then.
    """
    bounds = [(max(high - 2, 0), high) for high in range(2 - bits % 2, bits + 1, 2)]
    return [(low, tuple(1 << bit for bit in range(low, high))) for low, high in bounds]


def _placed(m: Module, name: str, shift: Shift | ShiftRight, a: Value, by: Value) -> Value:
    place(m, name, shift)
    m.d.comb += [shift.a.eq(a), shift.by.eq(by)]
    return shift.moved
