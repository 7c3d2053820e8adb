"""XR-NPE: one cell for 4-, 8- and 16-bit floats and posits, whose format is chosen product by product."""

from dataclasses import dataclass
from functools import partial, reduce
from operator import or_
from types import SimpleNamespace
from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from hw.core.narrow import keep
from hw.core.number import Number, assign, wire
from hw.core.stages import Step, run_steps
from hw.core.unit import place
from hw.integer.digits import Shift
from hw.integer.halves import add_long
from hw.integer.packed_add import FarAdd, PlacedAdd, multiples_steps
from pe.base import Core, Encoder, Lanes, PEError
from pe.pipelined import Pipelined
from pe.xr_npe.operand import (
    MODES,
    SIGNIFICAND_BITS,
    SLOTS,
    STEP,
    WIDE,
    XRNPEEncoder,
    largest_place,
    layout_of,
    row_layout,
)
from sw_ref.arith.accumulate import Accumulator
from sw_ref.engine.spec import Mode
from sw_ref.interval import Interval

__all__ = ["XRNPE"]

# The whole sum is shifted by 1 and 2 digits and by 4, and then by 8 as often as is left.
_NEAR = ((STEP, 2 * STEP), (4 * STEP,))
_FAR = 8 * STEP


@dataclass(frozen=True, kw_only=True)
class XRNPE(Pipelined):
    """``sum = addend + sum over the mode's products of act * weight``, exact.

    Modes: 0, one product of posit16_1; 1, two of posit8_0; 2, four of posit4_1; 3, four of fp4_e2m1; both operands of
    one format. Sums count in units of the mode's own: ``2**-56``, ``2**-12``, ``2**-8`` and ``2**-2``. How many
    products XR-NPE has in each mode was not to be found; here they fill 16 bits.

    Edges write a value as a sign, a significand of 4 bits for each of its slots, and an exponent to the base 16. The
    cell has one multiplier of 16 x 16 bits, in radix 4: each digit of a weight multiplies what the row brings for its
    slot, which is those bits of the significands that are of the same product. So in narrow modes the blocks on the
    diagonal make the products, side by side in 32 bits. A row of adders for each slot brings 8 of these to their place
    in a sum: behind their neighbours, where they belong to one product, and otherwise as exponents tell. That sum is
    shifted as a whole in mode 0 alone, in which it is one product.

    The cell knows nothing of modes. What is masked, or not finite, has the significand 0.

    Parameters
    ----------
    pipeline : int
        See `pe.pipelined.Pipelined`.
    """

    lanes: Lanes = SLOTS

    family: ClassVar[str] = "xr_npe"
    summary: ClassVar[str] = "1 product of posit16, 2 of posit8 or 4 of posit4 or FP4, chosen at run time"
    source: ClassVar[str] = "XR-NPE (arXiv 2508.13049): formats, and a multiplier of blocks"

    def check(self) -> None:
        if (self.act, self.weight) != (WIDE, WIDE):
            given = f"{self.act.name} x {self.weight.name}"
            raise PEError(f"Family xr_npe takes {WIDE.name} x {WIDE.name}, not {given}")
        if self.lanes != SLOTS:
            raise PEError(f"Family xr_npe has {SLOTS} lanes, not {self.lanes}")

    @property
    def name(self) -> str:
        return super().name + self.staged

    @property
    def modes(self) -> tuple[Mode, ...]:
        return MODES

    @property
    def row_bits(self) -> int:
        return row_layout().size

    @property
    def column_bits(self) -> int:
        return layout_of("weight").size

    @property
    def term(self) -> Interval:
        return reduce(or_, (_product(mode).sum_of(mode.lanes) for mode in self.modes))

    @property
    def halves(self) -> bool:
        return self.pipeline > 0

    def row_encoder(self, *, masked: bool) -> Encoder:
        return XRNPEEncoder(side="act", masked=masked)

    def column_encoder(self) -> Encoder:
        return XRNPEEncoder(side="weight", masked=False)

    def core(self, accumulator: Accumulator) -> Core:
        return _Blocks(pe=self, accumulator=accumulator)


