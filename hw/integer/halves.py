"""Sums of many bits in two halves, the high one a cycle behind, so that no carry chain is longer than half of one."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal, Value, signed

from hw.core.narrow import wrap
from hw.core.number import Number, assign
from hw.core.registers import delayed
from hw.core.rows import add_kept, add_with_carry
from sw_ref.arith.accumulate import Accumulator
from sw_ref.interval import Interval

__all__ = ["Halved", "add_long"]


@dataclass(frozen=True)
class Halved(Accumulator):
    """An accumulator whose high bits, in all sums and addends, belong to the cycle before: they come one cycle later.

    What passes through registers from one addition to the next, as partial sums do, may well be so.
    """

    @property
    def name(self) -> str:
        """``acc115_wrap_halves``."""
        return f"{super().name}_halves"

    @property
    def low(self) -> int:
        """Bits that come first."""
        return self.bits // 2


def add_long(m: Module, name: str, x: Number, y: Number, carry: Value, accumulator: Accumulator) -> Number:
    """What ``accumulator`` keeps of ``x + y + carry``.

    If it is `Halved`, ``x`` and the sum are so, too, but ``y`` and ``carry`` are not.
    """
    if not isinstance(accumulator, Halved):
        return add_kept(m, name, x, y, carry, accumulator)
    low, bits = accumulator.low, accumulator.bits
    added = Signal(signed(bits), name=f"{name}_added")
    m.d.comb += assign(added, wrap(y, bits))
    lower = add_with_carry(m, f"{name}_low", Number(x.value[:low]), Number(added[:low]), carry).value
    rest, carried = (
        delayed(m, value, 1, name=f"{name}_{kind}") for value, kind in ((added[low:], "rest"), (lower[low], "carried"))
    )
    kept = Interval.of_bits(bits - low, signed=True)
    higher = add_with_carry(
        m, f"{name}_high", Number(x.value[low:].as_signed()), Number(rest.as_signed()), carried, sum=kept
    )
    return Number(Cat(lower[:low], higher.value).as_signed())
