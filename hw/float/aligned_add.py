"""Products and a float aligned to the largest exponent among them, truncated, and added all at once."""

from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hw.core.number import Number, shape_of, wire
from hw.core.rows import above, add_pairs, with_below
from hw.core.stages import Step, check_pipeline, run_steps, side_by_side, stages_name
from hw.core.unit import Unit, place
from hw.float.leading import align_steps, strip_steps
from hw.float.parts import Fields, at_top, exponent_parts
from sw_ref.arith.float_sum import AlignedSum
from sw_ref.interval import Interval

__all__ = ["AlignedAdd", "Larger", "TermAdd", "largest_steps"]


# Terms that are added one after the other; the sums of such chains, then, in pairs.
_CHAIN = 4


def largest_steps(*, lanes: int, exponent: int, offset: int) -> list[Step]:
    """Steps that find the largest exponent of products that are not 0; ``exponent`` is the largest that can be.

    ``at.parts`` has a namespace for each lane, with Values ``there``, whether its product counts, and ``exponent``.
    They leave ``at.largest``, and ``at.biased``, which is ``offset`` more; both are 0 if there is none.
    """
    depth = (lanes - 1).bit_length()
    halves = [Step(4, partial(_halve, depth=level)) for level in range(depth)]
    return [Step(1, _gate_exponents), *halves, Step(3, partial(_top, exponent=exponent, offset=offset))]