class _Blocks(Core[XRNPE, Accumulator]):
    """One multiplier, a row for each slot, a shift of all, and the addition to the running sum."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        act, weight = data.View(row_layout(), self.act), data.View(layout_of("weight"), self.weight)
        exponent = wire(m, "exponent", Number(act.exponent) + Number(weight.exponent))
        digits = SIGNIFICAND_BITS // 2
        at = SimpleNamespace(
            digits=[weight.significand.word_select(index, 2) for index in range(digits)],
            multiples=[
                SimpleNamespace(once=each.once, thrice=each.thrice)
                for each in act.multiples
                for _half in range(STEP // 2)
            ],
            places=[(act[f"place_{slot}"], weight[f"place_{slot}"]) for slot in range(SLOTS)],
            negative=act.negative ^ weight.negative,
            exponent=exponent.value,
        )
        rows = (Step(2, partial(_slot, slot=slot)) for slot in range(SLOTS))
        shifts = (Step(2, partial(_shift, places=places)) for places in _NEAR)
        steps = [*multiples_steps("product", digits), Step(1, _place_slots), *rows, *shifts]
        addend = Number(self.addend.as_signed())
        if self.pe.pipeline:
            # the long carry chain leaves no time for a choice in front of it, a register does
            run_steps(m, at, [*steps, Step(2, self._move_far)], registers=self.pe.pipeline)
            kept = add_long(m, "total", addend, at.sum, Const(0, 1), self.accumulator)
        else:
            run_steps(m, at, steps, registers=0)
            kept = self._added(m, addend, at.sum.value, at.exponent)
        m.d.comb += assign(self.sum.as_signed(), kept)
        return m

    def _move_far(self, m: Module, at: SimpleNamespace) -> None:
        """The product in its place: what `hw.integer.packed_add.FarAdd` adds."""
        dot, far = at.sum.value, at.exponent
        placed = Signal(signed(self.pe.term.signed_bits), name="placed")
        near, middle, last = (dot << _FAR * count for count in range(3))
        m.d.comb += placed.eq(Mux(far[1], last, Mux(far[0], middle, near)))
        at.sum = Number(placed, self.pe.term)
        del at.exponent

    def _added(self, m: Module, addend: Number, dot: Value, far: Value) -> Number:
        """What is kept of the addend and ``dot << _FAR * far``."""
        exact = self.accumulator.overflow == "saturate"
        total = addend.interval + self.pe.term if exact else self.accumulator.interval
        row = FarAdd(x_bits=len(addend.value), a_bits=len(dot), distance=_FAR, sum_bits=total.signed_bits)
        place(m, "total", row)
        m.d.comb += [row.x.eq(addend.value), row.a.eq(dot), row.far.eq(far)]
        return keep(Number(row.sum, total), self.accumulator)


def _place_slots(_m: Module, at: SimpleNamespace) -> None:
    """Where each slot's part of the product goes, as one bit of many."""
    at.places = [
        _one_hot(
            act,
            weight,
            1 + max(largest_place("act", mode, slot) + largest_place("weight", mode, slot) for mode in MODES),
        )
        for slot, (act, weight) in enumerate(at.places)
    ]
    at.words = [at.product.value.word_select(slot, 2 * STEP) for slot in range(SLOTS)]
    at.sum = Number.constant(0)
    del at.product


def _slot(m: Module, at: SimpleNamespace, *, slot: int) -> None:
    """Adds the part of a slot."""
    places, total = at.places.pop(0), _total(slot)
    row = PlacedAdd(
        x_bits=len(at.sum.value),
        step=STEP,
        places=len(places),
        word_bits=_largest_word(slot).bit_length(),
        sum_bits=total.signed_bits,
    )
    place(m, f"slot_{slot}", row)
    m.d.comb += [row.x.eq(at.sum.value), row.a.eq(at.words.pop(0)), row.at.eq(places), row.negate.eq(at.negative[0])]
    at.sum, at.negative = Number(row.sum, total), at.negative[1:]


def _shift(m: Module, at: SimpleNamespace, *, places: tuple[int, ...]) -> None:
    """Shifts the sum by the next bits of the exponent."""
    dot = at.sum.value
    shift = Shift(a=(len(dot), True), moved=len(dot) + sum(places), places=places)
    place(m, f"shift_{places[0]}", shift)
    m.d.comb += [shift.a.eq(dot), shift.by.eq(at.exponent[: len(places)])]
    at.sum, at.exponent = Number(shift.moved), at.exponent[len(places) :]


def _product(mode: Mode) -> Interval:
    return mode.act.fixed_form.interval * mode.weight.fixed_form.interval


def _largest_word(slot: int) -> int:
    """The largest magnitude of what a slot adds."""
    # of the one wide product, these are 8 of its bits
    return max(255 << 2 * STEP * slot, *(_product(mode).hi for mode in MODES if mode.lanes > 1))


def _total(slot: int) -> Interval:
    """What slots up to this one add up to."""
    largest = max(
        (1 << 2 * STEP * (slot + 1)) - 1,
        *(_product(mode).hi * (1 + slot * mode.lanes // SLOTS) for mode in MODES if mode.lanes > 1),
    )
    return Interval(-largest, largest)


def _one_hot(a: Value, b: Value, count: int) -> Value:
    """Bit p is set if ``a + b = p``: a look-up table for each."""
    return Cat(
        Cat((a == p - other) & (b == other) for other in range(min(p + 1, 1 << len(b)))).any() for p in range(count)
    )
