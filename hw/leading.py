"""Shifts digit by digit: of leading bits that are all alike, and to the right, of what a float is aligned to."""

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.float_parts import pick, shift_digits
from hw.unit import Unit, place

__all__ = ["Move", "align", "strip"]


def strip(m: Module, value: Value, bit: Value, *, most: int, enable: Value | None = None) -> tuple[Value, Value]:
    """``value << count``, as wide as ``value``, and ``count``: how many of its top bits equal ``bit``.

    At most the least 2**n - 1 that is not below ``most``, and at most one where ``enable`` is not set.
    """
    bits, count = len(value), Const(0, 0)
    for unit, choices in shift_digits(most):
        ends = [bits - (i + 1) * unit for i in range(choices - 1)]
        flat = [~(value[end:] ^ bit.replicate(bits - end)).any() if end >= 0 else Const(0, 1) for end in ends]
        if enable is not None:
            flat = [each if bits - end == 1 else each & enable for each, end in zip(flat, ends, strict=True)]
        digit = Signal(range(choices), name=f"leading_{unit}")
        m.d.comb += digit.eq(flat[0] if choices == 2 else Cat(flat[0] & (~flat[1] | flat[2]), flat[1]))
        value, count = _moved(m, f"strip_{unit}", value, digit, unit), Cat(digit, count)
    return value, count


def align(m: Module, name: str, value: Value, places: Value, *, apart: bool) -> tuple[Value, Value, Value]:
    """``value >> places``, in parts; the multiplexers are ``apart`` from what is around them, or not.

    Returns
    -------
    Value
        ``value`` shifted by the low bits of ``places``, as many as say how long ``value`` is.
    Value
        Whether a 1 fell out of it.
    Value
        Whether any other bit of ``places`` is set.
    """
    digits = shift_digits(len(value) - 1)
    known = (digits[0][0] * digits[0][1] - 1).bit_length()
    by_all, lost = Signal(max(known, len(places)), name=f"{name}_places"), Const(0, 1)
    m.d.comb += by_all.eq(places)
    for unit, choices in digits:
        first = unit.bit_length() - 1
        by = by_all[first : first + choices.bit_length() - 1]
        lost = lost | pick(by, [value[: i * unit].any() for i in range(choices)])
        # to the left with the bits in reverse order
        if apart:
            value = _moved(m, f"{name}_{unit}", value[::-1], by, unit)[::-1]
        else:
            moved = Signal(len(value), name=f"{name}_{unit}")
            m.d.comb += moved.eq(pick(by, [value >> index * unit for index in range(choices)]))
            value = moved
    return value, lost, by_all[known:].any()


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


def _moved(m: Module, name: str, value: Value, digit: Value, unit: int) -> Value:
    """``value << digit * unit``, as wide as ``value``."""
    move = place(m, name, Move(bits=len(value), by_bits=len(digit), places=unit))
    m.d.comb += [move.value.eq(value), move.by.eq(digit)]
    return move.moved
