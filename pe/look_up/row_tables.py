"""Tables of a row's activations: all sums of a few of them, with signs, that cells select from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Module, Signal, signed

from hw.core.narrow import round_half_even, saturate
from hw.core.number import Number, assign, wire
from hw.core.stages import Step, run_steps, stages_for
from pe.base import Encoder
from sw_ref.formats.base import Int
from sw_ref.interval import Interval

__all__ = ["Signs", "Tables"]

Signs = tuple[int, ...]
"""Of each activation of a table, what it counts in an entry: -1, 0 or 1."""


class Tables(Encoder):
    """All tables of a row, out of codes in a register, which clears those that are masked.

    There are further registers where additions are many, or long.
    """

    def __init__(
        self, *, act: Int, lanes: int, signs: tuple[Signs, ...], shift: int, entry: Interval, masked: bool
    ) -> None:
        self.act = act
        self.signs = signs
        self.shift = shift
        self.entry = entry
        self.k = len(signs[0])
        operand_bits = lanes // self.k * len(signs) * entry.signed_bits
        super().__init__(bits=act.bits, lanes=lanes, operand_bits=operand_bits, masked=masked)
        self.latency = 1 + stages_for(self._steps)

    @property
    def name(self) -> str:
        entries = f"{len(self.signs)}xi{self.entry.signed_bits}"
        return f"tables_{self.lanes}x{self.act.name}_k{self.k}_{entries}{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        acts = []
        for lane in range(self.lanes):
            act = Signal(signed(self.bits) if self.act.signed else self.bits, name=f"act_{lane}", reset_less=True)
            m.d.sync += act.eq(self.codes.word_select(lane, self.bits))
            if self.masked:
                with m.If(~self.mask[lane]):
                    m.d.sync += act.eq(0)
            acts.append(Number(act))
        tables = [acts[start : start + self.k] for start in range(0, self.lanes, self.k)]
        # every sum by the signs of all activations of its table
        at = SimpleNamespace(tables=[dict(zip(_single(self.k), table, strict=True)) for table in tables])
        run_steps(m, at, self._steps, registers=self.latency - 1, behind=False)
        entries = []
        for table, sums in enumerate(at.tables):
            for index, signs in enumerate(self.signs):
                entry = Signal(signed(self.entry.signed_bits), name=f"entry_{table}_{index}")
                m.d.comb += assign(entry, sums[signs])
                entries.append(entry)
        m.d.comb += self.operand.eq(Cat(entries))
        return m

    @property
    def _steps(self) -> list[Step]:
        """From activations to entries."""
        levels = range(1, (self.k - 1).bit_length() + 1)
        steps = [Step(2 + self.bits // 32, partial(self._sums, level=level)) for level in levels]
        rounding = [Step(3, self._rounded), Step(3, self._saturated)] if self.shift else []
        return [*steps, *rounding]

    def _sums(self, m: Module, at: SimpleNamespace, *, level: int) -> None:
        additions = [one for one in _additions(self.signs) if one.level == level]
        for table, sums in enumerate(at.tables):
            for index, one in enumerate(additions):
                low, high = sums[one.low], sums[one.high]
                total = low - high if one.subtract else low + high
                sums[one.signs] = wire(m, f"table_{table}_sum_{level}_{index}", total)

    def _rounded(self, m: Module, at: SimpleNamespace) -> None:
        for table, sums in enumerate(at.tables):
            for index, signs in enumerate(self.signs):
                sums[signs] = wire(m, f"table_{table}_rounded_{index}", round_half_even(sums[signs], self.shift))

    def _saturated(self, m: Module, at: SimpleNamespace) -> None:
        for table, sums in enumerate(at.tables):
            for index, signs in enumerate(self.signs):
                sums[signs] = wire(m, f"table_{table}_saturated_{index}", saturate(sums[signs], self.entry))


@dataclass(frozen=True)
class _Addition:
    """A sum of activations with these signs, out of two: ``low + high``, or ``low - high``.

    Parameters
    ----------
    level : int
        Where it is in a tree of additions, from 1 on.
    signs, low, high : tuple of int
    subtract : bool
    """

    level: int
    signs: Signs
    low: Signs
    high: Signs
    subtract: bool


def _single(k: int) -> list[Signs]:
    """The signs of each activation alone."""
    return [tuple(int(index == lane) for index in range(k)) for lane in range(k)]


def _additions(rows: Sequence[Signs]) -> list[_Addition]:
    """What gives all sums of these signs, the first of which that is not 0 is 1.

    Each is made of two halves. Sums share what is the same, up to its sign, in one of them.
    """
    found: dict[_Addition, None] = {}
    for row in rows:
        _split(row, 0, len(row), found)
    return list(found)


def _split(row: Signs, start: int, stop: int, found: dict[_Addition, None]) -> None:
    """Add to ``found`` what gives the sum of ``row``, which is 0 but from ``start`` to ``stop``."""
    if stop - start == 1:
        return
    middle = (start + stop) // 2
    low, high = (
        (0,) * first + row[first:last] + (0,) * (len(row) - last) for first, last in ((start, middle), (middle, stop))
    )
    subtract = _led_by_one(high) != high
    high = _led_by_one(high)
    _split(low, start, middle, found)
    _split(high, middle, stop, found)
    if any(low) and any(high):
        found[_Addition((stop - start - 1).bit_length(), row, low, high, subtract)] = None


def _led_by_one(signs: Signs) -> Signs:
    """``signs``, or their opposites: those whose first that is not 0 is 1."""
    lead = next((sign for sign in signs if sign), 1)
    return tuple(lead * sign for sign in signs)
