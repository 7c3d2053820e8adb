"""Products of small floats by look-up: each bit of a product's magnitude is a function of both codes."""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from amaranth.hdl import Array, Cat, Module, Value
from amaranth.lib.wiring import In, Out

from hw.core.naming import format_name
from hw.core.narrow import keep
from hw.core.number import Number, assign, shape_of
from hw.core.rows import add_kept, add_with_carry
from hw.core.stages import Step, run_steps, side_by_side
from hw.core.unit import Unit, place
from hw.integer.digits import Digit
from pe.base import Codes, Core, Encoder, PEError
from pe.operands.multiples import Multiples, Shifts, multiple_steps
from pe.pipelined import Pipelined
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Format
from sw_ref.formats.minifloat import Float
from sw_ref.interval import Interval

__all__ = ["ProductTable"]

# Inputs of the largest look-up table.
_MOST_BITS = 6


@dataclass(frozen=True, kw_only=True)
class ProductTable(Pipelined):
    """``sum = addend + sum over lanes of act * weight``, in units of both formats' last bits, for floats of few bits.

    With look-up tables of 6 inputs, operands travel as their own codes. A cell looks up the magnitude of each product,
    of which a bit takes one LUT6, and adds pairs of products, and pairs of these: the second of a pair is subtracted
    from the first where their signs differ, and the sum has the sign of the first. So a sign is one gate a product, and
    costs the adders nothing.

    With those of 4, a row sends of each activation the magnitude and three times that, and a column of each weight
    whether it is a power of two or three times one, and which. A cell chooses and shifts; the last shift has an input
    left for the sign, and the 1 that complements lack comes in by the carries of the adders, which are as many as the
    products. See `pe.operands.multiples`.

    Parameters
    ----------
    lut : {4, 6}
        Inputs of the FPGA's look-up tables: 4 is the smaller on ECP5, 6 on xc7. With 4, weights have one bit of
        fraction at most.
    pipeline : int
        See `pe.pipelined.Pipelined`.
    """

    lut: Literal[4, 6] = 6

    family: ClassVar[str] = "product_table"
    summary: ClassVar[str] = (
        "products of floats of 3 to 5 bits by look-up, one LUT6 for each bit; or by shifts, for LUT4"
    )
    source: ClassVar[str] = "one function of 6 inputs a bit, as FPGAs have them"

    if TYPE_CHECKING:
        # which is checked here, and not as options are
        act: Float
        weight: Float

    def check(self) -> None:
        for form in (self.act, self.weight):
            if not (isinstance(form, Float) and form.signed and form.specials == "finite"):
                raise PEError(f"Family product_table takes signed floats whose codes are all finite, not {form.name}")
        bits = self.act.bits + self.weight.bits - 2
        if bits > _MOST_BITS:
            raise PEError(
                f"Family product_table takes formats of at most {_MOST_BITS + 2} bits together, not "
                f"{self.act.name} x {self.weight.name}"
            )
        if self.lut == 4 and self.weight.fraction > 1:
            raise PEError(
                f"Option lut must be 6 for weights of more than one bit of fraction, as of {self.weight.name}"
            )

    @property
    def name(self) -> str:
        lanes = f"_x{self.lanes}" if self.lanes > 1 else ""
        lut = "_lut4" if self.lut == 4 else ""
        return f"{self.family}_{format_name(self.act)}_{format_name(self.weight)}{lanes}{lut}{self.staged}"

    @property
    def row_bits(self) -> int:
        return len(self.row_encoder(masked=False).operand)

    @property
    def column_bits(self) -> int:
        return len(self.column_encoder().operand)

    @property
    def term(self) -> Interval:
        return (self.act.fixed_form.interval * self.weight.fixed_form.interval).sum_of(self.lanes)

    def row_encoder(self, *, masked: bool) -> Encoder:
        if self.lut == 6:
            return Codes(bits=self.act.bits, lanes=self.lanes, masked=masked)
        return Multiples(form=self.act, lanes=self.lanes, masked=masked)

    def column_encoder(self) -> Encoder:
        if self.lut == 6:
            return Codes(bits=self.weight.bits, lanes=self.lanes, masked=False)
        return Shifts(form=self.weight, lanes=self.lanes)

    def core(self, accumulator: Accumulator) -> Core:
        return (_AddProducts if self.lut == 6 else _AddShifted)(pe=self, accumulator=accumulator)


