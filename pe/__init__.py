"""Processing elements: the contract (`pe.base`), and one module for each family."""

from pe.base import PE
from pe.bit_serial import BitSerial
from pe.decoded import Decoded
from pe.float import FloatProduct
from pe.mac import IntegerMac
from pe.product_table import ProductTable
from pe.shift_add import ShiftAdd
from pe.sub_word import SubWord
from pe.table import Table
from pe.ternary_table import TernaryTable
from pe.xr_npe import XRNPE

__all__ = ["FAMILIES"]

FAMILIES: dict[str, type[PE]] = {
    family.family: family
    for family in (
        IntegerMac,
        ShiftAdd,
        Decoded,
        FloatProduct,
        ProductTable,
        BitSerial,
        SubWord,
        Table,
        TernaryTable,
        XRNPE,
    )
}
"""Every family by its name; a new one is its module and its entry here."""
