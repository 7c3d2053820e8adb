"""Flushed floating point against NumPy's and ml_dtypes' own, where nothing is subnormal."""

import functools
import re
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from sw_ref.arith.float_codes import add, from_integer, multiply, round_to, smallest_normal, value_of
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import BF16, FP16, FP32, Float

# each shape with somebody else's implementation
TYPES = {FP32: np.float32, FP16: np.float16, BF16: ml_dtypes.bfloat16}
CODES = {FP32: np.uint32, FP16: np.uint16, BF16: np.uint16}
OPERATIONS = {"add": add, "multiply": multiply}
SMALL = Float(3, 2, specials="ieee")


def patterns(shape, random, count=200_000):
    """Codes from everywhere, half of them with exponents near that of 1."""
    codes = random.integers(0, 1 << shape.bits, count)
    near = shape.bias + random.integers(-shape.fraction - 3, shape.fraction + 3, count).clip(-shape.bias, shape.bias)
    fields = shape.top_exponent << shape.fraction
    return np.where(random.random(count) < 0.5, codes, codes & ~fields | near << shape.fraction)


def theirs(shape, codes):
    return np.asarray(codes).astype(CODES[shape]).view(TYPES[shape])


def is_subnormal(shape, codes):
    magnitude = np.asarray(codes) & ((1 << (shape.bits - 1)) - 1)
    return (magnitude > 0) & (magnitude < 1 << shape.fraction)


def agrees(shape, codes, their_numbers):
    """Whether codes are somebody's result, where that is neither subnormal nor next to it; any NaN is a NaN."""
    their_codes = np.where(np.isnan(their_numbers), shape.nan, their_numbers.view(CODES[shape]))
    magnitude = their_codes & ((1 << (shape.bits - 1)) - 1)
    # the smallest normal may have been rounded from below with fewer bits than a flushed result is
    counts = (magnitude == 0) | (magnitude > 1 << shape.fraction)
    return (codes == their_codes) | ~counts


@pytest.mark.parametrize("operation", ["multiply", "add"])
@pytest.mark.parametrize("shape", TYPES, ids=lambda shape: f"e{shape.exponent}m{shape.fraction}")
def test_results_are_those_of_ieee_754(shape, operation):
    random = np.random.default_rng(1)
    x, y = patterns(shape, random), patterns(shape, random)
    normal = ~is_subnormal(shape, x) & ~is_subnormal(shape, y)
    with np.errstate(all="ignore"):
        expected = getattr(np, operation)(theirs(shape, x), theirs(shape, y))
    came = OPERATIONS[operation](shape, x, y)
    assert came.dtype == np.uint32
    assert (agrees(shape, came, expected) | ~normal).all()
    assert normal.mean() > 0.8


@pytest.mark.parametrize("shape", TYPES, ids=lambda shape: f"e{shape.exponent}m{shape.fraction}")
def test_conversions_are_those_of_ieee_754(shape):
    random = np.random.default_rng(2)
    codes = patterns(shape, random)
    with np.errstate(invalid="ignore"):
        numbers = theirs(shape, codes).astype(np.float64)
    expected = np.where(is_subnormal(shape, codes), np.copysign(0, numbers), numbers)
    decoded = value_of(shape, codes)
    np.testing.assert_array_equal(decoded, expected)
    assert ((np.signbit(decoded) == np.signbit(expected)) | np.isnan(numbers)).all()
    canonical = np.where(np.isnan(numbers), shape.nan, np.where(is_subnormal(shape, codes), 0, codes))
    sign = codes & np.where(np.isnan(numbers), 0, 1 << (shape.bits - 1))
    np.testing.assert_array_equal(round_to(shape, decoded), canonical | sign)
    real = random.normal(size=100_000) * 2.0 ** random.integers(-30, 20, 100_000)
    with np.errstate(all="ignore"):
        assert agrees(shape, round_to(shape, real), real.astype(TYPES[shape])).all()


