"""Floating-point formats against ml_dtypes, gfloat and arithmetic on fractions: all codes, and all between them."""

import bisect
import re
from fractions import Fraction
from types import SimpleNamespace

import gfloat
import ml_dtypes
import numpy as np
import pytest
from gfloat.formats import (
    format_info_bfloat16,
    format_info_binary16,
    format_info_binary32,
    format_info_ocp_e2m1,
    format_info_ocp_e2m3,
    format_info_ocp_e3m2,
    format_info_ocp_e4m3,
    format_info_ocp_e5m2,
)

from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import FLOATS, Float
from tests.typed import wrong

ML_DTYPES = {
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e4m3_ieee": ml_dtypes.float8_e4m3,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "e3m4_ieee": ml_dtypes.float8_e3m4,
    "fp6_e3m2": ml_dtypes.float6_e3m2fn,
    "fp6_e2m3": ml_dtypes.float6_e2m3fn,
    "fp4_e2m1": ml_dtypes.float4_e2m1fn,
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "fp32": np.float32,
}
GFLOAT = {
    "fp8_e4m3": format_info_ocp_e4m3,
    "fp8_e5m2": format_info_ocp_e5m2,
    "fp6_e3m2": format_info_ocp_e3m2,
    "fp6_e2m3": format_info_ocp_e2m3,
    "fp4_e2m1": format_info_ocp_e2m1,
    "bf16": format_info_bfloat16,
    "fp16": format_info_binary16,
    "fp32": format_info_binary32,
}
# a format of each kind, with at most 9 bits
KINDS = [
    *(FLOATS[name] for name in FLOATS if FLOATS[name].bits <= 8),
    *(Float(exponent, fraction) for exponent in range(1, 6) for fraction in range(max(0, 2 - exponent), 8 - exponent)),
    *(
        Float(exponent, fraction, signed, specials=specials, lowest=lowest)
        for exponent, fraction in [(2, 1), (3, 2), (4, 3)]
        for signed in (True, False)
        for specials in ("finite", "fn", "ieee")
        for lowest in ("subnormal", "zero", "normal")
        if not (signed and lowest == "normal")
    ),
    Float(5, 3, signed=False, specials="fn", overflow="special"),
    Float(4, 3, specials="fn", overflow="special"),
    Float(4, 3, specials="ieee", overflow="special"),
    Float(3, 0, specials="fn", lowest="zero", overflow="special"),
    Float(3, 0, bias=2),
    Float(3, 0, signed=False, bias=2, lowest="normal"),
    Float(2, 3, bias=-256),
    Float(2, 3, bias=256),
]


def by_name(fmt):
    return fmt.name


def all_codes(fmt):
    return np.arange(1 << fmt.bits, dtype=np.uint32)


def bits_of(values):
    """The codes of an array of a NumPy or ml_dtypes type."""
    return values.view(f"u{values.dtype.itemsize}").astype(np.uint32)


def meaning(fmt, code):
    """A finite value as a fraction, "inf" or "nan", as the class says."""
    sign, rest = divmod(code, 1 << fmt.exponent + fmt.fraction)
    exponent, fraction = divmod(rest, 1 << fmt.fraction)
    ones = exponent == (1 << fmt.exponent) - 1
    if fmt.specials == "fn" and ones and fraction == (1 << fmt.fraction) - 1:
        return "nan"
    if fmt.specials == "ieee" and ones:
        return "nan" if fraction else "inf"
    significand, power = 1 + Fraction(fraction, 1 << fmt.fraction), exponent
    if exponent == 0 and fmt.lowest != "normal":
        significand, power = (significand - 1 if fmt.lowest == "subnormal" else Fraction(0)), 1
    return (-1) ** sign * significand * Fraction(2) ** (power - fmt.bias)


def nearest(fmt, table, real):
    """The code that ``real`` is rounded to, by a search of ``table``: magnitudes and their codes."""
    magnitude = abs(Fraction(real))
    if not fmt.signed and real < 0:
        magnitude = Fraction(0)
    above = min(bisect.bisect_left(table, (magnitude, 0)), len(table) - 1)
    (low, low_code), (high, high_code) = table[max(above - 1, 0)], table[above]
    even = low_code if low_code % 2 == 0 else high_code
    code = {-1: low_code, 0: even, 1: high_code}[int(np.sign(2 * magnitude - low - high))]
    if code > fmt.largest:
        special = fmt.nan if fmt.infinity is None else fmt.infinity
        code = fmt.largest if fmt.overflow == "saturate" else special
    return code | (fmt.signed and bool(np.signbit(real))) << (fmt.bits - 1)


