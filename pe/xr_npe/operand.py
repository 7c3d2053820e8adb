"""Operands of XR-NPE's cell: values of any mode as digits, signs and places."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from hw.core.number import Number, wire
from hw.core.registers import delayed
from hw.core.rows import above
from hw.core.stages import Step, run_steps, stages_for
from hw.core.unit import place
from hw.integer.align import shift_left
from pe.base import Encoder
from pe.operands.parts import FloatEncoder, FloatOperand
from sw_ref.engine.spec import Mode
from sw_ref.formats.minifloat import Float
from sw_ref.formats.posit import Posit

__all__ = [
    "MODES",
    "SIGNIFICAND_BITS",
    "SLOTS",
    "STEP",
    "WIDE",
    "XRNPEEncoder",
    "largest_place",
    "layout_of",
    "row_layout",
]

WIDE = Posit(16, 1)
"""The widest format, of which there is one product a step."""

SLOTS = 4
"""Parts of the multiplier that can be products of their own."""

_FORMATS = ((WIDE, 1), (Posit(8, 0), 2), (Posit(4, 1), 4), (Float(2, 1, specials="finite"), 4))
MODES = tuple(Mode(act=form, weight=form, lanes=lanes) for form, lanes in _FORMATS)
"""What can be chosen, product by product."""

STEP = 4
"""Bits of a digit: of significands, one for each slot, and of what exponents count."""

SIGNIFICAND_BITS = SLOTS * STEP
"""Width of the significands of a step."""


class XRNPEEncoder(Encoder):
    """Codes of any mode to what `layout_of` says, and in rows, to what `row_layout` says.

    Parameters
    ----------
    side : {"act", "weight"}
    masked : bool
    """

    def __init__(self, *, side: str, masked: bool) -> None:
        self.side = side
        operand_bits = (row_layout() if side == "act" else layout_of(side)).size
        mode_bits = (len(MODES) - 1).bit_length()
        super().__init__(bits=STEP, lanes=SLOTS, operand_bits=operand_bits, masked=masked, mode_bits=mode_bits)
        self._decoded = max(_decoder(mode).latency for mode in MODES)
        self.latency = self._decoded + stages_for(self._steps)

    @property
    def name(self) -> str:
        return f"xr_npe_{self.side}s{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        mask = self.mask if self.masked else Const(0, 0)
        beside = delayed(m, Cat(self.mode, mask), self._decoded, name="beside")
        at = SimpleNamespace(mode=beside[: self.mode_bits], mask=beside[self.mode_bits :])
        at.modes = [self._parts(m, mode) for mode in MODES]
        run_steps(m, at, self._steps, registers=self.latency - self._decoded, behind=False)
        m.d.comb += self.operand.eq(at.operand)
        return m

    @property
    def _steps(self) -> list[Step]:
        # the first one comes behind decoders
        moves = Step(6, self._moves)
        return [moves, Step(2, self._choose), *([Step(2, self._multiples)] if self.side == "act" else [])]

    def _parts(self, m: Module, mode: Mode) -> list[SimpleNamespace]:
        """Of each lane, significand, exponent and sign; exponents are the least that leave room for significands."""
        decode = place(m, f"{mode.act.name}", _decoder(mode))
        m.d.comb += decode.codes.eq(self.codes[: len(decode.codes)])
        layout = FloatOperand(form=mode.act, lanes=mode.lanes)
        wait = self._decoded - decode.latency
        operand = delayed(m, decode.operand, wait, name=f"{mode.act.name}_waits")
        parts = []
        for lane in range(mode.lanes):
            found = layout.lane(operand, lane)
            parts.append(
                SimpleNamespace(significand=found.significand.value, exponent=found.exponent, negative=found.negative)
            )
        return parts

    def _moves(self, m: Module, at: SimpleNamespace) -> None:
        """Fields of the operand in each mode."""
        words = []
        for mode, parts in zip(MODES, at.modes, strict=True):
            word = Signal(layout_of(self.side), name=f"of_{mode.name}")
            m.d.comb += [word[name].eq(value) for name, value in self._fields(m, mode, parts).items()]
            words.append(Value.cast(word))
        at.words = words
        del at.modes

    def _fields(self, m: Module, mode: Mode, parts: list[SimpleNamespace]) -> dict[str, Value]:
        form, slots = mode.act, SLOTS // mode.lanes
        fields = {"significand": [], "negative": [], "exponent": Const(0)}
        for lane, part in enumerate(parts):
            # the exponent is the least that leaves room for the significand: the quotient by four is rounded up
            up = STEP - 1 + len(part.significand) - slots * STEP
            exponent = wire(m, f"{form.name}_exponent_{lane}", part.exponent + Number.constant(up))
            moved = shift_left(m, f"{form.name}_{lane}", part.significand, exponent.value[:2])
            if up:
                # values have no bits below their last, so the lowest is 0
                moved = above(m, moved, Const(0, slots * STEP), name=f"{form.name}_{lane}_whole")
            fields["significand"].append(moved)
            fields["negative"].append(part.negative.replicate(slots))
            digits = exponent.value[2:]
            if mode.lanes == 1:
                fields["exponent"] = digits
            for inner in range(slots):
                behind = 2 * inner if self.side == "act" else 0
                own = 0 if mode.lanes == 1 else digits
                fields[f"place_{lane * slots + inner}"] = own + behind
        return {**fields, "significand": Cat(fields["significand"]), "negative": Cat(fields["negative"])}

    def _choose(self, m: Module, at: SimpleNamespace) -> None:
        """What the mode says, and of that what counts."""
        found, at.operand = Signal(len(at.words[0]), name="found"), Signal(len(at.words[0]), name="chosen")
        m.d.comb += [
            found.eq(_of_mode(at.mode, at.words)),
            at.operand.eq(found & self._counting(at.mask) if self.masked else found),
        ]
        del at.words, at.mask

    def _counting(self, mask: Value) -> Value:
        """Ones in those fields of an operand that belong to slots that count."""
        layout = layout_of(self.side)
        # only the one lane of a mode has an exponent, and all of its slots are masked alike
        of_slots = {"significand": mask, "negative": mask, "exponent": mask[0]}
        of_slots |= {f"place_{slot}": bit for slot, bit in enumerate(mask)}
        return Cat(
            bit.replicate(field.width // len(of_slots[name])) for name, field in layout for bit in of_slots[name]
        )

    def _multiples(self, m: Module, at: SimpleNamespace) -> None:
        """Significands as each slot of a column sees them."""
        multiples = []
        for slot in range(SLOTS):
            once = Signal(SIGNIFICAND_BITS, name=f"once_{slot}")
            seen = _of_mode(at.mode, [Const(_seen(mode, slot), SIGNIFICAND_BITS) for mode in MODES])
            m.d.comb += once.eq(at.operand[:SIGNIFICAND_BITS] & seen)
            multiples.append(Cat(once, (once + (once << 1))[: SIGNIFICAND_BITS + 2]))
        at.operand = Cat(multiples, at.operand[SIGNIFICAND_BITS:])


def _decoder(mode: Mode) -> FloatEncoder:
    return FloatEncoder(form=mode.act, lanes=mode.lanes, masked=False)


def layout_of(side: str) -> data.StructLayout:
    """What an edge tells of the codes of a step, lowest field first.

    ``significand``, a digit for each slot; ``negative``, a bit for each slot; ``exponent``, by how many digits a sum of
    products is to be shifted; and ``place_<slot>``, by how many digits a slot's part of the product is to be shifted
    within that sum. Exponents and places of both sides add up. With the significand 0, the exponent may be anything;
    slots that are masked are 0 in all fields.
    """
    places = [max(largest_place(side, mode, slot) for mode in MODES).bit_length() for slot in range(SLOTS)]
    return data.StructLayout(
        {
            "significand": SIGNIFICAND_BITS,
            "negative": SLOTS,
            "exponent": max(_exponent(mode) for mode in MODES).bit_length(),
            **{f"place_{slot}": bits for slot, bits in enumerate(places)},
        }
    )


def row_layout() -> data.StructLayout:
    """As `layout_of` of activations; but for each slot of the column, there are the significands that it multiplies.

    They come once, and multiplied by 3.
    """
    multiples = data.StructLayout({"once": SIGNIFICAND_BITS, "thrice": SIGNIFICAND_BITS + 2})
    fields = {name: field.shape for name, field in layout_of("act")}
    del fields["significand"]
    return data.StructLayout({"multiples": data.ArrayLayout(multiples, SLOTS), **fields})


def _seen(mode: Mode, slot: int) -> int:
    """The bits of significands that are of the same product as those of a slot."""
    slots = SLOTS // mode.lanes
    return ((1 << slots * STEP) - 1) << slot // slots * slots * STEP


def _exponent(mode: Mode) -> int:
    """The largest exponent of an operand."""
    beyond = mode.act.fixed_form.interval.hi.bit_length() - SIGNIFICAND_BITS // mode.lanes
    return max(0, -(-beyond // STEP))


def largest_place(side: str, mode: Mode, slot: int) -> int:
    """The largest place of a slot."""
    slots = SLOTS // mode.lanes
    behind = 2 * (slot % slots) if side == "act" else 0
    return behind + (0 if mode.lanes == 1 else _exponent(mode))


def _of_mode(mode: Value, values: list[Value]) -> Value:
    """``values[mode]``."""
    chosen = values[0]
    for index, value in enumerate(values[1:], start=1):
        chosen = Mux(mode == index, value, chosen)
    return chosen
