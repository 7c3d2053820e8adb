"""Sub-word parallel: one cell that is one wide product or several narrow ones, chosen step by step."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from hw.core.number import Number, assign
from hw.core.rows import add_kept
from hw.core.stages import run_steps
from hw.integer.digits import Digit, digit_steps
from pe.base import Core, Encoder, Lanes, PEError
from pe.operands.recoding import booth4
from pe.pipelined import Pipelined
from sw_ref.arith.accumulate import Accumulator
from sw_ref.engine.spec import Mode
from sw_ref.formats.base import Int
from sw_ref.interval import Interval

__all__ = ["SubWord"]

_WIDE, _NARROW = Int(8), Int(4)
_MODES = (
    Mode(act=_WIDE, weight=_WIDE, lanes=1),
    Mode(act=_WIDE, weight=_NARROW, lanes=2),
    Mode(act=_NARROW, weight=_NARROW, lanes=4),
)
_SLOTS = 4

# Of a slot's part of the row operand. Slot 0 has a wide activation, and slot 2 one that can stand a nibble higher,
# for the high half of a wide weight; the others work in the narrowest mode only.
_ACT_BITS = (8, 4, 12, 4)

# A slot's weight is two radix-4 digits of a nibble.
_DIGIT = Digit(far=1)
_DIGITS = 2


@dataclass(frozen=True, kw_only=True)
class SubWord(Pipelined):
    """``sum = addend + sum over the mode's products of act * weight``.

    Modes: 0, one product int8 x int8; 1, two of int8 x int4; 2, four of int4 x int4. The cell is one chain of rows
    for four products of an activation and a nibble, and knows nothing of modes: the row brings the halves of its
    activations to their places, the column the halves of its weights, and what is idle multiplies by 0.

    Products of mode 0 own slots 0 to 3, those of mode 1 slots 0 and 1, and 2 and 3.

    Parameters
    ----------
    pipeline : int
        See `pe.pipelined.Pipelined`.
    """

    lanes: Lanes = _SLOTS

    family: ClassVar[str] = "sub_word"
    summary: ClassVar[str] = "1 product of int8 x int8, 2 of int8 x int4 or 4 of int4 x int4, chosen at run time"
    source: ClassVar[str] = "Bit Fusion (arXiv 1712.01507); Booth 1951, MacSorley 1961"

    def check(self) -> None:
        if (self.act, self.weight) != (_WIDE, _WIDE):
            raise PEError(f"Family sub_word takes int8 x int8, not {self.act.name} x {self.weight.name}")
        if self.lanes != _SLOTS:
            raise PEError(f"Family sub_word has {_SLOTS} lanes, not {self.lanes}")

    @property
    def name(self) -> str:
        return super().name + self.staged

    @property
    def modes(self) -> tuple[Mode, ...]:
        return _MODES

    @property
    def row_bits(self) -> int:
        return sum(_ACT_BITS)

    @property
    def column_bits(self) -> int:
        return _SLOTS * _DIGITS * _DIGIT.bits

    @property
    def term(self) -> Interval:
        wide, mixed, narrow = (_product(mode).sum_of(mode.lanes) for mode in self.modes)
        return wide | mixed | narrow

    def row_encoder(self, *, masked: bool) -> Encoder:
        return _Activations(masked=masked)

    def column_encoder(self) -> Encoder:
        return _Weights()

    def core(self, accumulator: Accumulator) -> Core:
        return _Chain(pe=self, accumulator=accumulator)


class _Activations(Encoder):
    """The activation of each slot, lowest slot first; 0 where a slot is idle or masked."""

    def __init__(self, *, masked: bool) -> None:
        super().__init__(
            bits=_NARROW.bits, lanes=_SLOTS, operand_bits=sum(_ACT_BITS), masked=masked, mode_bits=_mode_bits()
        )

    @property
    def name(self) -> str:
        return f"sub_word_acts{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        mask = self.mask if self.masked else Const(-1, _SLOTS)
        low, high = (self.codes.word_select(half, _WIDE.bits).as_signed() for half in (0, 1))
        nibbles = [self.codes.word_select(slot, _NARROW.bits).as_signed() for slot in range(_SLOTS)]
        wide, narrow = self.mode == 0, self.mode == 2
        chosen = [
            Mux(mask[0], Mux(narrow, nibbles[0], low), 0),
            Mux(mask[1] & narrow, nibbles[1], 0),
            Mux(mask[2], Mux(wide, low << _NARROW.bits, Mux(narrow, nibbles[2], high)), 0),
            Mux(mask[3] & narrow, nibbles[3], 0),
        ]
        acts = [Signal(signed(bits), name=f"act_{slot}") for slot, bits in enumerate(_ACT_BITS)]
        m.d.comb += [act.eq(value) for act, value in zip(acts, chosen, strict=True)]
        m.d.comb += self.operand.eq(Cat(acts))
        return m


class _Weights(Encoder):
    """The two digits of each slot's nibble, lowest slot first.

    The high nibble of a wide weight has the low one's top bit below it, which the digits of that take for a sign.
    """

    def __init__(self) -> None:
        operand_bits = _SLOTS * _DIGITS * _DIGIT.bits
        super().__init__(
            bits=_NARROW.bits, lanes=_SLOTS, operand_bits=operand_bits, masked=False, mode_bits=_mode_bits()
        )

    @property
    def name(self) -> str:
        return "sub_word_weights"

    def circuit(self, platform: object) -> Module:
        m = Module()
        nibbles = [self.codes.word_select(slot, _NARROW.bits) for slot in range(_SLOTS)]
        second = Signal(_NARROW.bits, name="second")
        m.d.comb += second.eq(Mux(self.mode == 2, nibbles[2], nibbles[1]))
        none, joined = Const(0, 1), nibbles[0][-1] & (self.mode == 0)
        digits = [
            booth4(nibble, _DIGITS, below=below)
            for nibble, below in ((nibbles[0], none), (nibbles[1], none), (second, joined), (nibbles[3], none))
        ]
        m.d.comb += self.operand.eq(Cat(*map(Cat, digits)))
        return m


class _Chain(Core[SubWord, Accumulator]):
    """One chain of rows through all slots, the narrowest first, so that the wide rows are few."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        _wide, mixed, narrow = (_product(mode) for mode in _MODES)
        # what the slots so far can add up to: those of four bits are idle but in the narrowest mode
        totals = {1: narrow, 3: narrow.sum_of(2), 0: mixed | narrow.sum_of(3), 2: self.pe.term}
        at, steps = SimpleNamespace(), []
        for slot, total in totals.items():
            setattr(at, f"slot_{slot}_a", Number(self._act(slot)))
            setattr(at, f"slot_{slot}_digits", self.weight.word_select(slot, _DIGITS * _DIGIT.bits))
            # the lowest row lacks its carry
            total = Interval(total.lo - 1, total.hi)
            steps += digit_steps(f"slot_{slot}", count=_DIGITS, form=_DIGIT, places=2, total=total)
        run_steps(m, at, steps, registers=self.pe.pipeline)
        kept = add_kept(m, "total", Number(self.addend.as_signed()), at.sum, at.carry, self.accumulator)
        m.d.comb += assign(self.sum.as_signed(), kept)
        return m

    def _act(self, slot: int) -> Value:
        start = sum(_ACT_BITS[:slot])
        return self.act[start : start + _ACT_BITS[slot]].as_signed()


def _product(mode: Mode) -> Interval:
    return mode.act.fixed_form.interval * mode.weight.fixed_form.interval


def _mode_bits() -> int:
    return (len(_MODES) - 1).bit_length()
