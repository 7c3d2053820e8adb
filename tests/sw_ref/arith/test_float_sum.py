"""Sums that are floats, against NumPy, ml_dtypes and exact fractions."""

import re
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from sw_ref.arith.float_codes import round_to, value_of
from sw_ref.arith.float_sum import AlignedSum, PartialSum, RoundedSum
from sw_ref.formats.minifloat import BF16, FP16, FP32, Float
from tests.typed import present

E4M3 = Float(4, 3, specials="fn")
BF16_CODES = Float(8, 7, specials="ieee")
FP22 = Float(8, 13, specials="ieee")


def numbers(form, shape, random, spread=1.0):
    """Values of ``form``, some of them 0."""
    real = random.normal(size=shape) * spread * 2.0 ** random.integers(-3, 4, shape)
    return np.where(random.random(shape) < 0.1, 0.0, form.decode(form.encode(real)))


def cancelling(act, weight):
    """The same with a second half that takes away what the first one added, but for a little."""
    return np.concatenate([act, act], axis=1), np.concatenate([weight, -weight * (1 + 2.0**-7)], axis=0)


def exponent(number):
    """Of the leading bit of a Fraction other than 0."""
    power = abs(number).numerator.bit_length() - abs(number).denominator.bit_length()
    return power if abs(number) >= Fraction(2) ** power else power - 1


def code(shape, number):
    """The code of a Fraction that ``shape`` holds, or that is too large or too small."""
    if number == 0 or exponent(number) < 1 - shape.bias:
        return 0
    sign = (number < 0) << (shape.bits - 1)
    field = exponent(number) + shape.bias
    if field >= shape.top_exponent:
        return sign | shape.infinity
    significand = abs(number) / Fraction(2) ** (exponent(number) - shape.fraction)
    assert significand.denominator == 1
    return sign | field << shape.fraction | int(significand) - (1 << shape.fraction)


def rounded_once(shape, total):
    """A Fraction to the nearest of a shape, flushed before."""
    if total == 0 or exponent(total) < 1 - shape.bias:
        return Fraction(0)
    unit = Fraction(2) ** (exponent(total) - shape.fraction)
    return round(total / unit) * unit


def toward_zero(number, unit):
    return Fraction(int(number / unit)) * unit


@pytest.mark.parametrize(("shape", "theirs"), [(FP32, np.float32), (BF16, ml_dtypes.bfloat16), (FP16, np.float16)])
def test_rounded_sums_are_those_of_ieee_754(shape, theirs):
    """Products that the shape holds, so that somebody's sum is rounded once a lane too."""
    random = np.random.default_rng(1)
    small = Float(3, 2) if shape != FP32 else BF16_CODES
    act, weight = cancelling(numbers(small, (20, 150), random), numbers(small, (150, 30), random))
    weight = small.decode(small.encode(weight))
    expected = np.zeros((20, 30), theirs)
    for k in range(act.shape[1]):
        product = (act[:, k, None] * weight[k]).astype(theirs)
        np.testing.assert_array_equal(product.astype(np.float64), act[:, k, None] * weight[k])
        expected = expected + product
    sums = RoundedSum(shape)
    codes = sums.sums(act, weight, 4)
    numbers_ = value_of(shape, codes)
    np.testing.assert_array_equal(numbers_, expected.astype(np.float64))
    np.testing.assert_array_equal(sums.finish(codes), codes)
    assert len(np.unique(numbers_)) > 100


@pytest.mark.parametrize("shape", [FP32, FP16, BF16, Float(4, 2, specials="ieee")], ids=lambda shape: shape.name)
def test_rounded_sums_are_rounded_once(shape):
    """Also where products have more bits than the sum, by fractions."""
    random = np.random.default_rng(2)
    wide = Float(8, 22, specials="ieee")
    act, weight = cancelling(numbers(wide, (3, 60), random), numbers(wide, (60, 4), random))
    act[:, ::7] *= 2.0**-9
    sums = RoundedSum(shape).sums(act, weight, 1)
    for i in range(3):
        for j in range(4):
            total = Fraction(0)
            for a, w in zip(act[i], weight[:, j], strict=True):
                total = rounded_once(shape, total + Fraction(a) * Fraction(w))
            assert sums[i, j] == code(shape, total)


def test_what_is_too_large_stays_infinite_and_what_is_too_small_is_0():
    sums = RoundedSum(Float(3, 2, specials="ieee"))
    column = np.ones((3, 1))
    infinity = present(sums.shape.infinity)
    assert sums.sums(np.array([[15.0, -3.0, -15.0]]), column, 1) == infinity
    assert sums.sums(np.array([[-15.0, 3.0, 15.0]]), column, 1) == infinity | 32
    # less than the smallest normal, 0.25, even if it is nearer to that than to any other number
    assert sums.sums(np.array([[0.2499, 0.0, 0.0]]), column, 1) == 0
    assert sums.sums(np.array([[1.0, -1.0, -0.1]]), column, 1) == 0
    assert sums.sums(np.array([[-0.25, -0.0, 0.0]]), column, 1) == 32 | 4


