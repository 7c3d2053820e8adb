"""XR-NPE: one cell for 4-, 8- and 16-bit floats and posits, whose format is chosen product by product."""

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from hw.align import shift_left
from hw.digits import Shift
from hw.narrow import keep
from hw.number import Number, assign, wire
from hw.packed_add import FarAdd, PlacedAdd, multiply_by_multiples
from hw.rows import above
from hw.unit import place
from pe.base import PE, Core, Encoder, Mode, PEError
from pe.float_operand import FloatEncoder, FloatOperand
from sw_ref.accumulate import Accumulator
from sw_ref.interval import Interval
from sw_ref.minifloat import Float
from sw_ref.posit import Posit

__all__ = ["XRNPE"]

_WIDE = Posit(16, 1)
_SLOTS = 4
_FORMATS = ((_WIDE, 1), (Posit(8, 0), 2), (Posit(4, 1), 4), (Float(2, 1, specials="finite"), 4))
_MODES = tuple(Mode(act=form, weight=form, lanes=lanes) for form, lanes in _FORMATS)

# Significands come in digits of four bits, one for each slot, and exponents count such digits.
_STEP = 4
_SIGNIFICAND_BITS = _SLOTS * _STEP

# The whole sum is shifted by 1 and 2 digits and by 4, and then by 8 as often as is left.
_NEAR = ((_STEP, 2 * _STEP), (4 * _STEP,))
_FAR = 8 * _STEP


