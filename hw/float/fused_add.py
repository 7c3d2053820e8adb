"""A fused multiply-add behind its multiplier: a float and an exact product are added, and rounded once."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hw.core.naming import format_name
from hw.core.number import Number, shape_of, wire
from hw.core.rows import above, with_below
from hw.core.stages import Step, check_pipeline, run_steps, stages_name
from hw.core.unit import Unit
from hw.float.leading import align_steps, strip_steps
from hw.float.parts import Fields, at_top, exponent_parts, exponents_name
from sw_ref.formats.minifloat import Float
from sw_ref.interval import Interval

__all__ = ["FusedAdd"]


class FusedAdd(Unit):
    """``sum = addend +- product * 2**(exponent - bias - product_bits + 1)``, rounded once.

    As `sw_ref.arith.float_sum.RoundedSum` says. Which of both is larger is told from their exponents alone. So their
    difference may come out negative, but then nothing of it was lost, and rounding does away with the complement: a
    number less 1, with ones for all the bits below, is rounded up to the number.

    Parameters
    ----------
    shape : Float
        Of ``addend``, which is a sum itself: not NaN, and where it is 0, all zeros; and of ``sum``.
    product_bits : int
    slack : int
        How far below the top bit of a product other than 0 its leading bit may be.
    exponents : Interval
        Of ``exponent``, that of the top bit of the product, biased as the exponent of ``shape`` is.
    pipeline : int
        Register stages, and so the latency; placed as if one more were at the output.
    """

    def __init__(self, *, shape: Float, product_bits: int, slack: int, exponents: Interval, pipeline: int) -> None:
        check_pipeline(pipeline)
        self.shape = shape
        self.slack = slack
        self.exponents = exponents
        self.latency = pipeline
        # two bits below what is kept, one for each place that the result may have to be shifted back
        self.bits = max(shape.fraction + 3 + slack, product_bits)
        super().__init__(
            {
                "product": In(product_bits),
                "exponent": In(shape_of(exponents)),
                "negative": In(1),
                "addend": In(shape.bits),
                "sum": Out(shape.bits),
            }
        )

    @property
    def name(self) -> str:
        product = f"u{len(self.product)}_slack{self.slack}_{exponents_name(self.exponents)}"
        return f"fused_add_{format_name(self.shape)}_{product}{stages_name(self.latency)}"

    @property
    def flushes(self) -> bool:
        """Whether a result other than 0 may be below the smallest normal."""
        # the last bit of a difference that is small is that of the product, or that of an addend half as large at least
        return self.exponents.lo - len(self.product) - self.shape.fraction < 1

    def circuit(self, platform: object) -> Module:
        m = Module()
        at = SimpleNamespace(addend=self.addend, product=self.product, exponent=self.exponent, negative=self.negative)
        steps = [
            Step(3, self._order),
            Step(2, self._select),
            *align_steps("align", bits=self.bits, apart=True),
            Step(2, self._operands),
            Step(4, self._add),
            *strip_steps(most=self.bits + 1),
            Step(3, self._exponent),
            Step(3, self._classify),
            Step(4, self._round),
        ]
        run_steps(m, at, steps, registers=self.latency, behind=False)
        m.d.comb += self.sum.eq(at.code)
        return m

    def _order(self, m: Module, at: SimpleNamespace) -> None:
        """Which of both has the larger exponent, and by how much."""
        product = Number(at.exponent, self.exponents)
        mine = Number(Fields(at.addend, self.shape).exponent)
        distance = wire(m, "distance", mine - product)
        at.there = Signal(name="product_is_there")
        at.swapped = Signal(name="swapped")
        less = distance.value[-1] if distance.interval.signed else Const(0, 1)
        m.d.comb += [at.there.eq(at.product.any()), at.swapped.eq(less & at.there)]
        # if the product's is larger, 1 less than by how much
        at.distance, at.less = distance.value[: len(distance.value) - distance.interval.signed], less

    def _select(self, m: Module, at: SimpleNamespace) -> None:
        """Which of both goes to the right."""
        addend = Fields(at.addend, self.shape)
        at.places = Signal(max(len(at.distance), self.bits.bit_length()), name="places")
        m.d.comb += at.places.eq(at.distance ^ at.less.replicate(len(at.distance)))
        mine, product = Number(addend.exponent), Number(at.exponent, self.exponents)
        at.exponent = Number(Mux(at.swapped, product.value, mine.value), mine.interval | product.interval)
        significand = at_top(Cat(addend.fraction, ~addend.is_zero), self.bits)
        at.product = at_top(at.product, self.bits)
        at.word, at.large = Signal(self.bits, name="small"), Signal(self.bits, name="larger")
        m.d.comb += [
            at.word.eq(Mux(at.swapped, significand >> 1, at.product)),
            at.large.eq(Mux(at.swapped, at.product, significand)),
        ]
        at.is_there = Mux(at.swapped, ~addend.is_zero, at.there)
        at.is_special = addend.is_special
        at.subtract = Signal(name="subtract")
        m.d.comb += at.subtract.eq(addend.sign ^ at.negative)
        at.sign = Mux(at.swapped & ~addend.is_special, at.negative, addend.sign)

    def _operands(self, m: Module, at: SimpleNamespace) -> None:
        bits = self.bits + 1
        lost, added = Signal(name="lost"), Signal(bits, name="added")
        m.d.comb += lost.eq(Mux(at.far, at.is_there, at.lost))
        aligned = at.word & ~at.far.replicate(self.bits)
        m.d.comb += added.eq(Cat(aligned, Const(0, 1)) ^ at.subtract.replicate(bits))
        at.lost, at.added = lost, added

    def _add(self, m: Module, at: SimpleNamespace) -> None:
        bits = self.bits + 1
        large, total, carry = Signal(bits, name="large"), Signal(bits, name="total"), Signal(name="carry")
        m.d.comb += [large.eq(at.large), carry.eq(at.subtract & ~at.lost)]
        m.d.comb += total.eq(above(m, with_below(carry, at.added) + with_below(carry, large), total))
        at.bit = Signal(name="complement")
        m.d.comb += at.bit.eq(at.subtract & total[-1])
        at.word = Cat(at.lost, total)

    def _exponent(self, m: Module, at: SimpleNamespace) -> None:
        bits = len(at.word)
        at.power_of_two = at.bit & ~at.word[:-1].any()
        significand = Signal(bits, name="significand")
        m.d.comb += significand.eq(at.word ^ at.bit.replicate(bits))
        # 1 more, since a carry is above the top
        at.exponent = wire(m, "exponent", at.exponent + Number.constant(1) - Number(at.count))
        below = bits - 1 - self.shape.fraction
        at.kept, guard, rest = significand[below:], significand[below - 1], significand[: below - 1]
        last = at.kept[0]
        at.up = guard & (last | rest.any())
        if len(self.product) > self.shape.fraction + 1:
            # a tie that was complemented
            at.up = (guard & (last | rest.any() | at.bit)) | (at.bit & ~guard & rest.all() & last)

    def _classify(self, m: Module, at: SimpleNamespace) -> None:
        """What is infinite, or 0."""
        field, negative, beyond = exponent_parts(at.exponent, self.shape)
        # what was complemented and is a power of two still looks like less
        small = negative | (~beyond & ~field.any() & ~at.power_of_two)
        is_there = at.kept[-1]
        at.special, at.empty = Signal(name="is_special"), Signal(name="is_empty")
        m.d.comb += [
            at.special.eq(at.is_special | (is_there & ~negative & (beyond | field.all()))),
            at.empty.eq(~is_there | (small if self.flushes else 0)),
        ]
        at.field = field

    def _round(self, m: Module, at: SimpleNamespace) -> None:
        shape = self.shape
        plain = Signal(name="is_plain")
        m.d.comb += plain.eq(~at.special & ~at.empty)
        base = Signal(shape.bits - 1, name="base")
        m.d.comb += base.eq(
            Cat(
                at.kept[:-1] & plain.replicate(shape.fraction),
                (at.field & plain.replicate(shape.exponent)) | at.special.replicate(shape.exponent),
            )
        )
        code = Signal(shape.bits - 1, name="code")
        m.d.comb += code.eq(base + (at.up & plain))
        sign = at.sign ^ (at.bit & ~at.is_special)
        at.code = Cat(code, sign & (at.special | ~at.empty))
