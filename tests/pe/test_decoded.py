"""What the family of decoded operands takes, and what it hands to its cells."""

import re

import pytest

from pe.base import PEError
from pe.decoded import Decoded
from sw_ref.accumulate import Accumulator
from sw_ref.catalog import parse_format
from sw_ref.formats import Int
from sw_ref.interval import Interval


def test_cells_are_those_of_the_integer_family():
    pe = Decoded(act=Int(8), weight=parse_format("nf4"))
    assert pe.name == "nf4_shift_add_int8_int8_booth4"
    assert pe.core(Accumulator(24)).name == "shift_add_int8_int8_booth4_acc24"
    assert pe.term == Interval(-128 * 127, 128 * 127)
    assert (pe.row_bits, pe.column_bits) == (8, 12)


def test_both_sides_are_decoded():
    pe = Decoded(act=parse_format("fp6_e2m3"), weight=parse_format("fp4_e2m1"), cell="mac", lanes=2)
    assert pe.name == "fp6_e2m3_fp4_e2m1_mac_int7_int5_x2"
    assert pe.term == Interval(-2 * 60 * 12, 2 * 60 * 12)
    assert (pe.row_bits, pe.column_bits) == (14, 10)
    assert pe.row_encoder(masked=True).name == "fp6_e2m3_to_mac_int7_int5_x2_act_masked"


def test_name_of_an_unnamed_codebook_tells_its_values():
    pe = Decoded(act=Int(8), weight=parse_format("codebook[-8,-3,0,5]"), lanes=2, cell="mac")
    assert pe.name == "codebook_m8_m3_0_5_mac_int8_int4_x2"


@pytest.mark.parametrize(
    ("act", "weight", "options", "message"),
    [
        ("int8", "int4", {}, "Family decoded takes a format that is not an integer, not int8 x int4"),
        (
            "int8",
            "posit8_0",
            {},
            "Family decoded takes formats whose codes are all finite, which those of posit8_0 are not",
        ),
        ("fp16", "nf4", {}, "Family decoded takes fixed-point values of at most 8 bits a code, not fp16"),
        ("e4m3", "nf4", {}, "Family decoded takes values of at most 16 bits, not the 19 of e4m3"),
        ("int8", "nf4", {"cell": "table"}, "Option cell must be one of shift_add, mac, not 'table'"),
    ],
)
def test_what_does_not_fit_is_refused(act, weight, options, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        Decoded(act=parse_format(act), weight=parse_format(weight), **options)