@pytest.mark.parametrize("shape", TYPES, ids=lambda shape: f"e{shape.exponent}m{shape.fraction}")
def test_integers_are_rounded_once(shape):
    random = np.random.default_rng(3)
    integers = random.integers(-(1 << 63), 1 << 63, 5_000) >> random.integers(0, 63, 5_000)
    # next to ties, some of them beyond what float64 holds
    ties = (2 * random.integers(1 << shape.fraction, 2 << shape.fraction, 5_000) + 1) << random.integers(0, 38, 5_000)
    integers = np.concatenate([integers, ties - 1, ties, ties + 1, -ties - 1, [0, (1 << 63) - 1, -(1 << 63)]])
    expected = np.array([rounded(shape, int(integer)) for integer in integers])
    np.testing.assert_array_equal(value_of(shape, from_integer(shape, integers)), expected)
    assert from_integer(shape, 0) == 0


@pytest.mark.parametrize("shape", TYPES, ids=lambda shape: f"e{shape.exponent}m{shape.fraction}")
def test_integers_beyond_int64_are_rounded_once(shape):
    random = np.random.default_rng(4)
    significands = 2 * random.integers(1 << shape.fraction, 2 << shape.fraction, 3000) + 1
    ties = significands.astype(object) << random.integers(0, 200, 3000).astype(object)
    # next to ties, by differences that float64 does not hold
    integers = np.concatenate([ties - 1, ties, ties + 1, -ties - 1, -ties, -ties + 1])
    expected = np.array([rounded(shape, integer) for integer in integers])
    np.testing.assert_array_equal(value_of(shape, from_integer(shape, integers)), expected)
    assert from_integer(shape, -(1 << 300)) == shape.infinity | 1 << shape.bits - 1


def rounded(shape, integer):
    """The nearest number, by exact fractions."""
    unit = Fraction(2) ** (abs(integer).bit_length() - shape.fraction - 1)
    nearest = round(integer / unit) * unit
    largest = Fraction(value_of(shape, shape.infinity - 1).item())
    return float(nearest) if abs(nearest) <= largest else np.copysign(np.inf, integer)


@functools.cache
def positive_values(shape):
    """All normal numbers, with their codes."""
    return {Fraction(value_of(shape, code).item()): code for code in range(1 << shape.fraction, shape.infinity)}


def exactly(shape, number, sign):
    """The code of an exact result, by searching all: rounded without bounds of the exponent, and then flushed."""
    if number == 0:
        return sign << (shape.bits - 1)
    exponent = -40
    while abs(number) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    unit = Fraction(2) ** (exponent - shape.fraction)
    number = round(number / unit) * unit
    values = positive_values(shape)
    code = values.get(abs(number), 0 if abs(number) < min(values) else shape.infinity)
    return code | (number < 0) << (shape.bits - 1)


@pytest.mark.parametrize(("operation", "symbol"), [("multiply", "*"), ("add", "+")])
def test_small_numbers_are_flushed_after_rounding(operation, symbol):
    """All pairs of finite codes, by fractions."""
    finite = [code for code in range(1 << SMALL.bits) if np.isfinite(value_of(SMALL, code))]
    for x in finite:
        for y in finite:
            a, b = (Fraction(value_of(SMALL, code).item()) for code in (x, y))
            negative = [code >> (SMALL.bits - 1) for code in (x, y)]
            zero_sign = negative[0] ^ negative[1] if symbol == "*" else negative[0] & negative[1] & (a == b)
            expected = exactly(SMALL, a * b if symbol == "*" else a + b, zero_sign)
            assert OPERATIONS[operation](SMALL, x, y) == expected, (x, y)


PLUS, MINUS = 0x00000000, 0x80000000
INFINITY, NAN = 0x7F800000, 0x7FC00000


