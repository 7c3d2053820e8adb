"""BitMoD: minifloats whose negative zero is one of four special values."""

import operator
from dataclasses import dataclass

import numpy as np

from sw_ref.formats.minifloat import Float
from sw_ref.formats.tabulated import Tabulated

__all__ = ["SELECTS", "BitMoD", "SelectedBitMoD"]

SELECTS = range(4)
"""What two bits select one of four special values by."""

BASES = {3: Float(2, 0), 4: Float(2, 1)}
SPECIAL_VALUES = {3: (3, -3, 6, -6), 4: (10, -10, 16, -16)}


@dataclass(frozen=True)
class BitMoD(Tabulated):
    """FP3 or FP4 with a special value in the place of -0, as integers: FP3 as it is, FP4 times 2.

    A code is that of E2M0 or E2M1, but that the sign alone is the special value. bitmod3 is 0, +-1, +-2, +-4, and by
    ``select`` 3, -3, 6 or -6; bitmod4 is 0, +-1, +-2, +-3, +-4, +-6, +-8, +-12, and 10, -10, 16 or -16: of the halves
    that they stand for, 5 and 8. BitMoD (arXiv 2411.11745, section III); which select is which is this project's.

    Parameters
    ----------
    bits : {3, 4}
        Width.
    select : {0, 1, 2, 3}
    """

    bits: int
    select: int

    def __post_init__(self) -> None:
        for field, allowed, words in (("bits", BASES, "3 or 4"), ("select", SELECTS, "from 0 to 3")):
            value = operator.index(getattr(self, field))
            object.__setattr__(self, field, value)
            if value not in allowed:
                raise ValueError(f"{field.capitalize()} must be {words}, not {value}")

    @property
    def name(self) -> str:
        return f"bitmod{self.bits}_{self.select}"

    @property
    def special(self) -> int:
        """The integer that the sign alone stands for."""
        return SPECIAL_VALUES[self.bits][self.select]

    @property
    def integers(self) -> tuple[int, ...]:
        integers = BASES[self.bits].to_fixed(np.arange(1 << self.bits))
        integers[1 << (self.bits - 1)] = self.special
        return tuple(integers.tolist())


@dataclass(frozen=True)
class SelectedBitMoD(Tabulated):
    """A BitMoD code with the select of its group above it, ``select << bits | code``: a weight by itself.

    A stream of weights carries two bits more for each than a memory holds, which keeps the selects once a group and
    column, beside the scales. To encode is to take the lowest code of the nearest value of all selects; what gives a
    group one select is `sw_ref.quantize.bitmod.BitMoDQuantizer`.

    Parameters
    ----------
    code_bits : {3, 4}
        Width without the select.
    """

    code_bits: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "code_bits", BitMoD(self.code_bits, 0).bits)

    @property
    def bits(self) -> int:
        return self.code_bits + 2

    @property
    def name(self) -> str:
        return f"bitmod{self.code_bits}"

    @property
    def integers(self) -> tuple[int, ...]:
        return tuple(integer for select in SELECTS for integer in BitMoD(self.code_bits, select).integers)
