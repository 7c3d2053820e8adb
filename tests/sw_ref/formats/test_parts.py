"""Parts of values, against the values themselves."""

import re
from fractions import Fraction

import numpy as np
import pytest

from sw_ref.formats.catalog import FAMILIES, parse_format
from sw_ref.formats.parts import Parts, parts_of, split
from sw_ref.formats.tabulated import Tabulated
from sw_ref.interval import Interval

NAMES = sorted(
    {name for family in FAMILIES for name in family.examples if parse_format(name).bits <= 16}
    | {"e3m2_flushed", "ue3m2_nozero", "e1m0", "e2m0_fn", "e2m1_ieee", "posit3_3", "posit16_3", "fixed1_0"}
)


@pytest.mark.parametrize("name", NAMES)
def test_parts_are_those_of_the_values(name):
    form = parse_format(name)
    parts, codes = parts_of(form), np.arange(1 << form.bits)
    values = form.decode(codes)
    finite = np.isfinite(values)
    negative, significand, exponent = split(form, codes)
    scale = Fraction(2) ** parts.lsb
    found = (part[finite].tolist() for part in (negative, significand, exponent))
    for value, sign, s, e in zip(values[finite].tolist(), *found, strict=True):
        assert (-1) ** sign * s * 2**e * scale == Fraction(value)
    assert not significand[~finite].any()
    # the exponent is 0 but for significands that have all bits
    assert ((exponent == 0) | (significand >> (parts.significand_bits - 1) == 1)).all()
    assert (significand.max(), exponent.max(), exponent.min()) == (parts.significand, parts.exponent, 0)
    units = [Fraction(value) / scale for value in values[finite].tolist()]
    assert parts.interval == Interval(int(min(units)), int(max(units)))
    assert any(int(unit) % 2 for unit in units)
    assert parts.signed == bool(negative.any())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        # widths of the standards: a bit more than the fraction, and subnormals at the lowest exponent
        ("fp8_e4m3", Parts(15, 14, -9, Interval(-448 * 512, 448 * 512))),
        ("fp8_e5m2", Parts(7, 29, -16, Interval(-57344 * 2**16, 57344 * 2**16))),
        ("bf16", Parts(255, 253, -133, Interval(-255 << 253, 255 << 253))),
        ("fp32", Parts((1 << 24) - 1, 253, -149, Interval(-(2**24 - 1) << 253, 2**24 - 1 << 253))),
        ("int8", Parts(128, 0, 0, Interval(-128, 127))),
        ("fixed8_6", Parts(128, 0, -6, Interval(-128, 127))),
        # 1/64 to 64; up to 1 in steps of 1/64, of five bits of fraction
        ("posit8_0", Parts(63, 7, -6, Interval(-4096, 4096))),
        ("posit16_1", Parts(8191, 44, -28, Interval(-(2**56), 2**56))),
        # ones at most four places apart
        ("rf8", Parts(24, 30, -18, Interval(-24 << 30, 24 << 30))),
        ("codebook[-300,7]", Parts(75, 2, 0, Interval(-300, 7))),
    ],
)
def test_parts_of_known_formats(name, parts):
    assert parts_of(parse_format(name)) == parts


def test_tables_of_many_codes_are_refused():
    class Many(Tabulated):
        bits = 17

        @property
        def name(self):
            return "many"

        @property
        def integers(self):
            return tuple(range(1 << 17))

    message = "Format must have at most 16 bits a code, not the 17 of many"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parts_of(Many())
