"""Products and a float aligned to the largest exponent among them, truncated, and added all at once."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from hw.float_parts import Fields
from hw.leading import align, strip
from hw.number import Number, wire
from hw.rows import above, with_below
from hw.unit import Unit, place
from sw_ref.float_sum import AlignedSum
from sw_ref.interval import Interval

__all__ = ["AlignedAdd", "Larger", "TermAdd"]


class AlignedAdd(Unit):
    """``sum = addend + sum over lanes of +-product * 2**(exponent + offset - bias)``, all truncated alike.

    As `sw_ref.float_sum.AlignedSum` says. Here a product is from 0 to 4: its top bit counts 2.

    Parameters
    ----------
    sums : AlignedSum
        Of ``addend``, which is not NaN, and where it is 0, all zeros; and of ``sum``.
    lanes : int
    product_bits : int
    exponent : int
        The largest.
    offset : int
        ``exponent + offset`` is biased as the exponent of ``addend`` is.
    """

    latency = 0

    def __init__(self, *, sums: AlignedSum, lanes: int, product_bits: int, exponent: int, offset: int) -> None:
        self.sums = sums
        self.lanes = lanes
        self.product_bits = product_bits
        self.exponent_bits = max(1, exponent.bit_length())
        self.offset = offset
        self._exponents = Interval(0, exponent)
        super().__init__(
            {
                "product": In(lanes * product_bits),
                "exponent": In(lanes * self.exponent_bits),
                "negative": In(lanes),
                "addend": In(sums.bits),
                "sum": Out(sums.bits),
            }
        )

    @property
    def name(self) -> str:
        offset = f"{'m' if self.offset < 0 else ''}{abs(self.offset)}"
        product = f"{self.lanes}xu{self.product_bits}_upto{self._exponents.hi}_plus_{offset}"
        return f"add_{self.sums.name}_{product}"

    @property
    def term_bits(self) -> int:
        """Width of an aligned term without its sign: two bits before the point."""
        return self.sums.fraction + 2

    def circuit(self, platform: object) -> Module:
        m = Module()
        at = SimpleNamespace(addend=Fields(self.addend, self.sums.shape))
        at.products = [self.product.word_select(lane, self.product_bits) for lane in range(self.lanes)]
        at.exponents = [self.exponent.word_select(lane, self.exponent_bits) for lane in range(self.lanes)]
        self._largest(m, at)
        self._add(m, at)
        self._finish(m, at)
        return m

    def _largest(self, m: Module, at: SimpleNamespace) -> None:
        """The largest exponent, counted as those of products, and whether it is that of a product."""
        there = [product.any() for product in at.products]
        level = [Signal(self.exponent_bits, name=f"exponent_{lane}") for lane in range(self.lanes)]
        m.d.comb += [
            word.eq(Mux(flag, exponent, 0)) for word, flag, exponent in zip(level, there, at.exponents, strict=True)
        ]
        depth = 0
        while len(level) > 1:
            pairs, odd = list(zip(level[::2], level[1::2], strict=False)), level[len(level) // 2 * 2 :]
            level = []
            for index, (x, y) in enumerate(pairs):
                unit = place(m, f"larger_{depth}_{index}", Larger(bits=self.exponent_bits))
                m.d.comb += [unit.x.eq(x), unit.y.eq(y)]
                level.append(unit.larger)
            level, depth = level + odd, depth + 1
        product = Number(level[0], self._exponents)
        mine = wire(m, "addend_exponent", Number(at.addend.exponent) - Number.constant(self.offset))
        distance = wire(m, "distance", mine - product).value
        at.swapped = Signal(name="swapped")
        m.d.comb += at.swapped.eq(distance[-1] & Cat(there).any())
        # how far the addend goes to the right, less 1
        at.places = (~distance[:-1]) & at.swapped.replicate(len(distance) - 1)
        # beyond these bits nothing is left of any product
        bits = (self._exponents.hi + self.term_bits).bit_length()
        low, high = mine.value[: min(bits, len(mine.value))], mine.value[bits:]
        at.beyond = Signal(name="beyond")
        m.d.comb += at.beyond.eq(~at.swapped & high.any())
        at.largest = Signal(bits, name="largest")
        m.d.comb += at.largest.eq(Mux(at.swapped, product.value, low))
        biased = wire(m, "biased", product + Number.constant(self.offset))
        at.exponent = Number(Mux(at.swapped, biased.value, at.addend.exponent))

    def _add(self, m: Module, at: SimpleNamespace) -> None:
        bits = self.term_bits
        # one integer bit less than a product, and so one place further down
        mine = Cat(at.addend.fraction, ~at.addend.is_zero, Const(0, 1))
        mine = Cat(Const(0, max(bits - len(mine), 0)), mine)
        mine = Mux(at.swapped, mine >> 1, mine)
        mine, _lost, far = align(m, "addend", mine, at.places, apart=False)
        sign = at.addend.sign
        running: Value = Signal(signed(bits + 1), name="running")
        aligned = mine & ~far.replicate(bits)
        m.d.comb += running.eq((Cat(aligned, Const(0, 1)) ^ sign.replicate(bits + 1)).as_signed())
        most = 1 << bits - 1
        for lane in range(self.lanes):
            product = _at_top(at.products[lane], bits)
            places = Signal(len(at.largest), name=f"places_{lane}")
            m.d.comb += places.eq(at.largest - at.exponents[lane])
            term, _lost, far = align(m, f"term_{lane}", product, places, apart=False)
            # the addend's complement is 1 less than its negative
            most += 1 << bits
            row = TermAdd(x_bits=len(running), term_bits=bits, sum_bits=Interval(-most - 1, most).signed_bits)
            place(m, f"row_{lane}", row)
            m.d.comb += [
                row.x.eq(running),
                row.term.eq(term),
                row.gone.eq(far | at.beyond),
                row.negative.eq(self.negative[lane]),
            ]
            running = row.sum
        negative = running[-1]
        at.negative = negative
        at.magnitude = Signal(len(running) - 1, name="magnitude")
        # the 1 that the sum's complement lacks, and the one that the addend's did
        carry = negative ^ sign
        m.d.comb += at.magnitude.eq((running[:-1] ^ negative.replicate(len(at.magnitude))) + carry)

    def _finish(self, m: Module, at: SimpleNamespace) -> None:
        shape, bits = self.sums.shape, len(at.magnitude)
        value, zeros = strip(m, at.magnitude, Const(0, 1), most=bits - 1)
        above_one = bits - 1 - self.sums.fraction
        exponent = wire(m, "exponent", at.exponent + Number.constant(above_one) - Number(zeros))
        field = exponent.value[: shape.exponent]
        negative = exponent.value[-1] if exponent.interval.signed else Const(0, 1)
        beyond = exponent.value[shape.exponent : len(exponent.value) - exponent.interval.signed].any()
        special, empty = Signal(name="is_special"), Signal(name="is_empty")
        m.d.comb += [
            special.eq(at.addend.is_special | (value[-1] & ~negative & (beyond | field.all()))),
            empty.eq(~special & (~value[-1] | negative | ~(beyond | field.any()))),
        ]
        plain = ~(special | empty)
        unused = Signal(bits, name="unused_below_significand", attrs={"keep": 1})
        m.d.comb += unused.eq(value)
        kept = Cat(Const(0, max(shape.fraction - bits + 1, 0)), value[:-1])[-shape.fraction :]
        sign = Mux(at.addend.is_special, at.addend.sign, at.negative) & ~empty
        m.d.comb += self.sum.eq(
            Cat(
                kept & plain.replicate(shape.fraction),
                (field & plain.replicate(shape.exponent)) | special.replicate(shape.exponent),
                sign,
            )
        )


class Larger(Unit):
    """``larger = max(x, y)``, of unsigned integers."""

    def __init__(self, *, bits: int) -> None:
        super().__init__({"x": In(bits), "y": In(bits), "larger": Out(bits)})

    @property
    def name(self) -> str:
        return f"larger_of_u{len(self.x)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.larger.eq(Mux(self.x < self.y, self.y, self.x))
        return m


class TermAdd(Unit):
    """``sum = x +- term``, or ``x`` where the term is ``gone``: one carry chain.

    Parameters
    ----------
    x_bits, sum_bits : int
        Widths, signed. ``sum`` must hold every result that occurs.
    term_bits : int
        Unsigned.
    """

    def __init__(self, *, x_bits: int, term_bits: int, sum_bits: int) -> None:
        super().__init__(
            {
                "x": In(signed(x_bits)),
                "term": In(term_bits),
                "gone": In(1),
                "negative": In(1),
                "sum": Out(signed(sum_bits)),
            }
        )

    @property
    def name(self) -> str:
        return f"add_term_i{len(self.x)}_u{len(self.term)}_i{len(self.sum)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # Written as a difference, since synthesis may swap the operands of a sum, and the chain is to take x as it is.
        word = Cat(Mux(self.gone, 0, self.term), Const(0, 1)) ^ self.negative.replicate(len(self.term) + 1)
        total = with_below(self.negative, self.x) - with_below(1, ~word.as_signed())
        m.d.comb += self.sum.eq(above(m, total, self.sum))
        return m


def _at_top(value: Value, bits: int) -> Value:
    """The top bits of ``value``, or zeros below it."""
    return Cat(Const(0, max(bits - len(value), 0)), value)[-bits:]
