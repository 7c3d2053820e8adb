"""What the lanes of a cell add to its sum, as terms: one law for each kind of sum.

Let ``f(mask, addend)`` be what the circuit gives for any codes. Lanes are taken in groups, one behind the other. Then

    f(no lane, addend) = addend
    f(mask whose last group is g, addend) = what the law says of f(mask without g, addend) and the products of g

which together say what the sum of all lanes is. Where sums are integers, what g adds may be given with the addend,
which is easier to prove: ``f(mask without g, addend + what g adds)``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from bitwuzla import Kind, Term

from pe.base import PE
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import AlignedSum, FloatSum
from sw_ref.arith.rules import EXACT
from sw_ref.arith.table import RoundedTable
from sw_ref.engine.spec import Mode
from sw_ref.formats.nonfinite import zeroed
from tb.formal.factors import Factor, factor, product
from tb.formal.float_sums import can_be, sum_term
from tb.formal.numbers import fixed_term
from tb.formal.words import Bits, size

__all__ = ["Law", "Step", "law_of", "why_not"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a circuit whose last group of lanes is looked at.

    Parameters
    ----------
    mode : Mode
    group : tuple of int
        Its lanes.
    act, weight : list of Term
        Codes of all lanes.
    counts : list of Term
        Whether each lane counts, of one bit.
    addend : Term
    """

    mode: Mode
    group: tuple[int, ...]
    act: Sequence[Term]
    weight: Sequence[Term]
    counts: Sequence[Term]
    addend: Term


class Law(ABC):
    """What a group of lanes adds.

    Parameters
    ----------
    bits : Bits
    pe : PE
    sums : Accumulator or FloatSum
    """

    def __init__(self, bits: Bits, pe: PE, sums: Accumulator | FloatSum) -> None:
        self.bits, self.pe, self.sums = bits, pe, sums

    @property
    @abstractmethod
    def group_lanes(self) -> int:
        """Lanes of a group."""

    def groups(self, mode: Mode) -> list[tuple[int, ...]]:
        """All lanes of a mode, in order."""
        lanes, each = range(mode.lanes), min(self.group_lanes, mode.lanes)
        return [tuple(lanes[at : at + each]) for at in range(0, mode.lanes, each)]

    @abstractmethod
    def wrong(self, step: Step, with_group: Callable[[Term], Term], without: Callable[[Term], Term]) -> Term:
        """That the law does not hold, of what the circuit gives with and without the group, for an addend."""

    def possible(self, addend: Term) -> Term:
        """Whether sums can be so."""
        return self.bits.manager.mk_true()

    @abstractmethod
    def moved(self, mode: Mode, codes: Mapping[str, np.ndarray], addend: int) -> int:
        """The addend of the circuit without the group, where these codes (lanes of the group) come with ``addend``."""

    def _factors(self, step: Step, kind: Callable[..., Factor | Term], *width: int) -> list[tuple]:
        """What both codes of each lane of the group stand for."""
        sides = (step.mode.act, step.act), (step.mode.weight, step.weight)
        return [tuple(kind(self.bits, form, codes[lane], *width) for form, codes in sides) for lane in step.group]


class _Integers(Law):
    """Products are integers, and sums count modulo ``2**bits``."""

    def wrong(self, step: Step, with_group: Callable[[Term], Term], without: Callable[[Term], Term]) -> Term:
        added = self.bits.of(Kind.BV_ADD, step.addend, self.added(step))
        return self.bits.of(Kind.DISTINCT, with_group(step.addend), without(added))

    @abstractmethod
    def added(self, step: Step) -> Term:
        """What the group adds, as wide as a sum."""

    def moved(self, mode: Mode, codes: Mapping[str, np.ndarray], addend: int) -> int:
        act, weight = (
            form.to_fixed(zeroed(form, codes[side])) for side, form in (("act", mode.act), ("weight", mode.weight))
        )
        return addend + int(self.pe.rule.dots((act * codes["mask"])[None], weight[None])[0])


class _Exact(_Integers):
    """``addend + act * weight``, lane after lane."""

    @property
    def group_lanes(self) -> int:
        return 1

    def added(self, step: Step) -> Term:
        ((act, weight),) = self._factors(step, fixed_term, size(step.addend))
        return self.bits.of(Kind.BV_MUL, act, weight)