class _AddProducts(Core[ProductTable, Accumulator]):
    """A tree of additions and subtractions, and that to the running sum."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        at = SimpleNamespace()
        levels = (Step(2, partial(self._pairs, level=level)) for level in range((self.pe.lanes - 1).bit_length()))
        run_steps(m, at, [Step(2, self._products), *levels], registers=self.pe.pipeline)
        # no bit above those that are kept has a say in them, unless they saturate
        exact = self.accumulator.overflow == "saturate"
        within = None if exact else self.accumulator.interval
        total = _sum(m, "total", Number(self.addend.as_signed()), at.terms[0], at.negative[0], within=within)
        m.d.comb += assign(self.sum.as_signed(), keep(total, self.accumulator))
        return m

    def _products(self, m: Module, at: SimpleNamespace) -> None:
        at.terms, at.negative = [], []
        for lane in range(self.pe.lanes):
            act = self.act.word_select(lane, self.pe.act.bits)
            weight = self.weight.word_select(lane, self.pe.weight.bits)
            table = place(m, f"product_{lane}", _Magnitude(act=self.pe.act, weight=self.pe.weight))
            m.d.comb += [table.act.eq(act[:-1]), table.weight.eq(weight[:-1])]
            at.terms.append(Number(table.product, table.interval))
            at.negative.append(act[-1] ^ weight[-1])
        _compare(at)

    def _pairs(self, m: Module, at: SimpleNamespace, *, level: int) -> None:
        pairs = zip(at.terms[::2], at.terms[1::2], at.differ, strict=False)
        sums = [_sum(m, f"sum_{level}_{index}", *pair) for index, pair in enumerate(pairs)]
        # a sum has the sign of its first term
        at.terms, at.negative = sums + at.terms[2 * len(sums) :], at.negative[::2]
        _compare(at)


def _compare(at: SimpleNamespace) -> None:
    """Whether signs of a pair differ, told a step before it counts."""
    at.differ = [x ^ y for x, y in zip(at.negative[::2], at.negative[1::2], strict=False)]


def _sum(m: Module, name: str, x: Number, y: Number, differ: Value, *, within: Interval | None = None) -> Number:
    """``x + y``, or ``x - y`` if signs ``differ``: one carry chain; ``within`` is all that is kept of it, if given."""
    interval = within or x.interval + (y.interval | -y.interval)
    row = Digit().row(x, y, shape_of(interval))
    place(m, name, row)
    m.d.comb += [row.x.eq(x.value), row.a.eq(y.value), row.digit.eq(Cat(1, differ))]
    return Number(row.sum, interval)


class _AddShifted(Core[ProductTable, Accumulator]):
    """A tree of additions of what may be complements, and that to the running sum; each takes in one carry."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        pe, parts = self.pe, []
        for lane in range(pe.lanes):
            act = self.act.word_select(lane, len(self.act) // pe.lanes)
            weight = self.weight.word_select(lane, len(self.weight) // pe.lanes)
            parts.append(SimpleNamespace(act=act[:-1], weight=weight[:-1], negative=act[-1] ^ weight[-1]))
        at = SimpleNamespace(parts=parts)
        products = side_by_side([multiple_steps(f"product_{lane}", pe.act, pe.weight) for lane in range(pe.lanes)])
        levels = (Step(2, partial(self._pairs, level=level)) for level in range((pe.lanes - 1).bit_length()))
        run_steps(m, at, [*products, Step(0, _terms), *levels], registers=pe.pipeline)
        addend = Number(self.addend.as_signed())
        kept = add_kept(m, "total", addend, at.terms[0], at.carries[0], self.accumulator)
        m.d.comb += assign(self.sum.as_signed(), kept)
        return m

    def _pairs(self, m: Module, at: SimpleNamespace, *, level: int) -> None:
        pairs = zip(at.terms[::2], at.terms[1::2], strict=False)
        sums = [add_with_carry(m, f"sum_{level}_{index}", x, y, at.carries.pop()) for index, (x, y) in enumerate(pairs)]
        at.terms = sums + at.terms[2 * len(sums) :]


def _terms(_m: Module, at: SimpleNamespace) -> None:
    at.terms, at.carries = [part.product for part in at.parts], [part.negative for part in at.parts]
    del at.parts


class _Magnitude(Unit):
    """``product = |act * weight|`` of codes without their signs, in units of both last bits.

    Parameters
    ----------
    act, weight : Format
    """

    def __init__(self, *, act: Format, weight: Format) -> None:
        self.factors = act, weight
        self.interval = Interval(0, act.fixed_form.interval.hi * weight.fixed_form.interval.hi)
        ports = {"act": In(act.bits - 1), "weight": In(weight.bits - 1), "product": Out(shape_of(self.interval))}
        super().__init__(ports)

    @property
    def name(self) -> str:
        act, weight = self.factors
        return f"magnitude_{format_name(act)}_{format_name(weight)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        act, weight = (form.to_fixed(np.arange(1 << form.bits - 1)) for form in self.factors)
        m.d.comb += self.product.eq(Array(np.outer(weight, act).ravel().tolist())[Cat(self.act, self.weight)])
        return m