def reals_around(fmt):
    """All values, all that is halfway between two, also above the largest, and the float64 on either side of each."""
    values = np.unique(np.abs(fmt.decode(all_codes(fmt))[fmt.finite(all_codes(fmt))]))
    if values.size > 1:
        values = np.append(values, 2 * values[-1] - values[-2])
    values = np.concatenate([[0], values, (values[1:] + values[:-1]) / 2, values[-1:] * 3])
    reals = np.concatenate([values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)])
    reals = np.concatenate([reals, -reals, [5e-324, -5e-324, 1e308, -1e308]])
    return reals


@pytest.mark.parametrize("fmt", KINDS, ids=by_name)
class TestEveryKind:
    def test_every_code_stands_for_what_its_fields_say(self, fmt):
        meanings = [meaning(fmt, code) for code in all_codes(fmt).tolist()]
        for code, value, expected in zip(all_codes(fmt).tolist(), fmt.decode(all_codes(fmt)), meanings, strict=True):
            if expected in ("nan", "inf"):
                assert str(abs(value)) == expected
            else:
                assert Fraction(float(value)) == expected
            if expected != "nan":
                assert np.signbit(value) == (fmt.signed and code >> (fmt.bits - 1))
        finite = [value for value in meanings if value not in ("nan", "inf")]
        assert fmt.finite(all_codes(fmt)).tolist() == [value not in ("nan", "inf") for value in meanings]
        assert fmt.bounds == (float(min(finite)), float(max(finite)))
        if fmt.fixed:
            held = all_codes(fmt)[fmt.finite(all_codes(fmt))]
            scaled = [value / Fraction(2) ** fmt.fixed.lsb for value in finite]
            assert fmt.to_fixed(held).tolist() == scaled
            assert (fmt.fixed.interval.lo, fmt.fixed.interval.hi) == (min(scaled), max(scaled))
            assert min(fmt.fixed.interval.lo, -fmt.fixed.interval.hi) >= -(2**63 - 1)

    def test_everything_between_is_rounded_to_nearest_even(self, fmt):
        # what would come after the largest decides what rounds beyond it
        beyond = SimpleNamespace(**{**vars(fmt), "exponent": fmt.exponent + 1, "specials": "finite"})
        codes = {meaning(beyond, code): code for code in reversed(range(fmt.largest + 2))}
        table = sorted(codes.items())
        reals = reals_around(fmt)
        assert fmt.encode(reals).tolist() == [nearest(fmt, table, real) for real in reals.tolist()]

    def test_its_name_is_read_back(self, fmt):
        assert parse_format(fmt.name) == fmt

    def test_infinity_and_nan(self, fmt):
        special = fmt.nan if fmt.infinity is None else fmt.infinity
        top = fmt.largest if fmt.overflow == "saturate" else special
        bottom = (top | 1 << (fmt.bits - 1)) if fmt.signed else 0
        assert fmt.encode([np.inf, -np.inf]).tolist() == [top, bottom]
        if fmt.nan is None:
            with pytest.raises(ValueError, match=rf"^value\[1\] is nan, which {re.escape(fmt.name)} lacks$"):
                fmt.encode([0, np.nan])
        else:
            assert fmt.encode([np.nan, -np.nan]).tolist() == [fmt.nan] * 2 and np.isnan(fmt.decode(fmt.nan))
            with pytest.raises(ValueError, match=r"^decoded value\[0\] is nan, which has no fixed-point form$"):
                (fmt if fmt.fixed else FLOATS["fp8_e4m3"]).to_fixed([fmt.nan if fmt.fixed else 127])

    def test_stochastic_rounding_takes_either_neighbour(self, fmt):
        # what is next to the largest value may overflow
        values = np.unique(fmt.decode(fmt.encode(reals_around(fmt))))
        values = values[np.isfinite(values)]
        np.testing.assert_array_equal(fmt.decode(fmt.encode_stochastic(values, 0)), values)
        np.testing.assert_array_equal(fmt.decode(fmt.encode_stochastic(values, np.nextafter(1, 0))), values)
        low, high = values[:-1], values[1:]
        for eighths in range(1, 8):
            real = low + (high - low) * eighths / 8
            for u, expected in ((eighths / 8 - 2**-20, high), (eighths / 8, low), (0, high), (1 - 2**-20, low)):
                np.testing.assert_array_equal(fmt.decode(fmt.encode_stochastic(real, u)), expected)


