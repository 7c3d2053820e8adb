"""A fused multiply-add behind its multiplier: a float and an exact product are added, and rounded once."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.float_parts import Fields, shape_name
from hw.leading import align, strip
from hw.number import Number, wire
from hw.rows import above, with_below
from hw.unit import Unit
from sw_ref.binary_float import FloatShape
from sw_ref.interval import Interval

__all__ = ["FusedAdd"]


class FusedAdd(Unit):
    """``sum = addend +- product * 2**(exponent + offset - bias - product_bits + 1)``, rounded once.

    As `sw_ref.float_sum.RoundedSum` says. Which of both is larger is told from their exponents alone. So their
    difference may come out negative, but then nothing of it was lost, and rounding does away with the complement: a
    number less 1, with ones for all the bits below, is rounded up to the number.

    Parameters
    ----------
    shape : FloatShape
        Of ``addend``, which is a sum itself: not NaN, and where it is 0, all zeros; and of ``sum``.
    product_bits : int
    slack : int
        How far below the top bit of a product other than 0 its leading bit may be.
    exponent : int
        The largest.
    offset : int
        ``exponent + offset`` is the exponent, biased as that of ``shape``, of the top bit of the product.
    """

    latency = 0

    def __init__(self, *, shape: FloatShape, product_bits: int, slack: int, exponent: int, offset: int) -> None:
        self.shape = shape
        self.slack = slack
        self.offset = offset
        self._exponents = Interval(0, exponent)
        # two bits below what is kept, one for each place that the result may have to be shifted back
        self.bits = max(shape.fraction + 3 + slack, product_bits)
        super().__init__(
            {
                "product": In(product_bits),
                "exponent": In(max(1, exponent.bit_length())),
                "negative": In(1),
                "addend": In(shape.bits),
                "sum": Out(shape.bits),
            }
        )

    @property
    def name(self) -> str:
        offset = f"{'m' if self.offset < 0 else ''}{abs(self.offset)}"
        product = f"u{len(self.product)}_slack{self.slack}_upto{self._exponents.hi}_plus_{offset}"
        return f"fused_add_{shape_name(self.shape)}_{product}"

    @property
    def flushes(self) -> bool:
        """Whether a result other than 0 may be below the smallest normal."""
        # the last bit of a difference that is small is that of the product, or that of an addend half as large at least
        return self.offset - len(self.product) - self.shape.fraction < 1

    def circuit(self, platform: object) -> Module:
        m = Module()
        at = SimpleNamespace(addend=Fields(self.addend, self.shape))
        self._order(m, at)
        self._align(m, at)
        self._add(m, at)
        self._normalize(m, at)
        self._finish(m, at)
        return m

    def _order(self, m: Module, at: SimpleNamespace) -> None:
        """Which of both has the larger exponent, and by how much."""
        mine = Number(at.addend.exponent)
        product = wire(m, "product_exponent", Number(self.exponent, self._exponents) + Number.constant(self.offset))
        distance = wire(m, "distance", mine - product)
        less = distance.value[-1] if distance.interval.signed else Const(0, 1)
        at.there = Signal(name="product_is_there")
        at.swapped = Signal(name="swapped")
        m.d.comb += [at.there.eq(self.product.any()), at.swapped.eq(less & at.there)]
        # if the product's is larger, 1 less than by how much
        bits = len(distance.value) - distance.interval.signed
        at.distance = Signal(max(bits, self.bits.bit_length()), name="places")
        m.d.comb += at.distance.eq(distance.value[:bits] ^ less.replicate(bits))
        exponent = mine.interval | product.interval
        at.exponent = Number(Mux(at.swapped, product.value, mine.value), exponent)
        at.subtract = Signal(name="subtract")
        m.d.comb += at.subtract.eq(at.addend.sign ^ self.negative)

    def _align(self, m: Module, at: SimpleNamespace) -> None:
        """The one with the smaller exponent, shifted to the right, and whether a 1 fell out."""
        mine = Cat(at.addend.fraction, ~at.addend.is_zero)
        small = Signal(self.bits, name="small")
        m.d.comb += small.eq(Mux(at.swapped, _at_top(mine, self.bits) >> 1, _at_top(self.product, self.bits)))
        aligned, lost, far = align(m, "align", small, at.distance, apart=True)
        is_there = Mux(at.swapped, ~at.addend.is_zero, at.there)
        at.lost = Signal(name="lost")
        m.d.comb += at.lost.eq(Mux(far, is_there, lost))
        at.aligned = aligned & ~far.replicate(self.bits)
        mine_at_top = _at_top(mine, self.bits)
        at.large = Mux(at.swapped, _at_top(self.product, self.bits), mine_at_top)

    def _add(self, m: Module, at: SimpleNamespace) -> None:
        bits = self.bits + 1
        added, large = Signal(bits, name="added"), Signal(bits, name="large")
        m.d.comb += added.eq(Cat(at.aligned, Const(0, 1)) ^ at.subtract.replicate(bits))
        m.d.comb += large.eq(at.large)
        total = Signal(bits, name="total")
        carry = Signal(name="carry")
        m.d.comb += carry.eq(at.subtract & ~at.lost)
        m.d.comb += total.eq(above(m, with_below(carry, added) + with_below(carry, large), total))
        at.total = Cat(at.lost, total)
        at.complement = Signal(name="complement")
        m.d.comb += at.complement.eq(at.subtract & total[-1])

    def _normalize(self, m: Module, at: SimpleNamespace) -> None:
        value, zeros = strip(m, at.total, at.complement, most=len(at.total) - 1)
        at.power_of_two = at.complement & ~value[:-1].any()
        at.significand = Signal(len(value), name="significand")
        m.d.comb += at.significand.eq(value ^ at.complement.replicate(len(value)))
        # 1 more, since a carry is above the top
        at.exponent = wire(m, "exponent", at.exponent + Number.constant(1) - Number(zeros))

    def _finish(self, m: Module, at: SimpleNamespace) -> None:
        shape, significand, exponent = self.shape, at.significand, at.exponent
        below = len(significand) - 1 - shape.fraction
        kept, guard, rest = significand[below:-1], significand[below - 1], significand[: below - 1]
        up = guard & (kept[0] | rest.any())
        if len(self.product) > shape.fraction + 1:
            # a tie that was complemented
            up = (guard & (kept[0] | rest.any() | at.complement)) | (at.complement & ~guard & rest.all() & kept[0])
        field = exponent.value[: shape.exponent]
        negative = exponent.value[-1] if exponent.interval.signed else Const(0, 1)
        beyond = exponent.value[shape.exponent : len(exponent.value) - exponent.interval.signed].any()
        # what was complemented and is a power of two still looks like less
        small = negative | (~beyond & ~field.any() & ~at.power_of_two)
        special, empty = Signal(name="is_special"), Signal(name="is_empty")
        m.d.comb += [
            special.eq(at.addend.is_special | (significand[-1] & ~negative & (beyond | field.all()))),
            empty.eq(~significand[-1] | (small if self.flushes else 0)),
        ]
        plain = Signal(name="is_plain")
        m.d.comb += plain.eq(~special & ~empty)
        base = Signal(shape.bits - 1, name="base")
        m.d.comb += base.eq(
            Cat(
                kept & plain.replicate(shape.fraction),
                (field & plain.replicate(shape.exponent)) | special.replicate(shape.exponent),
            )
        )
        code = Signal(shape.bits - 1, name="code")
        m.d.comb += code.eq(base + (up & plain))
        sign = Mux(at.swapped, self.negative, at.addend.sign) ^ at.complement
        sign = Mux(at.addend.is_special, at.addend.sign, sign)
        m.d.comb += self.sum.eq(Cat(code, sign & (special | ~empty)))


def _at_top(value: Value, bits: int) -> Value:
    return Cat(Const(0, bits - len(value)), value)
