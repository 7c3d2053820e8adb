"""Shifts digit by digit: of leading bits that are all alike, and to the right, of what a float is aligned to."""

from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.core.select import pick
from hw.core.stages import Step
from hw.core.unit import Unit, place
from hw.float.parts import shift_digits

__all__ = ["Move", "align_steps", "strip_steps"]


def strip_steps(*, most: int, enabled: bool = False) -> list[Step]:
    """Steps that shift Value ``at.word`` to the left, as wide as it is, by how many of its top bits equal ``at.bit``.

    At most by the least 2**n - 1 that is not below ``most``; if ``enabled``, at most by one where ``at.enable`` is not
    set. By how much becomes ``at.count``, of an unsigned Value.
    """
    steps = [Step(0, _no_count)]
    for unit, choices in shift_digits(most):
        steps += [
            Step(5 if unit > 8 else 4 if unit > 2 else 3, partial(_find, unit=unit, choices=choices, enabled=enabled)),
            Step(1, partial(_strip, unit=unit)),
        ]
    return steps


def align_steps(name: str, *, bits: int, apart: bool) -> list[Step]:
    """Steps that make of Value ``at.word``, of ``bits`` bits, what is left of it as ``at.word >> at.places``, in parts.

    They leave ``at.word``, shifted by the low bits of ``at.places``, as many as say how long it is; ``at.lost``,
    whether a 1 fell out; and ``at.far``, whether any other bit of ``at.places`` is set. Their multiplexers are
    ``apart`` from what is around them, or not.
    """
    digits = shift_digits(bits - 1)
    known = (digits[0][0] * digits[0][1] - 1).bit_length()
    shifts = [Step(2, partial(_align, name=name, unit=unit, choices=choices, apart=apart)) for unit, choices in digits]
    return [Step(0, partial(_cut_places, name=name, known=known)), *shifts]


class Move(Unit):
    """``moved = value << by * places``, as wide as ``value``: multiplexers that stay apart from what is around them.

    Parameters
    ----------
    bits : int
        Of ``value``.
    by_bits : {1, 2}
        Of ``by``.
    places : int
    """

    def __init__(self, *, bits: int, by_bits: int, places: int) -> None:
        self.places = places
        super().__init__({"value": In(bits), "by": In(by_bits), "moved": Out(bits)})

    @property
    def name(self) -> str:
        return f"move_{1 << len(self.by)}x{self.places}_u{len(self.value)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        bits = len(self.value)
        places = [min(index * self.places, bits) for index in range(1 << len(self.by))]
        m.d.comb += self.moved.eq(pick(self.by, [Cat(Const(0, low), self.value[: bits - low]) for low in places]))
        return m


def _no_count(_m: Module, at: SimpleNamespace) -> None:
    at.count = Const(0, 0)


def _find(m: Module, at: SimpleNamespace, *, unit: int, choices: int, enabled: bool) -> None:
    bits = len(at.word)
    ends = [bits - (i + 1) * unit for i in range(choices - 1)]
    flat = [~(at.word[end:] ^ at.bit.replicate(bits - end)).any() if end >= 0 else Const(0, 1) for end in ends]
    if enabled:
        flat = [each if bits - end == 1 else each & at.enable for each, end in zip(flat, ends, strict=True)]
    at.digit = Signal(range(choices), name=f"leading_{unit}")
    m.d.comb += at.digit.eq(flat[0] if choices == 2 else Cat(flat[0] & (~flat[1] | flat[2]), flat[1]))


def _strip(m: Module, at: SimpleNamespace, *, unit: int) -> None:
    at.word, at.count = _moved(m, f"strip_{unit}", at.word, at.digit, unit), Cat(at.digit, at.count)


def _cut_places(m: Module, at: SimpleNamespace, *, name: str, known: int) -> None:
    places = Signal(max(known, len(at.places)), name=f"{name}_places")
    m.d.comb += places.eq(at.places)
    at.places, at.far, at.lost = places[:known], places[known:].any(), Const(0, 1)


def _align(m: Module, at: SimpleNamespace, *, name: str, unit: int, choices: int, apart: bool) -> None:
    first = unit.bit_length() - 1
    by = at.places[first : first + choices.bit_length() - 1]
    at.lost = at.lost | pick(by, [at.word[: i * unit].any() for i in range(choices)])
    # to the left with the bits in reverse order
    if apart:
        at.word = _moved(m, f"{name}_{unit}", at.word[::-1], by, unit)[::-1]
    else:
        moved = Signal(len(at.word), name=f"{name}_{unit}")
        m.d.comb += moved.eq(pick(by, [at.word >> index * unit for index in range(choices)]))
        at.word = moved


def _moved(m: Module, name: str, value: Value, digit: Value, unit: int) -> Value:
    """``value << digit * unit``, as wide as ``value``."""
    move = place(m, name, Move(bits=len(value), by_bits=len(digit), places=unit))
    m.d.comb += [move.value.eq(value), move.by.eq(digit)]
    return move.moved
