"""Table look-up for ternary weights: a table of k activations, and an index in base 3."""

from dataclasses import dataclass
from functools import cache
from itertools import islice, product
from typing import ClassVar

from amaranth.hdl import Array, Cat, Const, Module, Signal

from pe.base import Encoder, PEError
from pe.look_up.base import LookUpPE, Signs
from sw_ref.formats.signs import Ternary
from sw_ref.interval import Interval

__all__ = ["TernaryTable"]


@dataclass(frozen=True, kw_only=True)
class TernaryTable(LookUpPE):
    """``sum = addend + sum over lanes of act * weight`` for weights of -1, 0 and 1.

    A table has ``E = (3**k - 1) / 2`` entries. Its weights are the digits ``1 - w_i`` of a number in base 3, the
    first one highest: below E it is the index of their entry; above, ``3**k - 1`` minus it is, and the entry is
    negated; E itself stands for 0. So for k = 2 the entries are ``x_0 + x_1, x_0, x_0 - x_1, x_1``.

    Parameters
    ----------
    k : int
        Activations of a table, from 2 to 5.
    lut : {4, 6}
        See `pe.look_up.base.LookUpPE`: 4 is the smaller on ECP5, 6 on xc7.
    """

    family: ClassVar[str] = "ternary_table"
    summary: ClassVar[str] = "table look-up of sums of k activations, for ternary weights"
    source: ClassVar[str] = "KU Leuven ternary LUT (arXiv 2604.25183); BitNet b1.58 (arXiv 2402.17764)"

    def check(self) -> None:
        if not isinstance(self.weight, Ternary):
            raise PEError(f"Family ternary_table takes ternary weights, not {self.weight.name}")
        self.check_table(5)

    @property
    def planes(self) -> int:
        return 1

    @property
    def or_zero(self) -> bool:
        return True

    @property
    def signs(self) -> tuple[Signs, ...]:
        return _signs(self.k)

    @property
    def term(self) -> Interval:
        return (self.act.interval * self.weight.fixed_form.interval).sum_of(self.lanes)

    def column_encoder(self) -> Encoder:
        return _TernaryKeys(lanes=self.lanes, k=self.k, selection_bits=self.selection_bits)


@cache
def _signs(k: int) -> tuple[Signs, ...]:
    return tuple(islice(product((1, 0, -1), repeat=k), 3**k // 2))


class _TernaryKeys(Encoder):
    """Weights to selections, for tables of ``k``."""

    def __init__(self, *, lanes: int, k: int, selection_bits: int) -> None:
        self.k = k
        self.selection_bits = selection_bits
        bits = Ternary().bits
        super().__init__(bits=bits, lanes=lanes, operand_bits=lanes // k * selection_bits, masked=False)

    @property
    def name(self) -> str:
        return f"ternary_keys_{self.lanes}_k{self.k}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # for all codes of the weights of a table
        words = [_selected(codes, self.k) for codes in product(range(1 << self.bits), repeat=self.k)]
        selections = []
        for table in range(self.lanes // self.k):
            codes = [self.codes.word_select(table * self.k + i, self.bits) for i in range(self.k)]
            selection = Signal(self.selection_bits, name=f"selection_{table}")
            # the last factor of a product runs fastest
            m.d.comb += selection.eq(Array(words)[Cat(reversed(codes))])
            selections.append(selection)
        m.d.comb += self.operand.eq(Cat(selections))
        return m


def _selected(codes: tuple[int, ...], k: int) -> Const:
    """Key, zero and sign for the codes of a table's weights, that of x_0 first."""
    most = 3**k - 1
    index = 0
    for weight in Ternary().to_fixed(codes).tolist():
        index = 3 * index + 1 - weight
    negate, zero = index > most // 2, index == most // 2
    key = 0 if zero else most - index if negate else index
    key_bits = (most // 2 - 1).bit_length()
    return Const(key | zero << key_bits | negate << key_bits + 1, key_bits + 2)
