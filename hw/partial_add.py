"""Sums that are normalized in part only, or not rounded: a product added, and the end of a column."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hw.float_parts import normalize_steps, pick, rounding_steps
from hw.leading import align, strip
from hw.number import Number, wire
from hw.rows import above, with_below
from hw.stages import Step, check_pipeline, run_steps
from hw.unit import Unit
from sw_ref.float_sum import PartialSum
from sw_ref.interval import Interval

__all__ = ["PartialAdd", "PartialFinish"]

# Where the exponent is less, totals are not shifted to the left.
_LEAST = 16


class PartialAdd(Unit):
    """``sum = addend +- product * 2**(exponent + offset - sums.bias)``, see `sw_ref.float_sum.PartialSum`.

    Here a product is from 0 to 4: its top bit counts 2.

    Parameters
    ----------
    sums : PartialSum
        Of ``addend`` and ``sum``.
    product_bits : int
        At most those of a significand.
    exponent : int
        The largest.
    offset : int
        From 0 on.
    """

    latency = 0

    def __init__(self, *, sums: PartialSum, product_bits: int, exponent: int, offset: int) -> None:
        if product_bits > sums.significand:
            raise ValueError(f"Product must have at most {sums.significand} bits, not {product_bits}")
        if offset < 0:
            raise ValueError(f"Exponents must be at least -{sums.bias}, not {offset - sums.bias}")
        self.sums = sums
        self.offset = offset
        self._exponents = Interval(0, exponent)
        super().__init__(
            {
                "product": In(product_bits),
                "exponent": In(max(1, exponent.bit_length())),
                "negative": In(1),
                "addend": In(sums.bits),
                "sum": Out(sums.bits),
            }
        )

    @property
    def name(self) -> str:
        return f"add_{self.sums.name}_u{len(self.product)}_upto{self._exponents.hi}_plus_{self.offset}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        at = SimpleNamespace()
        self._order(m, at)
        self._add(m, at)
        if self.sums.places is None:
            self._normalize(m, at)
        else:
            self._shift(m, at)
        return m

    def _order(self, m: Module, at: SimpleNamespace) -> None:
        """Which of both has the larger exponent, and by how much."""
        bits = self.sums.significand
        at.mine, exponent = self.addend[: bits + 1], Number(self.addend[bits + 1 :])
        product = wire(m, "product_exponent", Number(self.exponent, self._exponents) + Number.constant(self.offset))
        distance = wire(m, "distance", exponent - product).value
        at.swapped = Signal(name="swapped")
        m.d.comb += at.swapped.eq(distance[-1] & self.product.any())
        # if the product's is larger, 1 less than by how much
        places = Signal(len(distance) - 1, name="places")
        m.d.comb += places.eq(distance[:-1] ^ distance[-1].replicate(len(places)))
        at.places = places
        at.exponent = Signal(self.sums.exponent, name="exponent")
        m.d.comb += at.exponent.eq(Mux(at.swapped, product.value, exponent.value))

    def _add(self, m: Module, at: SimpleNamespace) -> None:
        bits = self.sums.significand + 1
        product = Cat(Const(0, bits - 1 - len(self.product)), self.product, Const(0, 1))
        fill = at.swapped & at.mine[-1]
        small = Signal(bits - 1, name="small")
        # no more than its sign is 1 above these bits, which is made 0 meanwhile
        m.d.comb += small.eq(Mux(at.swapped, at.mine[1:] ^ fill.replicate(bits - 1), product))
        aligned, _lost, far = align(m, "align", small, at.places, apart=True)
        added, large = Signal(bits + 1, name="added"), Signal(bits + 1, name="large")
        flipped = Mux(at.swapped, fill, self.negative)
        word = Cat(aligned & ~far.replicate(bits - 1), Const(0, 1)) ^ flipped.replicate(bits)
        m.d.comb += [
            added.eq(word.as_signed()),
            large.eq(Mux(at.swapped, product ^ self.negative.replicate(bits), at.mine).as_signed()),
        ]
        at.total = Signal(bits + 1, name="total")
        carry = self.negative
        m.d.comb += at.total.eq(above(m, with_below(carry, added) + with_below(carry, large), at.total))

    def _normalize(self, m: Module, at: SimpleNamespace) -> None:
        """Exactly: a total has one bit more than is kept, and is shifted until it needs its top bit."""
        sign, enable = at.total[-1], at.exponent[_LEAST.bit_length() - 1 :].any()
        value, count = strip(m, at.total[:-1], sign, most=len(at.total) - 1, enable=enable)
        exponent = Signal(self.sums.exponent, name="stripped_exponent")
        m.d.comb += exponent.eq((Number(at.exponent) + Number.constant(1) - Number(count)).value)
        # with nothing else than its sign left, it is 0, unless it was not to be shifted
        zero = enable & ~sign & ~value[-1]
        # of a total that was halved
        lost = Signal(name="unused_lost", attrs={"keep": 1})
        m.d.comb += lost.eq(value[0])
        m.d.comb += self.sum.eq(Cat(value[1:], sign, exponent & ~zero.replicate(len(exponent))))

    def _shift(self, m: Module, at: SimpleNamespace) -> None:
        """Approximately: by one of few places."""
        total, bits = at.total, self.sums.significand
        sign, enable = total[-1], at.exponent[_LEAST.bit_length() - 1 :].any()
        places = [0, *self.sums.places]
        over = total[-2] ^ sign
        flat = [enable & ~(total[bits - place : -1] ^ sign.replicate(place + 1)).any() for place in places[1:]]
        choice = Signal(2, name="choice")
        first, second = flat[0], flat[-1] if len(flat) > 1 else Const(0, 1)
        # halved, or the place with this index less 1
        m.d.comb += choice.eq(Mux(over, 0, Cat(~first | second, first)))
        words = [total[1:], *(Cat(Const(0, place), total[: bits + 1 - place]) for place in places)]
        changes = [1, *(-place for place in places)]
        words, changes = (each + each[-1:] * (4 - len(each)) for each in (words, changes))
        change = Signal(self.sums.exponent, name="change")
        m.d.comb += change.eq(pick(choice, [Const(each & ((1 << len(change)) - 1), len(change)) for each in changes]))
        changed = Signal(len(change), name="changed_exponent")
        m.d.comb += [changed.eq(change + at.exponent), self.sum.eq(Cat(pick(choice, words), changed))]


class PartialFinish(Unit):
    """``code = sums.finish(sum)``, see `sw_ref.float_sum.PartialSum`.

    Parameters
    ----------
    sums : PartialSum
    pipeline : int
        Register stages, the last of them at the output, and so the latency.
    """

    def __init__(self, *, sums: PartialSum, pipeline: int) -> None:
        check_pipeline(pipeline)
        self.sums = sums
        self.latency = pipeline
        super().__init__({"sum": In(sums.bits), "code": Out(sums.shape.bits)})

    @property
    def name(self) -> str:
        return f"finish_{self.sums.name}_p{self.latency}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        bits = self.sums.significand + 1
        at = SimpleNamespace(sum=self.sum[:bits], x=self.sum[bits:], nan=Const(0), infinite=Const(0))
        steps = [
            Step(3, self._magnitude),
            *normalize_steps(bits),
            Step(1, self._exponent),
            *rounding_steps(self.sums.shape),
        ]
        run_steps(m, at, steps, registers=self.latency)
        m.d.comb += self.code.eq(at.code)
        return m

    def _magnitude(self, m: Module, at: SimpleNamespace) -> None:
        at.sign = at.sum[-1]
        at.significand = Signal(len(at.sum), name="magnitude")
        m.d.comb += at.significand.eq((at.sum ^ at.sign.replicate(len(at.sum))) + at.sign)
        del at.sum

    def _exponent(self, m: Module, at: SimpleNamespace) -> None:
        at.zero = ~at.significand[-1]
        # the top bit counts 4; 1 less, since the integer bit of the significand adds to the exponent
        offset = self.sums.shape.bias - self.sums.bias + 1
        at.exponent = wire(m, "exponent", Number(at.x) - Number(at.zeros) + Number.constant(offset))