@pytest.mark.parametrize(
    ("operation", "x", "y", "result"),
    [
        ("multiply", 0x3FC00000, 0xC0000000, 0xC0400000),
        # a subnormal is 0, with its sign
        ("multiply", 0x807FFFFF, 0x7F7FFFFF, MINUS),
        ("add", 0x807FFFFF, 0x80000001, MINUS),
        ("add", 0x007FFFFF, 0x807FFFFF, PLUS),
        # just below the smallest normal, and just above
        ("multiply", 0x3F7FFFFF, 0x00800000, PLUS),
        ("multiply", 0x3F7FFFFF, 0x00800001, 0x00800000),
        ("add", 0x00800001, 0x80800000, PLUS),
        ("add", 0x80800001, 0x00800000, MINUS),
        ("add", 0x7F7FFFFF, 0x73000000, INFINITY),
        ("add", 0x7F7FFFFF, 0x72FFFFFF, 0x7F7FFFFF),
        ("add", 0x3F800000, 0xBF800000, PLUS),
        ("add", MINUS, MINUS, MINUS),
        ("add", MINUS, PLUS, PLUS),
        ("add", INFINITY, 0xFF800000, NAN),
        ("add", INFINITY, INFINITY, INFINITY),
        ("multiply", INFINITY, 0x80000001, NAN),
        ("multiply", 0xFF800000, 0x3F800000, 0xFF800000),
        ("multiply", 0xFF800001, PLUS, NAN),
        ("add", 0xFFFFFFFF, 0x3F800000, NAN),
    ],
)
def test_corners(operation, x, y, result):
    assert OPERATIONS[operation](FP32, x, y) == result
    assert OPERATIONS[operation](FP32, y, x) == result


@pytest.mark.parametrize("name", ["fp8_e4m3", "e8m0", "e5m3", "ue5m3_ieee"])
def test_results_need_infinities_and_a_sign(name):
    form = parse_format(name)
    assert isinstance(form, Float)
    message = f"Format must be a float with a sign, infinities and NaN, such as fp32, not {name}"
    with pytest.raises(ValueError, match=f"^{message}$"):
        round_to(form, 1.0)


def test_factors_of_other_formats_are_what_their_codes_say():
    """Against their own ``decode``, where nothing is subnormal."""
    for name in ("e8m0", "ue5m3_ieee", "e5m2_fn_flushed"):
        form = parse_format(name)
        assert isinstance(form, Float)
        codes = np.arange(1 << form.bits)
        value = form.decode(codes)
        expected = np.where(np.abs(value) < smallest_normal(form), np.copysign(0, value), value)
        np.testing.assert_array_equal(value_of(form, codes), expected)
        product = multiply(FP32, round_to(FP32, 3.0), codes, form)
        with np.errstate(all="ignore"):
            theirs_ = (np.float32(3) * expected).astype(np.float32)
        np.testing.assert_array_equal(value_of(FP32, product), theirs_)


@pytest.mark.parametrize(
    ("codes", "error", "message"),
    [
        ([0.5], TypeError, "code must be an array of integers, not of float64"),
        ([0, 65536], ValueError, "code[1] is 65536, outside the codes of bf16 (0 to 65535)"),
        ([-1], ValueError, "code[0] is -1, outside the codes of bf16 (0 to 65535)"),
    ],
)
def test_other_codes_are_refused(codes, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        value_of(BF16, codes)


def test_float32_rounds_up_to_its_smallest_normal_as_if_exponents_had_no_bounds():
    least, half = 2.0**-126, 2.0**-151
    below = float(np.nextafter(least - half, 0))
    codes = round_to(FP32, np.array([least, least - half, below, -below, -least, half - least]))
    np.testing.assert_array_equal(codes, np.array([1 << 23, 1 << 23, 0, 1 << 31, 257 << 23, 257 << 23], np.uint32))
    assert np.isnan(value_of(FP32, np.array([0x7F800001, 0xFFC00001], np.uint32))).all()
    np.testing.assert_array_equal(round_to(FP32, np.array([-np.nan, np.nan])), [FP32.nan, FP32.nan])
