"""Shifts by an amount that only the circuit knows, as multiplexers of four: one LUT6 a bit."""

from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.core.stages import Step, run_steps
from hw.core.unit import Unit, place
from hw.integer.digits import Shift

__all__ = ["ShiftRight", "left_steps", "right_steps", "shift_left"]


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


def left_steps(name: str, by_bits: int) -> list[Step]:
    """Steps that make of Value ``at.word`` the exact ``at.word << at.by``, where ``at.by`` has ``by_bits`` bits."""
    return [Step(len(places), partial(_left, name=f"{name}_{low}", places=places)) for low, places in _digits(by_bits)]


def right_steps(name: str, by_bits: int) -> list[Step]:
    """Steps that make of Value ``at.word`` what is left of it as ``at.word >> at.by``, as wide as it was."""
    return [Step(len(places), partial(_right, name=f"{name}_{low}", places=places)) for low, places in _digits(by_bits)]


def shift_left(m: Module, name: str, a: Value, by: Value) -> Value:
    """``a << by``, exact."""
    at = SimpleNamespace(word=a, by=by)
    run_steps(m, at, left_steps(name, len(by)), registers=0)
    return at.word


def _digits(bits: int) -> list[tuple[int, tuple[int, ...]]]:
    """How an amount of ``bits`` bits is cut: lowest bit and places of each multiplexer.

    They are of four, but for the first if the bits are odd in number: words are short then.
    """
    bounds = [(max(high - 2, 0), high) for high in range(2 - bits % 2, bits + 1, 2)]
    return [(low, tuple(1 << bit for bit in range(low, high))) for low, high in bounds]


def _left(m: Module, at: SimpleNamespace, *, name: str, places: tuple[int, ...]) -> None:
    _shift(m, at, name, Shift(a=(len(at.word), False), moved=len(at.word) + sum(places), places=places))


def _right(m: Module, at: SimpleNamespace, *, name: str, places: tuple[int, ...]) -> None:
    _shift(m, at, name, ShiftRight(bits=len(at.word), places=places))


def _shift(m: Module, at: SimpleNamespace, name: str, shift: Shift | ShiftRight) -> None:
    place(m, name, shift)
    m.d.comb += [shift.a.eq(at.word), shift.by.eq(at.by[: len(shift.by)])]
    at.word, at.by = shift.moved, at.by[len(shift.by) :]