@dataclass(frozen=True, kw_only=True)
class XRNPE(PE):
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
    """

    lanes: int = _SLOTS

    family: ClassVar[str] = "xr_npe"
    summary: ClassVar[str] = "1 product of posit16, 2 of posit8 or 4 of posit4 or FP4, chosen at run time"
    source: ClassVar[str] = "XR-NPE (arXiv 2508.13049): formats, and a multiplier of blocks"

    def check(self) -> None:
        if (self.act, self.weight) != (_WIDE, _WIDE):
            given = f"{self.act.name} x {self.weight.name}"
            raise PEError(f"Family xr_npe takes {_WIDE.name} x {_WIDE.name}, not {given}")
        if self.lanes != _SLOTS:
            raise PEError(f"Family xr_npe has {_SLOTS} lanes, not {self.lanes}")

    @property
    def modes(self) -> tuple[Mode, ...]:
        return _MODES

    @property
    def row_bits(self) -> int:
        return _row_layout().size

    @property
    def column_bits(self) -> int:
        return _layout("weight").size

    @property
    def term(self) -> Interval:
        return reduce(or_, (_product(mode).sum_of(mode.lanes) for mode in self.modes))

    def row_encoder(self, *, masked: bool) -> Encoder:
        return _Operands(side="act", masked=masked)

    def column_encoder(self) -> Encoder:
        return _Operands(side="weight", masked=False)

    def core(self, accumulator: Accumulator) -> Core:
        return _Blocks(pe=self, accumulator=accumulator)


class _Operands(Encoder):
    """Codes of any mode to what `_layout` says, and in rows, to what `_row_layout` says.

    Parameters
    ----------
    side : {"act", "weight"}
    masked : bool
    """

    def __init__(self, *, side: str, masked: bool) -> None:
        self.side = side
        operand_bits = (_row_layout() if side == "act" else _layout(side)).size
        mode_bits = (len(_MODES) - 1).bit_length()
        super().__init__(bits=_STEP, lanes=_SLOTS, operand_bits=operand_bits, masked=masked, mode_bits=mode_bits)

    @property
    def name(self) -> str:
        return f"xr_npe_{self.side}s{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        words = []
        for mode in _MODES:
            word = Signal(_layout(self.side), name=f"of_{mode.name}")
            m.d.comb += [word[name].eq(value) for name, value in self._parts(m, mode).items()]
            words.append(Value.cast(word))
        found = Signal(len(words[0]), name="found")
        m.d.comb += found.eq(_of_mode(self.mode, words))
        mask = Cat(bit.replicate(_STEP) for bit in self.mask) if self.masked else Const(-1, _SIGNIFICAND_BITS)
        significand = Signal(_SIGNIFICAND_BITS, name="significand")
        m.d.comb += significand.eq(found[:_SIGNIFICAND_BITS] & mask)
        rest = found[_SIGNIFICAND_BITS:]
        if self.side == "weight":
            m.d.comb += self.operand.eq(Cat(significand, rest))
            return m
        multiples = []
        for slot in range(_SLOTS):
            once = Signal(_SIGNIFICAND_BITS, name=f"once_{slot}")
            seen = _of_mode(self.mode, [Const(_seen(mode, slot), _SIGNIFICAND_BITS) for mode in _MODES])
            m.d.comb += once.eq(significand & seen)
            multiples.append(Cat(once, (once + (once << 1))[: _SIGNIFICAND_BITS + 2]))
        m.d.comb += self.operand.eq(Cat(multiples, rest))
        return m

    def _parts(self, m: Module, mode: Mode) -> dict[str, Value]:
        """Fields of the operand in one mode."""
        form, slots = mode.act, _SLOTS // mode.lanes
        decode = FloatEncoder(form=form, lanes=mode.lanes, masked=False)
        place(m, f"{form.name}", decode)
        m.d.comb += decode.codes.eq(self.codes[: len(decode.codes)])
        layout = FloatOperand(form=form, lanes=mode.lanes)
        fields = {"significand": [], "negative": [], "exponent": Const(0)}
        for lane in range(mode.lanes):
            parts = layout.lane(decode.operand, lane)
            # the exponent is the least that leaves room for the significand: the quotient by four is rounded up
            up = _STEP - 1 + layout.parts.significand_bits - slots * _STEP
            exponent = wire(m, f"{form.name}_exponent_{lane}", parts.exponent + Number.constant(up))
            moved = shift_left(m, f"{form.name}_{lane}", parts.significand.value, exponent.value[:2])
            if up:
                # values have no bits below their last, so the lowest is 0
                moved = above(m, moved, Const(0, slots * _STEP), name=f"{form.name}_{lane}_whole")
            fields["significand"].append(moved)
            fields["negative"].append(parts.negative.replicate(slots))
            digits = exponent.value[2:]
            if mode.lanes == 1:
                fields["exponent"] = digits
            for inner in range(slots):
                behind = 2 * inner if self.side == "act" else 0
                own = 0 if mode.lanes == 1 else digits
                fields[f"place_{lane * slots + inner}"] = own + behind
        return {**fields, "significand": Cat(fields["significand"]), "negative": Cat(fields["negative"])}


class _Blocks(Core):
    """One multiplier, a row for each slot, a shift of all, and the addition to the running sum."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        act, weight = data.View(_row_layout(), self.act), data.View(_layout("weight"), self.weight)
        multiples = [(each.once, each.thrice) for each in act.multiples for _half in range(_STEP // 2)]
        digits = [weight.significand.word_select(index, 2) for index in range(_SIGNIFICAND_BITS // 2)]
        product = multiply_by_multiples(m, "product", multiples, digits)
        running = Number.constant(0)
        for slot in range(_SLOTS):
            places = 1 + max(_place("act", mode, slot) + _place("weight", mode, slot) for mode in _MODES)
            total = _total(slot)
            row = PlacedAdd(
                x_bits=len(running.value),
                step=_STEP,
                places=places,
                word_bits=_largest_word(slot).bit_length(),
                sum_bits=total.signed_bits,
            )
            place(m, f"slot_{slot}", row)
            m.d.comb += [
                row.x.eq(running.value),
                row.a.eq(product.value.word_select(slot, 2 * _STEP)),
                row.at.eq(_one_hot(act[f"place_{slot}"], weight[f"place_{slot}"], places)),
                row.negate.eq(act.negative[slot] ^ weight.negative[slot]),
            ]
            running = Number(row.sum, total)
        exponent = wire(m, "exponent", Number(act.exponent) + Number(weight.exponent))
        m.d.comb += assign(self.sum.as_signed(), self._added(m, running.value, exponent.value))
        return m

    def _added(self, m: Module, dot: Value, exponent: Value) -> Number:
        """What is kept of the addend and ``dot << _STEP * exponent``."""
        addend, done = Number(self.addend.as_signed()), 0
        for places in _NEAR:
            shift = Shift(a=(len(dot), True), moved=len(dot) + sum(places), places=places)
            place(m, f"shift_{places[0]}", shift)
            m.d.comb += [shift.a.eq(dot), shift.by.eq(exponent[done:])]
            dot, done = shift.moved, done + len(places)
        exact = self.accumulator.overflow == "saturate"
        total = addend.interval + self.pe.term if exact else self.accumulator.interval
        row = FarAdd(x_bits=len(addend.value), a_bits=len(dot), distance=_FAR, sum_bits=total.signed_bits)
        place(m, "total", row)
        m.d.comb += [row.x.eq(addend.value), row.a.eq(dot), row.far.eq(exponent[done:])]
        return keep(Number(row.sum, total), self.accumulator)


def _layout(side: str) -> data.StructLayout:
    """What an edge tells of the codes of a step, lowest field first.

    ``significand``, a digit for each slot; ``negative``, a bit for each slot; ``exponent``, by how many digits a sum of
    products is to be shifted; and ``place_<slot>``, by how many digits a slot's part of the product is to be shifted
    within that sum. Exponents and places of both sides add up. With the significand 0, the exponent may be anything.
    """
    places = [max(_place(side, mode, slot) for mode in _MODES).bit_length() for slot in range(_SLOTS)]
    return data.StructLayout(
        {
            "significand": _SIGNIFICAND_BITS,
            "negative": _SLOTS,
            "exponent": max(_exponent(mode) for mode in _MODES).bit_length(),
            **{f"place_{slot}": bits for slot, bits in enumerate(places)},
        }
    )


def _row_layout() -> data.StructLayout:
    """As `_layout` of activations; but for each slot of the column, there are the significands that it multiplies.

    They come once, and multiplied by 3.
    """
    multiples = data.StructLayout({"once": _SIGNIFICAND_BITS, "thrice": _SIGNIFICAND_BITS + 2})
    fields = {name: field.shape for name, field in _layout("act")}
    del fields["significand"]
    return data.StructLayout({"multiples": data.ArrayLayout(multiples, _SLOTS), **fields})


def _seen(mode: Mode, slot: int) -> int:
    """The bits of significands that are of the same product as those of a slot."""
    slots = _SLOTS // mode.lanes
    return ((1 << slots * _STEP) - 1) << slot // slots * slots * _STEP


def _exponent(mode: Mode) -> int:
    """The largest exponent of an operand."""
    beyond = mode.act.fixed.interval.hi.bit_length() - _SIGNIFICAND_BITS // mode.lanes
    return max(0, -(-beyond // _STEP))


def _place(side: str, mode: Mode, slot: int) -> int:
    """The largest place of a slot."""
    slots = _SLOTS // mode.lanes
    behind = 2 * (slot % slots) if side == "act" else 0
    return behind + (0 if mode.lanes == 1 else _exponent(mode))


def _product(mode: Mode) -> Interval:
    return mode.act.fixed.interval * mode.weight.fixed.interval


def _largest_word(slot: int) -> int:
    """The largest magnitude of what a slot adds."""
    # of the one wide product, these are 8 of its bits
    return max(255 << 2 * _STEP * slot, *(_product(mode).hi for mode in _MODES if mode.lanes > 1))


def _total(slot: int) -> Interval:
    """What slots up to this one add up to."""
    largest = max(
        (1 << 2 * _STEP * (slot + 1)) - 1,
        *(_product(mode).hi * (1 + slot * mode.lanes // _SLOTS) for mode in _MODES if mode.lanes > 1),
    )
    return Interval(-largest, largest)


def _of_mode(mode: Value, values: list[Value]) -> Value:
    """``values[mode]``."""
    chosen = values[0]
    for index, value in enumerate(values[1:], start=1):
        chosen = Mux(mode == index, value, chosen)
    return chosen


def _one_hot(a: Value, b: Value, count: int) -> Value:
    """Bit p is set if ``a + b = p``: a look-up table for each."""
    return Cat(
        Cat((a == p - other) & (b == other) for other in range(min(p + 1, 1 << len(b)))).any() for p in range(count)
    )
