"""Table look-up for weights made of signs: a table of k activations, and a key of k bits for each plane of weights."""

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Annotated, ClassVar

import numpy as np
from amaranth.hdl import Cat, Module

from pe.base import Encoder, PEError
from pe.look_up.base import LookUpPE, Signs
from sw_ref.arith.rules import EXACT, Rule
from sw_ref.arith.table import RoundedTable
from sw_ref.fields import Range
from sw_ref.formats.signs import Bipolar
from sw_ref.interval import Interval

__all__ = ["Table"]


@dataclass(frozen=True, kw_only=True)
class Table(LookUpPE):
    """``sum = addend + sum over lanes of act * weight``, where each bit of a weight is a sign.

    Entry j of a table is ``x_0 + sum over i from 1 of (x_i if bit i-1 of j else -x_i)``. In plane p, where b_i is
    bit p of the weight of x_i, ``b_0 = 0`` means negate, and bit i-1 of the key is ``b_i == b_0``.

    ``k = 2`` is the smallest on FPGAs: for each bit, selection, sign and addition of an entry are one LUT6, or a LUT4
    and half a carry cell. ``k = 4`` is that of LUT Tensor Core and T-MAC.

    Parameters
    ----------
    k : int
        Activations of a table, from 2 to 6.
    lut : {4, 6}
        See `pe.look_up.base.LookUpPE`; makes no difference with ``k = 2``.
    table_bits : int
        Lossy unless 0: width of the entries, which are rounded and saturated to it, see
        `sw_ref.arith.table.RoundedTable`. Where T-MAC scales each table by what its activations are, this scale is
        always the same.
    """

    table_bits: Annotated[int, Range(0, 64)] = 0

    family: ClassVar[str] = "table"
    summary: ClassVar[str] = "table look-up of sums of k activations, for weights of signs; lossy if table_bits is set"
    source: ClassVar[str] = "LUT Tensor Core (arXiv 2408.06003); T-MAC (arXiv 2407.00088); LUT-GEMM (arXiv 2206.09557)"

    def check(self) -> None:
        if not isinstance(self.weight, Bipolar):
            raise PEError(f"Family table takes bipolar weights, such as bipolar2, not {self.weight.name}")
        self.check_table(6)
        bits, most = self.table_bits, self.exact_entry.signed_bits - 1
        if bits and not 2 <= bits <= most:
            raise PEError(f"Option table_bits must be 0 for exact tables, or from 2 to {most}, not {bits!r}")

    @property
    def name(self) -> str:
        lossy = f"_lossy{self.table_bits}" if self.table_bits else ""
        return f"{super().name}{lossy}"

    @property
    def planes(self) -> int:
        return self.weight.bits

    @property
    def or_zero(self) -> bool:
        return False

    @property
    def signs(self) -> tuple[Signs, ...]:
        return _signs(self.k)

    @property
    def shift(self) -> int:
        return self.exact_entry.signed_bits - self.table_bits if self.table_bits else 0

    @property
    def rule(self) -> Rule:
        return self._rounded if self.table_bits else EXACT

    @property
    def _rounded(self) -> RoundedTable:
        return RoundedTable(k=self.k, planes=self.planes, shift=self.shift, bits=self.table_bits)

    @property
    def entry(self) -> Interval:
        if not self.table_bits:
            return self.exact_entry
        return Interval(*self._rounded.rounded(np.array([self.exact_entry.lo, self.exact_entry.hi])))

    @property
    def term(self) -> Interval:
        largest = max(self.entry.hi, -self.entry.lo) * self.weight.fixed_form.interval.hi
        return Interval(-largest, largest).sum_of(self.tables)

    def column_encoder(self) -> Encoder:
        return _SignKeys(bits=self.weight.bits, lanes=self.lanes, k=self.k)


@cache
def _signs(k: int) -> tuple[Signs, ...]:
    # the last factor of a product runs fastest
    return tuple((1, *reversed(others)) for others in product((-1, 1), repeat=k - 1))


class _SignKeys(Encoder):
    """Weights to selections, for tables of ``k``."""

    def __init__(self, *, bits: int, lanes: int, k: int) -> None:
        self.k = k
        super().__init__(bits=bits, lanes=lanes, operand_bits=lanes * bits, masked=False)

    @property
    def name(self) -> str:
        return f"sign_keys_{self.lanes}x{self.bits}_k{self.k}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        selections = []
        for plane in range(self.bits):
            for start in range(0, self.lanes, self.k):
                first, *others = (self.codes[lane * self.bits + plane] for lane in range(start, start + self.k))
                selections += [*(~(bit ^ first) for bit in others), ~first]
        m.d.comb += self.operand.eq(Cat(selections))
        return m