def aligned(sums, terms, total, lowest):
    """One step as MMA-Sim describes it: every term truncated at the largest exponent less the fraction."""
    exponents = [exponent(total)] if total else []
    for a, w in terms:
        if a and w:
            exponents.append(max(exponent(a), lowest[0]) + max(exponent(w), lowest[1]))
    if not exponents:
        return Fraction(0)
    unit = Fraction(2) ** (max(exponents) - sums.fraction)
    whole = toward_zero(total, unit) + sum(toward_zero(a * w, unit) for a, w in terms)
    if whole == 0 or exponent(whole) < 1 - sums.shape.bias:
        return Fraction(0)
    return toward_zero(whole, Fraction(2) ** (exponent(whole) - sums.shape.fraction))


@pytest.mark.parametrize(
    ("sums", "form", "step"),
    [
        (AlignedSum(13, FP22), E4M3, 32),
        (AlignedSum(13, FP22), E4M3, 5),
        (AlignedSum(25, FP32), BF16_CODES, 16),
        (AlignedSum(24, FP32), Float(5, 10, specials="ieee"), 8),
        (AlignedSum(4, Float(4, 3, specials="ieee")), Float(2, 1), 3),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_aligned_sums_are_those_of_exact_fractions(sums, form, step):
    random = np.random.default_rng(3)
    act, weight = numbers(form, (3, 70), random, spread=0.05), numbers(form, (70, 4), random)
    act[:, 40:], weight[40:] = -act[:, :30], weight[:30]
    lowest = (1 - form.bias,) * 2
    found = sums.sums(act, weight, step, lowest=lowest)
    for i in range(3):
        for j in range(4):
            total = Fraction(0)
            for first in range(0, 70, step):
                terms = [(Fraction(act[i, k]), Fraction(weight[k, j])) for k in range(first, min(first + step, 70))]
                total = aligned(sums, terms, total, lowest)
            assert found[i, j] == code(sums.shape, total)


@pytest.mark.parametrize(
    ("act", "weight", "start", "result"),
    [
        # next to 1, two halves of the last bit that is kept are lost, each by itself
        ([1.0, 2.0**-7, 2.0**-7], [1.0, 2.0**-7, 2.0**-7], 0.0, 1.0),
        ([1.0, 2.0**-6, 2.0**-7], [1.0, 2.0**-7, 2.0**-7], 0.0, 1.0 + 2.0**-13),
        # truncated toward 0, with either sign
        ([1.0, -(2.0**-7)], [1.0, 1.5 * 2.0**-6], 0.0, 1.0 - 2.0**-13),
        # the product 3.0625 has the exponent of its factors, 0, so 2**-13 counts; a sum of 3.0625 has 1
        ([1.75, 2.0**-7, 2.0**-7], [1.75, 2.0**-6, 2.0**-6], 0.0, 3.0625 + 2.0**-12),
        ([0.0, 2.0**-7, 2.0**-7], [1.75, 2.0**-6, 2.0**-6], 3.0625, 3.0625),
        # a total is truncated to the bits of the sum
        ([1.75, 2.0**-7], [1.75, 2.0**-6], 0.0, 3.0625),
        # a product of 0 has no exponent, however large its other factor
        ([0.0, 2.0**-6], [256.0, 2.0**-6], 0.0, 2.0**-12),
    ],
)
def test_fp8_on_tensor_cores_by_hand(act, weight, start, result):
    sums = AlignedSum(13, FP22)
    came = sums.sums(
        np.array([act]), np.array(weight)[:, None], 32, lowest=(-6, -6), start=FP22.encode(start).astype(np.int64)
    )
    assert FP22.decode(came) == result


def partial_by_hand(sums, x, s, terms):
    """`PartialSum` on Python integers, one decision after the other."""
    bits = sums.significand
    for product_x, product in terms:
        if product == 0:
            continue
        if product_x > x:
            total, x = (s >> (product_x - x)) + product, product_x
        else:
            magnitude = abs(product) >> (x - product_x)
            total = s + (magnitude if product > 0 else -magnitude)
        low, high = -(1 << bits), (1 << bits) - 1
        if not low <= total <= high:
            s, x = total >> 1, x + 1
            continue
        if x >= 16 and sums.places is None and total == 0:
            s, x = 0, 0
            continue
        places = range(bits + 1) if sums.places is None else (0, *sums.places)
        fitting = [place for place in places if low <= total << place <= high]
        place = max(fitting) if x >= 16 else 0
        s, x = total << place, x - place
    return x << bits + 1 | s & ((2 << bits) - 1)


PARTIAL = [PartialSum(), PartialSum((1, 2)), PartialSum((1, 3)), PartialSum((2, 4)), PartialSum((3,), 11, FP16)]


@pytest.mark.parametrize("sums", PARTIAL, ids=lambda sums: sums.name)
def test_partial_sums_are_those_of_integers(sums):
    random = np.random.default_rng(4)
    form = BF16_CODES if sums.significand == 16 else E4M3
    act, weight = numbers(form, (4, 80), random, spread=0.1), numbers(form, (80, 5), random)
    act[:, 50:], weight[50:] = -act[:, :30], weight[:30]
    if form is BF16_CODES:
        # next to the least exponents
        act[1], weight[:, 1] = act[1] * 2.0**-115, weight[:, 1] * 2.0**-115
    act, weight = (form.decode(form.encode(side)) for side in (act, weight))
    lowest = 1 - form.bias
    codes = sums.sums(act, weight, 1, lowest=(lowest, lowest))
    for i in range(4):
        for j in range(5):
            terms = []
            for a, w in zip(act[i], weight[:, j], strict=True):
                power = sum(max(exponent(Fraction(side)), lowest) if side else 0 for side in (a, w))
                integer = Fraction(a) * Fraction(w) / Fraction(2) ** (power - sums.significand + 2)
                terms.append((power + sums.bias, int(integer)))
                assert integer.denominator == 1
            assert codes[i, j] == partial_by_hand(sums, 0, 0, terms)


@pytest.mark.parametrize("sums", PARTIAL, ids=lambda sums: sums.name)
@pytest.mark.parametrize("x", [15, 16, 17])
def test_partial_sums_keep_leading_zeros_below_an_exponent(sums, x):
    real = np.array([[1.5, -1.0]])
    terms = [(x, int(each * 2 ** (sums.significand - 2))) for each in real[0]]
    codes = sums.sums(real * 2.0 ** (x - sums.bias), np.ones((2, 1)), 1)
    assert codes.item() == partial_by_hand(sums, 0, 0, terms)


@pytest.mark.parametrize("sums", PARTIAL[:4], ids=lambda sums: sums.name)
def test_partial_sums_round_once_at_the_end(sums):
    """Where no bit falls out of the significand, the result is the exact sum, rounded once."""
    random = np.random.default_rng(5)
    act, weight = random.integers(-9, 10, (30, 20)).astype(float), random.integers(-9, 10, (20, 30)).astype(float)
    came = sums.finish(sums.sums(act, weight, 4))
    np.testing.assert_array_equal(came, round_to(sums.shape, act @ weight))
    assert came.dtype == np.uint32


EVERY = [RoundedSum(FP32), AlignedSum(13, FP22), *PARTIAL[:2]]


@pytest.mark.parametrize("sums", EVERY, ids=lambda sums: sums.name)
def test_sums_go_on_from_sums(sums):
    random = np.random.default_rng(6)
    act, weight = numbers(E4M3, (5, 64), random), numbers(E4M3, (64, 7), random)
    whole = sums.sums(act, weight, 8, lowest=(-6, -6))
    half = sums.sums(act[:, :32], weight[:32], 8, lowest=(-6, -6))
    np.testing.assert_array_equal(sums.sums(act[:, 32:], weight[32:], 8, lowest=(-6, -6), start=half), whole)
    assert whole.min() >= 0 and whole.max() < 1 << sums.bits
    # nothing adds nothing
    nothing = sums.sums(0 * act, weight, 8, lowest=(-6, -6), start=whole)
    np.testing.assert_array_equal(sums.finish(nothing), sums.finish(whole))
    assert not sums.sums(0 * act, weight, 8, lowest=(-6, -6)).any()


def test_names_and_widths():
    assert [sums.name for sums in EVERY] == ["fp32", "aligned13_e8m13_ieee", "bf16_s16_exact", "bf16_s16_approx_1_1"]
    assert PARTIAL[2].name == "bf16_s16_approx_1_2"
    assert [sums.bits for sums in EVERY] == [32, 22, 27, 27]
    assert [sums.shape for sums in EVERY] == [FP32, FP22, BF16, BF16]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AlignedSum(12, FP22), "Fraction must be from 13, as the sum's own, to 32 bits, not 12"),
        (lambda: AlignedSum(33, FP22), "Fraction must be from 13, as the sum's own, to 32 bits, not 33"),
        (lambda: PartialSum((2, 1)), "Places must be one or two ascending integers from 1 to 8, not (2, 1)"),
        (lambda: PartialSum(()), "Places must be one or two ascending integers from 1 to 8, not ()"),
        (lambda: PartialSum((1, 9)), "Places must be one or two ascending integers from 1 to 8, not (1, 9)"),
        (lambda: PartialSum(None, 1), "Significand must be from 2 to 48 bits, not 1"),
        (
            lambda: PartialSum(None, 4).sums(np.array([[1.75]]), np.array([[1.75]]), 1),
            "Products must fit 4 bits and exponents of -252 or more",
        ),
    ],
)
def test_others_are_refused(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()
