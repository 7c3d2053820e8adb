"""Sums that are normalized in part only, or not rounded: a product added, and the end of a column."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hw.core.number import Number, shape_of, wire
from hw.core.rows import above, with_below
from hw.core.select import pick
from hw.core.stages import Step, check_pipeline, run_steps, stages_name
from hw.core.unit import Unit
from hw.float.leading import align_steps, strip_steps
from hw.float.parts import exponents_name, normalize_steps, rounding_steps
from sw_ref.arith.float_sum import PartialSum
from sw_ref.interval import Interval

__all__ = ["PartialAdd", "PartialFinish"]

# Where the exponent is less, totals are not shifted to the left.
_LEAST = 16


class PartialAdd(Unit):
    """``sum = addend +- product * 2**(exponent - sums.bias)``, see `sw_ref.arith.float_sum.PartialSum`.

    Here a product is from 0 to 4: its top bit counts 2.

    Parameters
    ----------
    sums : PartialSum
        Of ``addend`` and ``sum``.
    product_bits : int
        At most those of a significand.
    exponents : Interval
        Of ``exponent``, from 0 on.
    pipeline : int
        Register stages, and so the latency; placed as if one more were at the output.
    """

    def __init__(self, *, sums: PartialSum, product_bits: int, exponents: Interval, pipeline: int) -> None:
        check_pipeline(pipeline)
        if product_bits > sums.significand:
            raise ValueError(f"Product must have at most {sums.significand} bits, not {product_bits}")
        if exponents.lo < 0:
            raise ValueError(f"Exponents must be at least -{sums.bias}, not {exponents.lo - sums.bias}")
        self.sums = sums
        self.exponents = exponents
        self.latency = pipeline
        super().__init__(
            {
                "product": In(product_bits),
                "exponent": In(shape_of(exponents)),
                "negative": In(1),
                "addend": In(sums.bits),
                "sum": Out(sums.bits),
            }
        )

    @property
    def name(self) -> str:
        return f"add_{self.sums.name}_u{len(self.product)}_{exponents_name(self.exponents)}{stages_name(self.latency)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        bits = self.sums.significand
        at = SimpleNamespace(
            mine=self.addend[: bits + 1],
            mine_exponent=self.addend[bits + 1 :],
            product=self.product,
            exponent=self.exponent,
            negative=self.negative,
        )
        if self.sums.places is None:
            shift = [*strip_steps(most=bits + 1, enabled=True), Step(3, self._stripped)]
        else:
            shift = [Step(3, self._choose), Step(3, self._shift)]
        steps = [
            Step(3, self._order),
            Step(2, self._select),
            *align_steps("align", bits=bits, apart=True),
            Step(2, self._operands),
            Step(3, self._add),
            *shift,
        ]
        run_steps(m, at, steps, registers=self.latency, behind=False)
        m.d.comb += self.sum.eq(at.code)
        return m

    @property
    def _places(self) -> tuple[int, ...]:
        """How far a total can be shifted, where that is few places."""
        assert self.sums.places is not None
        return self.sums.places

    def _order(self, m: Module, at: SimpleNamespace) -> None:
        """Which of both has the larger exponent, and by how much."""
        at.distance = wire(m, "distance", Number(at.mine_exponent) - Number(at.exponent, self.exponents)).value
        at.there, at.swapped = Signal(name="product_is_there"), Signal(name="swapped")
        m.d.comb += [at.there.eq(at.product.any()), at.swapped.eq(at.distance[-1] & at.there)]

    def _select(self, m: Module, at: SimpleNamespace) -> None:
        """Which of both goes to the right."""
        bits = self.sums.significand + 1
        # if the product's is larger, 1 less than by how much
        at.places = Signal(len(at.distance) - 1, name="places")
        exponent = Signal(self.sums.exponent, name="exponent")
        product = Cat(Const(0, bits - 1 - len(at.product)), at.product, Const(0, 1))
        fill = at.swapped & at.mine[-1]
        at.word, at.large = Signal(bits - 1, name="small"), Signal(bits, name="larger")
        m.d.comb += [
            at.places.eq(at.distance[:-1] ^ at.distance[-1].replicate(len(at.places))),
            exponent.eq(Mux(at.swapped, at.exponent, at.mine_exponent)),
            # no more than its sign is 1 above these bits, which is made 0 meanwhile
            at.word.eq(Mux(at.swapped, at.mine[1:] ^ fill.replicate(bits - 1), product)),
            at.large.eq(Mux(at.swapped, product ^ at.negative.replicate(bits), at.mine)),
        ]
        at.exponent = exponent
        at.flipped = Mux(at.swapped, fill, at.negative)
        # a product of 0 changes nothing
        at.enable = at.there & exponent[_LEAST.bit_length() - 1 :].any()

    def _operands(self, m: Module, at: SimpleNamespace) -> None:
        bits = self.sums.significand + 1
        at.added = Signal(bits + 1, name="added")
        word = Cat(at.word & ~at.far.replicate(bits - 1), Const(0, 1)) ^ at.flipped.replicate(bits)
        m.d.comb += at.added.eq(word.as_signed())

    def _add(self, m: Module, at: SimpleNamespace) -> None:
        bits = self.sums.significand + 1
        large = Signal(bits + 1, name="large")
        total = Signal(bits + 1, name="total")
        m.d.comb += large.eq(at.large.as_signed())
        m.d.comb += total.eq(above(m, with_below(at.negative, at.added) + with_below(at.negative, large), total))
        at.total, at.bit, at.word = total, total[-1], total[:-1]

    def _stripped(self, m: Module, at: SimpleNamespace) -> None:
        """Exactly: a total has one bit more than is kept, and was shifted until it needs its top bit."""
        sign, value = at.bit, at.word
        exponent = Signal(self.sums.exponent, name="stripped_exponent")
        m.d.comb += exponent.eq((Number(at.exponent) + Number.constant(1) - Number(at.count)).value)
        # with nothing else than its sign left, it is 0, unless it was not to be shifted
        zero = at.enable & ~sign & ~value[-1]
        # of a total that was halved
        lost = Signal(name="unused_lost", attrs={"keep": 1})
        m.d.comb += lost.eq(value[0])
        at.code = Cat(value[1:], sign, exponent & ~zero.replicate(len(exponent)))

    def _choose(self, m: Module, at: SimpleNamespace) -> None:
        """By which of few places: halved, or that with this index less 1."""
        total, bits, enable = at.total, self.sums.significand, at.enable
        sign = total[-1]
        over = total[-2] ^ sign
        flat = [enable & ~(total[bits - place : -1] ^ sign.replicate(place + 1)).any() for place in self._places]
        first, second = flat[0], flat[-1] if len(flat) > 1 else Const(0, 1)
        at.choice = Signal(2, name="choice")
        m.d.comb += at.choice.eq(Mux(over, 0, Cat(~first | second, first)))

    def _shift(self, m: Module, at: SimpleNamespace) -> None:
        """Approximately: by one of few places."""
        total, bits = at.total, self.sums.significand
        places = [0, *self._places]
        words = [total[1:], *(Cat(Const(0, place), total[: bits + 1 - place]) for place in places)]
        changes = [1, *(-place for place in places)]
        words, changes = (each + each[-1:] * (4 - len(each)) for each in (words, changes))
        change, changed = (Signal(self.sums.exponent, name=name) for name in ("change", "changed_exponent"))
        codes = [Const(each & ((1 << len(change)) - 1), len(change)) for each in changes]
        m.d.comb += [change.eq(pick(at.choice, codes)), changed.eq(change + at.exponent)]
        at.code = Cat(pick(at.choice, words), changed)


class PartialFinish(Unit):
    """``code = sums.finish(sum)``, see `sw_ref.arith.float_sum.PartialSum`.

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