def corners(fmt):
    """Reals that float32 holds, for those who round twice: random bits of all magnitudes, and around values of fmt."""
    rng = np.random.default_rng(0)
    reals = rng.integers(0, 1 << 32, 100_000, dtype=np.uint32).view(np.float32)
    reals = np.concatenate([reals[np.isfinite(reals)], rng.standard_normal(100_000, dtype=np.float32)])
    codes = rng.integers(0, fmt.largest, 1000)
    for code in (codes, fmt.largest - codes % 4, codes % 4):
        values = fmt.decode(code).astype(np.float32)
        middles = ((values + fmt.decode(np.minimum(code + 1, fmt.largest))) / 2).astype(np.float32)
        for each in (values, middles):
            with np.errstate(over="ignore"):
                reals = np.concatenate([reals, each, np.nextafter(each, np.inf), -np.nextafter(each, -np.inf)])
    return reals[np.isfinite(reals)]


def nonsat(name):
    """The format by its name, with overflow as others have it: special if something is."""
    fmt = parse_format(name)
    assert isinstance(fmt, Float)
    return fmt if fmt.specials == "finite" else parse_format(f"{name}_nonsat")


@pytest.mark.parametrize("name", ML_DTYPES)
def test_ml_dtypes_agrees(name):
    fmt, dtype = nonsat(name), ML_DTYPES[name]
    codes = all_codes(fmt) if fmt.bits <= 16 else np.random.default_rng(1).integers(0, 1 << 32, 200_000)
    with np.errstate(invalid="ignore"):
        theirs = codes.astype(f"u{np.dtype(dtype).itemsize}").view(dtype).astype(np.float64)
    np.testing.assert_array_equal(fmt.decode(codes), theirs)
    assert fmt.encode(fmt.decode(codes))[fmt.finite(codes)].tolist() == codes[fmt.finite(codes)].tolist()
    reals = corners(fmt)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(fmt.encode(reals), bits_of(reals.astype(dtype)))


def test_e8m0_is_that_of_ml_dtypes():
    fmt = FLOATS["e8m0"]
    theirs = all_codes(fmt).astype(np.uint8).view(ml_dtypes.float8_e8m0fnu)
    np.testing.assert_array_equal(fmt.decode(all_codes(fmt)), theirs.astype(np.float64))
    np.testing.assert_array_equal(fmt.decode([0, 1, 127, 254]), [2.0**-127, 2.0**-126, 1, 2.0**127])


@pytest.mark.parametrize("saturate", [True, False])
@pytest.mark.parametrize("name", GFLOAT)
def test_gfloat_agrees_on_float64(name, saturate):
    fmt, info = (parse_format(name) if saturate else nonsat(name)), GFLOAT[name]
    assert isinstance(fmt, Float)
    reals = np.random.default_rng(2).standard_normal(2000) * 2.0 ** np.random.default_rng(3).integers(-20, 20, 2000)
    reals = np.concatenate([reals, reals_around(fmt)[:-4] if fmt.bits <= 8 else corners(fmt)[-4000:]])
    saturate |= fmt.specials == "finite"
    rounded = gfloat.round_ndarray(info, reals, sat=saturate)
    np.testing.assert_array_equal(fmt.decode(fmt.encode(reals)), rounded)
    np.testing.assert_array_equal(
        fmt.encode(rounded[np.isfinite(rounded)]), gfloat.encode_ndarray(info, rounded)[np.isfinite(rounded)]
    )


@pytest.mark.parametrize(
    ("name", "positive"),
    [
        ("fp4_e2m1", [0, 0.5, 1, 1.5, 2, 3, 4, 6]),
        ("fp4_e3m0", [0, 0.25, 0.5, 1, 2, 4, 8, 16]),
        ("fp4_e1m2", [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]),
    ],
)
def test_values_of_four_bits(name, positive):
    assert parse_format(name).decode(np.arange(16)).tolist() == [*positive, *(-value for value in positive)]


