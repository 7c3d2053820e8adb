"""Bit-serial: one-bit operands, whose products a cell counts."""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import ClassVar, Literal

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib.wiring import In, Out

from hw.core.number import Number, assign, total, wire
from hw.core.rows import add_kept, add_with_carry
from hw.core.stages import Step, run_steps, stages_for
from hw.core.unit import Unit, place
from pe.base import Codes, Core, Encoder, PEError
from pe.pipelined import Pipelined
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from sw_ref.formats.signs import Bipolar
from sw_ref.interval import Interval

__all__ = ["BitSerial"]

_BITS, _SIGNS = Int(1, signed=False), Bipolar(1)


@dataclass(frozen=True, kw_only=True)
class BitSerial(Pipelined):
    """``sum = addend + sum over lanes of act * weight`` of one-bit operands, by gates and a count.

    Of bits (uint1 x uint1), the cell counts the lanes where both are set (AND). Of signs (bipolar1 x bipolar1), it
    counts those where both are equal (XNOR): ``2 * equal - counted``, where the row brings along how many lanes count.
    Wider operands are planes of bits, one step each; what a plane weighs is none of the cell's business.

    Parameters
    ----------
    lut : {4, 6}
        Inputs of the look-up tables that count the lanes of a group, before adders take over.
    pipeline : int
        See `pe.pipelined.Pipelined`.
    """

    lut: Literal[4, 6] = 6

    family: ClassVar[str] = "bit_serial"
    summary: ClassVar[str] = "one-bit operands: AND or XNOR, and a count of lanes"
    source: ClassVar[str] = "ABQ-LLM (arXiv 2408.08554); bipolar-INT (arXiv 2409.17870); RBE (arXiv 2305.08415)"

    def check(self) -> None:
        if (self.act, self.weight) not in ((_BITS, _BITS), (_SIGNS, _SIGNS)):
            raise PEError(
                "Family bit_serial takes uint1 x uint1 or bipolar1 x bipolar1, "
                f"not {self.act.name} x {self.weight.name}"
            )

    @property
    def name(self) -> str:
        return f"{super().name}_lut{self.lut}{self.staged}"

    @property
    def signs(self) -> bool:
        """Whether a bit is a sign."""
        return self.act == _SIGNS

    @property
    def group(self) -> int:
        """Lanes that fit into one look-up table."""
        return self.lut // (3 if self.signs else 2)

    @property
    def balance(self) -> Interval:
        """The lanes of signs that count, as a negative number."""
        return Interval(-self.lanes, 0)

    @property
    def row_bits(self) -> int:
        return 2 * self.lanes + self.balance.bits if self.signs else self.lanes

    @property
    def column_bits(self) -> int:
        return self.lanes

    @property
    def term(self) -> Interval:
        return (self.act.fixed_form.interval * self.weight.fixed_form.interval).sum_of(self.lanes)

    def row_encoder(self, *, masked: bool) -> Encoder:
        if self.signs:
            return _Signs(lanes=self.lanes, masked=masked, balance=self.balance)
        return Codes(bits=1, lanes=self.lanes, masked=masked)

    def column_encoder(self) -> Encoder:
        return Codes(bits=1, lanes=self.lanes, masked=False)

    def core(self, accumulator: Accumulator) -> Core:
        return _Count(pe=self, accumulator=accumulator)


class _Signs(Encoder):
    """What each lane asks of the weight, and the balance.

    The operand is, from the low bits: for each lane, whether a clear and whether a set weight equals it (neither does
    if it is masked), two bits; and minus the number of lanes that count.
    """

    def __init__(self, *, lanes: int, masked: bool, balance: Interval) -> None:
        self.balance = balance
        super().__init__(bits=1, lanes=lanes, operand_bits=2 * lanes + balance.bits, masked=masked)
        self.latency = stages_for(self._steps)

    @property
    def name(self) -> str:
        return f"signs_x{self.lanes}{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        mask = self.mask if self.masked else Const(-1, self.lanes)
        asked = [Cat(mask[lane] & ~self.codes[lane], mask[lane] & self.codes[lane]) for lane in range(self.lanes)]
        # a bit in two's complement is 0 or -1
        at = SimpleNamespace(asked=Cat(asked), balance=[Number(bit.as_signed()) for bit in mask])
        run_steps(m, at, self._steps, registers=self.latency, behind=False)
        m.d.comb += self.operand.eq(Cat(at.asked, at.balance[0].value))
        return m

    @property
    def _steps(self) -> list[Step]:
        # nothing is to be counted where all lanes count
        delay = 2 if self.masked else 0
        return [Step(delay, partial(_pairs, level=level)) for level in range(_levels(self.lanes))]