class AlignedAdd(Unit):
    """``sum = addend + sum over lanes of +-product * 2**(exponent + offset - bias)``, all truncated alike.

    As `sw_ref.arith.float_sum.AlignedSum` says. Here a product is from 0 to 4: its top bit counts 2.

    Parameters
    ----------
    sums : AlignedSum
        Of ``addend``, which is not NaN, and where it is 0, all zeros; and of ``sum``.
    lanes : int
    product_bits : int
    exponent : int
        The largest; ``largest`` and ``biased`` say which is, see `largest_steps`.
    offset : int
        ``exponent + offset`` is biased as the exponent of ``addend`` is.
    pipeline : int
        Register stages, and so the latency; placed as if one more were at the output.
    """

    def __init__(
        self, *, sums: AlignedSum, lanes: int, product_bits: int, exponent: int, offset: int, pipeline: int
    ) -> None:
        check_pipeline(pipeline)
        self.sums = sums
        self.lanes = lanes
        self.product_bits = product_bits
        self.exponent_bits = max(1, exponent.bit_length())
        self.offset = offset
        self.latency = pipeline
        self._exponents = Interval(0, exponent)
        super().__init__(
            {
                "product": In(lanes * product_bits),
                "exponent": In(lanes * self.exponent_bits),
                "negative": In(lanes),
                "largest": In(self.exponent_bits),
                "biased": In(shape_of(self._biased)),
                "addend": In(sums.bits),
                "sum": Out(sums.bits),
            }
        )

    @property
    def name(self) -> str:
        offset = f"{'m' if self.offset < 0 else ''}{abs(self.offset)}"
        product = f"{self.lanes}xu{self.product_bits}_upto{self._exponents.hi}_plus_{offset}"
        return f"add_{self.sums.name}_{product}{stages_name(self.latency)}"

    @property
    def term_bits(self) -> int:
        """Width of an aligned term without its sign: two bits before the point."""
        return self.sums.fraction + 2

    def circuit(self, platform: object) -> Module:
        m = Module()
        at = SimpleNamespace(addend=self.addend, largest=self.largest, biased=self.biased)
        at.parts = [
            SimpleNamespace(
                word=at_top(self.product.word_select(lane, self.product_bits), self.term_bits),
                exponent=self.exponent.word_select(lane, self.exponent_bits),
                negative=self.negative[lane],
            )
            for lane in range(self.lanes)
        ]
        terms = [align_steps(f"term_{lane}", bits=self.term_bits, apart=False) for lane in range(self.lanes)]
        addend = align_steps("addend", bits=self.term_bits, apart=False)
        rows = min(self.lanes, _CHAIN)
        sums = (-(-self.lanes // _CHAIN) - 1).bit_length()
        steps = [
            Step(4, self._order),
            Step(4, self._places),
            *side_by_side([*terms, addend]),
            Step(3, self._first),
            *(Step(2, partial(self._row, row=row)) for row in range(rows)),
            *(Step(3, partial(_add_chains, level=level)) for level in range(sums)),
            Step(4, self._magnitude),
            *strip_steps(most=self.total_bits - 2),
            Step(3, self._exponent),
            Step(3, self._classify),
            Step(1, self._finish),
        ]
        run_steps(m, at, steps, registers=self.latency, behind=False)
        m.d.comb += self.sum.eq(at.code)
        return m

    @property
    def _biased(self) -> Interval:
        """Exponents of products, biased as that of ``addend`` is, or 0, which no addend's is below."""
        return self._exponents + Interval(self.offset, self.offset) | 0

    @property
    def _started(self) -> Interval:
        """What the aligned addend can be, as its complement if it is negative."""
        most = 1 << self.term_bits - 1
        return Interval(-most, most - 1)

    @property
    def total_bits(self) -> int:
        """Width of the sum of all terms."""
        return (self._started + self._term * self.lanes).signed_bits

    @property
    def _term(self) -> Interval:
        """What an aligned product can be."""
        most = (1 << self.term_bits) - 1
        return Interval(-most, most)

    def _order(self, m: Module, at: SimpleNamespace) -> None:
        """Whether the largest exponent, counted as those of products are, is that of a product."""
        addend = Fields(at.addend, self.sums.shape)
        mine = wire(m, "addend_exponent", Number(addend.exponent) - Number.constant(self.offset))
        at.distance = wire(m, "distance", Number(addend.exponent) - Number(at.biased, self._biased)).value
        at.swapped = at.distance[-1]
        # beyond these bits nothing is left of any product
        bits = (self._exponents.hi + self.term_bits).bit_length()
        at.near, at.high = mine.value[: min(bits, len(mine.value))], mine.value[bits:]

    def _places(self, m: Module, at: SimpleNamespace) -> None:
        """How far each term goes to the right."""
        addend, bits = Fields(at.addend, self.sums.shape), self.term_bits
        biased, mine = Number(at.biased, self._biased), Number(addend.exponent)
        at.exponent = Number(Mux(at.swapped, biased.value, mine.value), biased.interval | mine.interval)
        at.beyond = Signal(name="beyond")
        m.d.comb += at.beyond.eq(~at.swapped & at.high.any())
        at.sign, at.is_special = addend.sign, addend.is_special
        largest = Signal((self._exponents.hi + bits).bit_length(), name="largest_exponent")
        m.d.comb += largest.eq(Mux(at.swapped, at.largest, at.near))
        known = (bits - 1).bit_length()
        for lane, part in enumerate(at.parts):
            places = Signal(len(largest), name=f"places_{lane}")
            m.d.comb += places.eq(largest - part.exponent)
            # whether the rest is 0 is left for later: a long way leads here
            part.places, part.rest = places[:known], places[known:]
        # one integer bit less than a product, and so one place further down
        mine = Cat(addend.fraction, ~addend.is_zero, Const(0, 1))
        mine = Cat(Const(0, max(bits - len(mine), 0)), mine)
        # the addend's, less 1
        places = (~at.distance[:-1]) & at.swapped.replicate(len(at.distance) - 1)
        at.parts.append(SimpleNamespace(word=Mux(at.swapped, mine >> 1, mine), places=places))

    def _first(self, m: Module, at: SimpleNamespace) -> None:
        """What chains begin with: the addend, and 0."""
        bits, addend = self.term_bits, at.parts.pop()
        aligned = addend.word & ~addend.far.replicate(bits)
        for part in at.parts:
            # near its lane, since ``beyond`` is everybody's
            part.gone = part.rest.any() | at.beyond
        running = Signal(signed(bits + 1), name="running")
        m.d.comb += running.eq((Cat(aligned, Const(0, 1)) ^ at.sign.replicate(bits + 1)).as_signed())
        chains = -(-self.lanes // _CHAIN)
        at.terms = [Number(running, self._started), *(Number.constant(0) for _chain in range(1, chains))]

    def _row(self, m: Module, at: SimpleNamespace, *, row: int) -> None:
        """One more term in each chain."""
        for chain in range(len(at.terms)):
            lane = chain * _CHAIN + row
            if lane < self.lanes:
                running, part = at.terms[chain], at.parts[lane]
                interval = running.interval + self._term
                unit = TermAdd(
                    x_bits=running.interval.signed_bits, term_bits=self.term_bits, sum_bits=interval.signed_bits
                )
                place(m, f"row_{lane}", unit)
                m.d.comb += [
                    unit.x.eq(running.value),
                    unit.term.eq(part.word),
                    unit.gone.eq(part.gone),
                    unit.negative.eq(part.negative),
                ]
                at.terms[chain] = Number(unit.sum, interval)

    def _magnitude(self, m: Module, at: SimpleNamespace) -> None:
        total = at.terms[0].value
        negative = total[-1]
        magnitude = Signal(self.total_bits - 1, name="magnitude")
        # the 1 that the sum's complement lacks, and the one that the addend's did
        carry = negative ^ at.sign
        m.d.comb += magnitude.eq((total[:-1] ^ negative.replicate(len(magnitude))) + carry)
        at.sign, at.word, at.bit = Mux(at.is_special, at.sign, negative), magnitude, Const(0, 1)

    def _exponent(self, m: Module, at: SimpleNamespace) -> None:
        above_one = len(at.word) - 1 - self.sums.fraction
        at.exponent = wire(m, "exponent", at.exponent + Number.constant(above_one) - Number(at.count))

    def _classify(self, m: Module, at: SimpleNamespace) -> None:
        """What is infinite, or 0."""
        shape, value = self.sums.shape, at.word
        field, negative, beyond = exponent_parts(at.exponent, shape)
        at.special, at.empty = Signal(name="special"), Signal(name="is_empty")
        m.d.comb += [
            at.special.eq(at.is_special | (value[-1] & ~negative & (beyond | field.all()))),
            at.empty.eq(~at.special & (~value[-1] | negative | ~(beyond | field.any()))),
        ]
        unused = Signal(len(value), name="unused_below_significand", attrs={"keep": 1})
        m.d.comb += unused.eq(value)
        at.field = field
        at.kept = Cat(Const(0, max(shape.fraction - len(value) + 1, 0)), value[:-1])[-shape.fraction :]

    def _finish(self, _m: Module, at: SimpleNamespace) -> None:
        shape = self.sums.shape
        plain = ~(at.special | at.empty)
        at.code = Cat(
            at.kept & plain.replicate(shape.fraction),
            (at.field & plain.replicate(shape.exponent)) | at.special.replicate(shape.exponent),
            at.sign & ~at.empty,
        )


def _gate_exponents(m: Module, at: SimpleNamespace) -> None:
    at.flags = [part.there for part in at.parts]
    at.level = [Signal.like(part.exponent, name=f"exponent_{lane}") for lane, part in enumerate(at.parts)]
    # no Mux, of which synthesis makes the reset input of a register: there are few wires that lead there
    m.d.comb += [
        word.eq(part.exponent & flag.replicate(len(word)))
        for word, flag, part in zip(at.level, at.flags, at.parts, strict=True)
    ]


def _halve(m: Module, at: SimpleNamespace, *, depth: int) -> None:
    pairs, odd = list(zip(at.level[::2], at.level[1::2], strict=False)), at.level[len(at.level) // 2 * 2 :]
    larger = []
    for index, (x, y) in enumerate(pairs):
        unit = place(m, f"larger_{depth}_{index}", Larger(bits=len(x)))
        m.d.comb += [unit.x.eq(x), unit.y.eq(y)]
        larger.append(unit.larger)
    at.level = larger + odd
    at.flags = [Cat(at.flags[index : index + 2]).any() for index in range(0, len(at.flags), 2)]


def _top(m: Module, at: SimpleNamespace, *, exponent: int, offset: int) -> None:
    (at.largest,), (there,) = at.level, at.flags
    more = Number(Mux(there, offset, 0), Interval(offset, offset) | 0)
    at.biased = wire(m, "biased", Number(at.largest, Interval(0, exponent)) + more).value
    del at.level, at.flags


def _add_chains(m: Module, at: SimpleNamespace, *, level: int) -> None:
    at.terms = add_pairs(m, f"chains_{level}", at.terms)


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