@pytest.mark.parametrize(
    ("name", "least", "largest", "width"),
    [
        ("fp8_e4m3", 2.0**-9, 448, 19),
        ("fp8_e4m3_ieee", 2.0**-9, 240, 18),
        ("fp8_e5m2", 2.0**-16, 57344, 33),
        ("fp6_e3m2", 0.0625, 28, 10),
        ("fp6_e2m3", 0.125, 7.5, 7),
        ("fp4_e2m1", 0.5, 6, 5),
        ("ue4m3", 2.0**-9, 448, 18),
        ("ue5m3", 2.0**-17, 114688, 34),
        ("ue5m3_finite", 2.0**-17, 122880, 34),
        ("ue5m3_ieee", 2.0**-17, 61440, 33),
        ("fp16", 2.0**-24, 65504, 41),
        ("bf16", 2.0**-133, (2 - 2**-7) * 2.0**127, None),
        ("fp32", 2.0**-149, (2 - 2**-23) * 2.0**127, None),
        ("e8m0", None, 2.0**127, None),
    ],
)
def test_published_bounds(name, least, largest, width):
    fmt = parse_format(name)
    assert fmt.bounds[1] == largest
    assert (fmt.fixed and fmt.fixed.interval.bits) == width
    assert least is None or fmt.decode(1) == least


def test_expectation_of_stochastic_rounding_is_the_real():
    fmt, u = FLOATS["fp8_e4m3"], (np.arange(4096) + 0.5) / 4096
    real = np.random.default_rng(5).standard_normal(50) * 2.0 ** np.arange(-25, 25, 1) % 400 - 200
    mean = fmt.decode(fmt.encode_stochastic(real[:, None], u)).mean(axis=1)
    np.testing.assert_allclose(mean, real, atol=16 / 4096)


def test_shape_is_kept_and_scalars_are_allowed():
    assert FLOATS["fp8_e4m3"].encode(np.zeros((2, 0, 3))).shape == (2, 0, 3)
    assert FLOATS["fp8_e4m3"].encode(1.0) == 0x38 and FLOATS["fp8_e4m3"].decode(0x38) == 1
    assert FLOATS["fp4_e2m1"].encode_stochastic(5, 0.25).shape == ()


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: Float(0, 3), ValueError, "Exponent must be from 1 to 8, not 0"),
        (lambda: Float(9, 3), ValueError, "Exponent must be from 1 to 8, not 9"),
        (lambda: Float(wrong(4.0), 3), TypeError, "'float' object cannot be interpreted as an integer"),
        (lambda: Float(4, 24), ValueError, "Fraction must be from 0 to 23, not 24"),
        (lambda: Float(4, 3, bias=257), ValueError, "Bias must be from -256 to 256, not 257"),
        (lambda: Float(4, 3, signed=wrong(1)), TypeError, "Signed must be a bool, not 1"),
        (lambda: Float(4, 3, specials=wrong("no")), ValueError, "Specials must be one of finite, fn, ieee, not 'no'"),
        (
            lambda: Float(4, 3, lowest=wrong("no")),
            ValueError,
            "Lowest must be one of subnormal, zero, normal, not 'no'",
        ),
        (lambda: Float(4, 3, overflow=wrong("no")), ValueError, "Overflow must be one of saturate, special, not 'no'"),
        (
            lambda: Float(1, 3, specials="fn"),
            ValueError,
            "Exponent must be from 2 to 8 where a code is no number, not 1",
        ),
        (
            lambda: Float(4, 3, lowest="normal"),
            ValueError,
            "Lowest must be 'subnormal' or 'zero' where there is a sign, not 'normal'",
        ),
        (
            lambda: Float(4, 0, specials="ieee"),
            ValueError,
            "Fraction must be from 1 to 23 where there are infinity and NaN, not 0",
        ),
        (
            lambda: Float(4, 3, overflow="special"),
            ValueError,
            "Overflow must be 'saturate' where every code is finite, not 'special'",
        ),
        (
            lambda: Float(2, 1).encode_stochastic(0, 1),
            ValueError,
            "u must be at least 0 and less than 1, not 1.0 to 1.0",
        ),
        (lambda: FLOATS["bf16"].to_fixed(0), ValueError, "Format must have a fixed-point form, which bf16 lacks"),
    ],
)
def test_bad_input_is_refused(attempt, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        attempt()