def _pairs(m: Module, at: SimpleNamespace, *, level: int) -> None:
    pairs = [at.balance[index : index + 2] for index in range(0, len(at.balance), 2)]
    at.balance = [wire(m, f"balance_{level}_{index}", total(pair)) for index, pair in enumerate(pairs)]


class _Group(Unit):
    """``count``: how many of a few lanes have the product 1, one function of all their bits for each bit of it."""

    def __init__(self, *, signs: bool, lanes: int) -> None:
        self.signs = signs
        self.lanes = lanes
        super().__init__(
            {"act": In(lanes * (1 + signs)), "weight": In(lanes), "count": Out(lanes.bit_length())},
        )

    @property
    def name(self) -> str:
        return f"count_{self.lanes}_{'equal' if self.signs else 'both'}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        act = [self.act.word_select(lane, 1 + self.signs) for lane in range(self.lanes)]
        hits = [_hit(*pair) for pair in zip(act, self.weight, strict=True)]
        a, b, c = [*hits, Const(0, 1), Const(0, 1)][:3]
        m.d.comb += self.count.eq(Cat(a ^ b ^ c, (a & b) | (c & (a | b))))
        return m


class _Count(Core[BitSerial, Accumulator]):
    """Groups of lanes, and a tree of adders, each of which counts one more lane by its carry."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe = self.pe
        width = 1 + pe.signs
        lanes = [(self.act.word_select(lane, width), self.weight[lane]) for lane in range(pe.lanes)]
        # there are as many carries as groups, since the last addition has room for a lane, too
        count = -(-pe.lanes // (pe.group + 1))
        at = SimpleNamespace(
            groups=[lanes[index : pe.lanes - count : count] for index in range(count)],
            carries=lanes[pe.lanes - count :],
            balance=self.act[width * pe.lanes :],
        )
        steps = [
            Step(2, self._groups),
            *(Step(2, partial(self._pairs, level=level)) for level in range(_levels(count))),
        ]
        if pe.signs:
            steps.append(Step(2, self._balance))
        run_steps(m, at, steps, registers=pe.pipeline)
        addend = Number(self.addend.as_signed())
        kept = add_kept(m, "total", addend, at.counts[0], at.carries[0], self.accumulator)
        m.d.comb += assign(self.sum.as_signed(), kept)
        return m

    def _groups(self, m: Module, at: SimpleNamespace) -> None:
        """How many lanes of each group have the product 1, and whether those have it that are carries."""
        at.counts = []
        for index, lanes in enumerate(at.groups):
            if not lanes:
                at.counts.append(Number.constant(0))
                continue
            group = place(m, f"group_{index}", _Group(signs=self.pe.signs, lanes=len(lanes)))
            act, weight = zip(*lanes, strict=True)
            m.d.comb += [group.act.eq(Cat(act)), group.weight.eq(Cat(weight))]
            at.counts.append(Number(group.count, Interval(0, len(lanes))))
        at.carries = [wire(m, f"carry_{index}", Number(_hit(*lane))).value for index, lane in enumerate(at.carries)]
        del at.groups

    def _pairs(self, m: Module, at: SimpleNamespace, *, level: int) -> None:
        pairs = list(zip(at.counts[::2], at.counts[1::2], strict=False))
        sums = [
            add_with_carry(m, f"count_{level}_{index}", x, y, at.carries.pop()) for index, (x, y) in enumerate(pairs)
        ]
        at.counts = sums + at.counts[2 * len(sums) :]

    def _balance(self, m: Module, at: SimpleNamespace) -> None:
        """Of all the lanes at once, ``2 * equal - counted`` is no larger than their number."""
        term, balance = self.pe.term, at.balance.as_signed()
        half = Interval(term.lo >> 1, term.hi >> 1)
        counted = add_with_carry(m, "half", Number(balance >> 1), at.counts[0], at.carries[0], sum=half)
        at.counts, at.carries = [Number(Cat(balance[0], counted.value).as_signed(), term)], [Const(0, 1)]
        del at.balance


def _levels(count: int) -> int:
    """Of a tree of pairs."""
    return (count - 1).bit_length()


def _hit(act: Value, weight: Value) -> Value:
    """Whether a lane's product is 1: both bits are set, or both signs are equal."""
    if len(act) == 1:
        return act & weight
    return (act[0] & ~weight) | (act[1] & weight)