class _Tables(_Integers):
    """``addend`` and the rounded entries of one table, as `sw_ref.arith.table.RoundedTable` says."""

    def __init__(self, bits: Bits, pe: PE, sums: Accumulator) -> None:
        super().__init__(bits, pe, sums)
        assert isinstance(pe.rule, RoundedTable)
        self._rule = pe.rule

    @property
    def group_lanes(self) -> int:
        return self._rule.k

    def added(self, step: Step) -> Term:
        planes = (self._plane(step, plane) for plane in range(self._rule.planes))
        return reduce(lambda x, y: self.bits.of(Kind.BV_ADD, x, y), planes)

    def _plane(self, step: Step, plane: int) -> Term:
        """``2**plane * rounded(sum over lanes of sign * act)``."""
        bits, width = self.bits, size(step.addend)
        terms = []
        for lane in step.group:
            act = fixed_term(bits, step.mode.act, step.act[lane], width)
            act = bits.choice(bits.is_set(step.counts[lane]), act, bits.constant(0, width))
            plus = bits.is_set(bits.slice(step.weight[lane], plane, 1))
            terms.append(bits.choice(plus, act, bits.of(Kind.BV_NEG, act)))
        exact = reduce(lambda x, y: bits.of(Kind.BV_ADD, x, y), terms)
        entry = self._rounded(exact)
        return bits.of(Kind.BV_SHL, entry, bits.constant(plane, width))

    def _rounded(self, exact: Term) -> Term:
        """To nearest, ties to even, in units of ``2**shift``, and no more than an entry holds."""
        bits, shift, width = self.bits, self._rule.shift, size(exact)
        largest = (1 << self._rule.bits - 1) - 1
        odd = bits.resized(bits.slice(exact, shift, 1), width, signed=False)
        half = bits.of(Kind.BV_ADD, exact, bits.constant((1 << shift - 1) - 1, width)) if shift else exact
        half = bits.of(Kind.BV_ADD, half, odd) if shift else half
        entry = bits.of(Kind.BV_ASHR, half, bits.constant(shift, width))
        for bound, beyond in ((largest, Kind.BV_SGT), (-largest, Kind.BV_SLT)):
            limit = bits.constant(bound, width)
            entry = bits.choice(bits.of(beyond, entry, limit), limit, entry)
        return entry


class _Floats(Law):
    """Products are exact, and sums floats: one product at a time, or all at once."""

    @property
    def group_lanes(self) -> int:
        return self.pe.lanes if isinstance(self.sums, AlignedSum) else 1

    def wrong(self, step: Step, with_group: Callable[[Term], Term], without: Callable[[Term], Term]) -> Term:
        assert isinstance(self.sums, FloatSum)
        before = without(step.addend)
        products = []
        for lane, (act, weight) in zip(step.group, self._factors(step, factor), strict=True):
            exact = product(self.bits, act, weight)
            nothing = self.bits.constant(0, size(exact.significand))
            counted = self.bits.choice(self.bits.is_set(step.counts[lane]), exact.significand, nothing)
            products.append(Factor(exact.negative, counted, exact.exponent))
        after = sum_term(self.bits, self.sums, before, products)
        differs = self.bits.of(Kind.DISTINCT, with_group(step.addend), after)
        # what the law said before of the lanes in front
        return self.bits.of(Kind.AND, self.possible(before), differs)

    def possible(self, addend: Term) -> Term:
        assert isinstance(self.sums, FloatSum)
        return can_be(self.bits, self.sums, addend)

    def moved(self, mode: Mode, codes: Mapping[str, np.ndarray], addend: int) -> int:
        return addend


def law_of(bits: Bits, pe: PE, sums: Accumulator | FloatSum) -> Law:
    """The law of a cell, of which `why_not` says nothing."""
    if isinstance(sums, FloatSum):
        return _Floats(bits, pe, sums)
    return (_Exact if pe.rule == EXACT else _Tables)(bits, pe, sums)


def why_not(pe: PE, sums: Accumulator | FloatSum) -> str | None:
    """Why a cell has no law, if it has none."""
    if pe.block is not None:
        return "a block of cells keeps its sums itself"
    if isinstance(sums, FloatSum):
        return None
    if not (pe.rule == EXACT or isinstance(pe.rule, RoundedTable)):
        return f"products are not exact ({type(pe.rule).__name__})"
    if sums.overflow == "saturate":
        return "sums saturate"
    return None
