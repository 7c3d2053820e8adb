"""Posits against SoftPosit and against bit strings of any length."""

import re
from fractions import Fraction

import numpy as np
import pytest
import softposit

from sw_ref.formats.base import FixedPoint
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.posit import Posit
from sw_ref.interval import Interval
from tests.typed import wrong

POSITS = [Posit(bits, es) for bits, es in [(3, 0), (4, 1), (5, 3), (6, 2), (8, 0), (8, 1), (8, 2), (10, 1)]]
SOFTPOSIT = {
    Posit(8, 0): (softposit.convertDoubleToP8, softposit.convertP8ToDouble),
    Posit(16, 1): (softposit.convertDoubleToP16, softposit.convertP16ToDouble),
    **{
        Posit(bits, 2): (lambda x, bits=bits: softposit.convertDoubleToPX2(x, bits), softposit.convertPX2ToDouble)
        for bits in (4, 8, 12, 16)
    },
}


def by_name(fmt):
    return fmt.name


def all_codes(fmt):
    return np.arange(1 << fmt.bits, dtype=np.uint32)


def reals_around(fmt):
    """All values, all halfway between two by value and by bit pattern, the float64 on either side, and far beyond."""
    values, between = (each.decode(np.arange(1, each.nar)) for each in (fmt, Posit(min(16, fmt.bits + 1), fmt.es)))
    reals = np.concatenate([values, (values[1:] + values[:-1]) / 2, between, [0, 5e-324, 1e-30, 1e30, 1e308]])
    reals = np.concatenate([reals, np.nextafter(reals, np.inf), np.nextafter(reals, -np.inf)])
    return np.concatenate([reals, -reals])


def bit_string_code(fmt, real):
    """The code of a real, as the standard says: its bit pattern of any length, rounded as an integer is."""
    if real == 0:
        return 0
    magnitude, power = abs(Fraction(real)), 0
    while magnitude >= 2:
        magnitude, power = magnitude / 2, power + 1
    while magnitude < 1:
        magnitude, power = magnitude * 2, power - 1
    regime, exponent = power >> fmt.es, power % (1 << fmt.es)
    pattern = "1" * (regime + 1) + "0" if regime >= 0 else "0" * -regime + "1"
    pattern += f"{exponent:0{fmt.es}b}" if fmt.es else ""
    for _ in range(60):
        magnitude = (magnitude % 1) * 2
        pattern += str(int(magnitude))
    kept, lost = pattern[: fmt.bits - 1].ljust(fmt.bits - 1, "0"), pattern[fmt.bits - 1 :]
    code = int(kept, 2)
    code += lost[:1] == "1" and ("1" in lost[1:] or code % 2)
    code = min(max(code, 1), fmt.nar - 1)
    return code if real > 0 else (1 << fmt.bits) - code


@pytest.mark.parametrize("fmt", POSITS, ids=by_name)
def test_every_real_is_rounded_as_a_bit_pattern(fmt):
    reals = reals_around(fmt)
    assert fmt.encode(reals).tolist() == [bit_string_code(fmt, real) for real in reals.tolist()]


@pytest.mark.parametrize("fmt", SOFTPOSIT, ids=by_name)
def test_softposit_agrees(fmt):
    encode, decode = SOFTPOSIT[fmt]
    # its posits of other widths lie at the top of 32 bits
    raw = (lambda posit: posit.v >> (32 - fmt.bits)) if fmt.es == 2 else (lambda posit: posit.v)
    reals = np.random.default_rng(0).standard_normal(3000) * 2.0 ** np.random.default_rng(1).integers(-30, 30, 3000)
    reals = np.concatenate([reals, reals_around(fmt)[:: 1 if fmt.bits <= 8 else 37]])
    reals = reals[(np.abs(reals) > 1e-300) | (reals == 0)]
    posits = [encode(real) for real in reals.tolist()]
    np.testing.assert_array_equal(fmt.encode(reals), [raw(posit) for posit in posits])
    np.testing.assert_array_equal(fmt.decode(fmt.encode(reals)), [decode(posit) for posit in posits])


@pytest.mark.parametrize("fmt", [*POSITS, Posit(16, 1)], ids=by_name)
class TestEveryPosit:
    def test_values_have_their_codes(self, fmt):
        codes = all_codes(fmt)
        values = fmt.decode(codes)
        assert np.flatnonzero(np.isnan(values)).tolist() == [fmt.nar] == np.flatnonzero(~fmt.finite(codes)).tolist()
        np.testing.assert_array_equal(fmt.encode(values), codes)
        # read as two's complement, codes are in the order of their values
        order = np.concatenate([codes[fmt.nar + 1 :], codes[: fmt.nar]])
        assert (np.diff(values[order]) > 0).all()
        assert fmt.bounds == (np.nanmin(values), np.nanmax(values))

    def test_fixed_point_is_exact(self, fmt):
        codes = all_codes(fmt)[fmt.finite(all_codes(fmt))]
        integers = fmt.to_fixed(codes).tolist()
        assert [Fraction(2) ** fmt.fixed.lsb * integer for integer in integers] == fmt.decode(codes).tolist()
        assert fmt.fixed.interval == Interval(min(integers), max(integers)) and 1 in integers

    def test_nar_and_name(self, fmt):
        assert fmt.encode([np.nan, np.inf, -np.inf]).tolist() == [fmt.nar] * 3
        with pytest.raises(ValueError, match=r"^decoded value is nan, which has no fixed-point form$"):
            fmt.to_fixed(fmt.nar)
        assert parse_format(fmt.name) == fmt


@pytest.mark.parametrize("fmt", [Posit(8, 0), Posit(8, 1), Posit(16, 1)], ids=by_name)
def test_no_power_of_two_is_a_better_full_scale(fmt):
    reals = np.random.default_rng(0).standard_normal((400, 50))
    reals /= np.abs(reals).max(axis=0)
    errors = {}
    for scale in (fmt.full_scale * 2.0**power for power in range(-2, 3)):
        errors[scale] = np.sum((fmt.decode(fmt.encode(reals * scale)) / scale - reals) ** 2)
    assert min(errors, key=errors.__getitem__) == fmt.full_scale


def test_published_values():
    assert Posit(4, 1).decode(np.arange(8)).tolist() == [0, 1 / 16, 1 / 4, 1 / 2, 1, 2, 4, 16]
    assert Posit(8, 0).decode([1, 64, 127, 192]).tolist() == [1 / 64, 1, 64, -1]
    assert Posit(8, 0).fixed == FixedPoint(Interval(-4096, 4096), lsb=-6)
    assert Posit(16, 1).decode([1, 0x7FFF]).tolist() == [2.0**-28, 2.0**28]
    # the example of the posit papers, 16 bits with es = 3
    assert Posit(16, 3).decode(0b0000110111011101) == (1 + 221 / 256) * 2.0**5 / 256**3
    assert Posit(16, 3).fixed is None


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: Posit(2, 0), ValueError, "Bits must be from 3 to 16, not 2"),
        (lambda: Posit(17, 0), ValueError, "Bits must be from 3 to 16, not 17"),
        (lambda: Posit(8, 4), ValueError, "Es must be from 0 to 3, not 4"),
        (lambda: Posit(wrong(8.0), 0), TypeError, "'float' object cannot be interpreted as an integer"),
        (lambda: Posit(16, 3).to_fixed(1), ValueError, "Format must have a fixed-point form, which posit16_3 lacks"),
        (lambda: Posit(4, 1).from_values([8]), ValueError, "value[0] is 8, between two values of posit4_1 (-16 to 16)"),
    ],
)
def test_bad_input_is_refused(attempt, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        attempt()
