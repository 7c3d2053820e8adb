"""What the codebook family takes, and what it hands to its cells."""

import re

import pytest

from pe.base import PEError
from pe.codebook import CodebookMac
from sw_ref.accumulate import Accumulator
from sw_ref.catalog import parse_format
from sw_ref.formats import Int
from sw_ref.interval import Interval


def test_cells_are_those_of_the_integer_family():
    pe = CodebookMac(act=Int(8), weight=parse_format("nf4"))
    assert pe.name == "nf4_shift_add_int8_int8_booth4"
    assert pe.core(Accumulator(24)).name == "shift_add_int8_int8_booth4_acc24"
    assert pe.term == Interval(-128 * 127, 128 * 127)
    assert (pe.row_bits, pe.column_bits) == (8, 12)


def test_name_of_an_unnamed_codebook_tells_its_values():
    pe = CodebookMac(act=Int(8), weight=parse_format("codebook[-8,-3,0,5]"), lanes=2, cell="mac")
    assert pe.name == "codebook_m8_m3_0_5_mac_int8_int4_x2"


@pytest.mark.parametrize(
    ("act", "weight", "options", "message"),
    [
        ("nf4", "nf4", {}, "Family codebook takes integer activations, not nf4"),
        ("int8", "int4", {}, "Family codebook takes weights of a codebook, such as nf4, not int4"),
        ("int8", "nf4", {"cell": "table"}, "Option cell must be one of shift_add, mac, not 'table'"),
        ("int8", "codebook[-300,7]", {}, "Family shift_add takes weights of 2 to 8 bits, not int10"),
    ],
)
def test_what_does_not_fit_is_refused(act, weight, options, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        CodebookMac(act=parse_format(act), weight=parse_format(weight), **options)
