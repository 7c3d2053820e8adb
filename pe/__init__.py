"""Processing elements: the contract (`pe.base`), and a module or folder for each family."""

from typing import TYPE_CHECKING

from sw_ref.registry import Registry

if TYPE_CHECKING:
    from pe.base import PE

__all__ = ["FAMILIES"]

FAMILIES: "Registry[type[PE]]" = Registry(
    {
        "mac": "pe.mac:IntegerMac",
        "packed": "pe.packed.family:Packed",
        "shift_add": "pe.shift_add:ShiftAdd",
        "decoded": "pe.decoded:Decoded",
        "float": "pe.float.family:FloatProduct",
        "product_table": "pe.product_table:ProductTable",
        "bit_serial": "pe.bit_serial:BitSerial",
        "sub_word": "pe.sub_word:SubWord",
        "table": "pe.look_up.table:Table",
        "ternary_table": "pe.look_up.ternary_table:TernaryTable",
        "xr_npe": "pe.xr_npe.family:XRNPE",
    },
    group="macforge.families",
)
"""Every family by its name; a new one is its module and its entry here, or an entry point of another package."""
