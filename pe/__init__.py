"""Processing elements: the contract (`pe.base`), and one module for each family."""

from pe.base import PE
from pe.codebook import CodebookMac
from pe.mac import IntegerMac
from pe.shift_add import ShiftAdd

__all__ = ["FAMILIES"]

FAMILIES: dict[str, type[PE]] = {family.family: family for family in (IntegerMac, ShiftAdd, CodebookMac)}
"""Every family by its name; a new one is its module and its entry here."""
