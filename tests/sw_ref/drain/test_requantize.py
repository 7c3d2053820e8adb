"""Dyadic requantization against fractions, and against the float64 emulation where that is exact."""

import re
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest

from sw_ref.drain.edge import Drain
from sw_ref.drain.requantize import dyadic, requantize
from sw_ref.formats.base import Int


def ratios(random, count=2000):
    """From 2**-40 to 2**7, with fractions of any number of bits."""
    fractions = 1 + random.integers(0, 1 << 23, count) / (1 << 23)
    fractions[:8] = [1, 1.5, 2 - 2**-23, 2 - 2**-7, 2 - 2**-8, 1 + 2**-8, 1 + 2**-7, 1 + 2**-23]
    return (fractions * 2.0 ** random.integers(-40, 7, count)).astype(np.float32)


@pytest.mark.parametrize("bits", [8, 16, 24, 31])
def test_dyadic_rounds_the_fraction_half_up(bits):
    ratio = ratios(np.random.default_rng(bits))
    multiplier, shift = dyadic(ratio, bits=bits)
    assert ((multiplier >= 1 << (bits - 1)) & (multiplier < 1 << bits)).all()
    fraction, exponent = np.frexp(ratio.astype(np.float64))
    for r, m, s, f, e in zip(ratio, multiplier, shift, fraction, exponent, strict=True):
        rounded = int(Decimal(f * 2**bits).quantize(Decimal(1), rounding=ROUND_HALF_UP))
        assert Fraction(int(m)) / 2 ** int(s) == Fraction(rounded, 1) / Fraction(2) ** (bits - int(e))
        if bits >= 24:
            assert Fraction(int(m)) / 2 ** int(s) == Fraction(float(r))


def test_requantize_rounds_half_to_even_and_clips():
    random = np.random.default_rng(1)
    integer = random.integers(-(1 << 31), 1 << 31, 4000) >> random.integers(0, 31, 4000)
    multiplier = random.integers(0, 1 << 31, 4000)
    # few significant bits, for ties
    multiplier[::2] &= -1 << 29
    shift = random.integers(0, 80, 4000)
    corners = [
        (i, m, s)
        for i in (-(1 << 31), (1 << 31) - 1, -1, 1)
        for m in (0, 1, 1 << 30, (1 << 31) - 1)
        for s in (0, 1, 61, 62, 63, 64, 200)
    ]
    integer, multiplier, shift = (
        np.concatenate([x, y]) for x, y in zip((integer, multiplier, shift), np.array(corners).T, strict=True)
    )
    for bits, signed in ((8, True), (4, True), (8, False), (16, True)):
        lo, hi = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        expected = [
            min(max(round(Fraction(int(i) * int(m), 1 << int(s))), lo), hi)
            for i, m, s in zip(integer, multiplier, shift, strict=True)
        ]
        came = requantize(integer, multiplier, shift, bits=bits, signed=signed)
        assert came.tolist() == expected


def test_requantize_is_the_emulation_in_float64_where_that_is_exact():
    random = np.random.default_rng(2)
    ratio = ratios(random, 20_000)
    integer = random.integers(-(1 << 22), 1 << 22, 20_000) >> random.integers(0, 22, 20_000)
    multiplier, shift = dyadic(ratio)
    exact = np.abs(integer * multiplier) < 1 << 53
    emulated = np.clip(np.rint(integer.astype(np.float64) * multiplier / 2.0**shift), -128, 127)
    came = requantize(integer, multiplier, shift, bits=8, signed=True)
    assert (came == emulated)[exact].all()
    assert exact.mean() > 0.9
    assert len(np.unique(came)) > 200


@pytest.mark.parametrize(
    ("ratio", "bits", "message"),
    [
        ([1.0], 0, "Bits must be from 1 to 31, not 0"),
        ([1.0], 32, "Bits must be from 1 to 31, not 32"),
        ([0.5, 0.0], 31, "ratio[1] is 0.0, which is not positive and finite"),
        ([-1.0], 31, "ratio[0] is -1.0, which is not positive and finite"),
        ([np.inf], 31, "ratio[0] is inf, which is not positive and finite"),
        ([np.nan], 31, "ratio[0] is nan, which is not positive and finite"),
        ([2.0, 256.0], 8, "ratio[1] is 256.0, too large for a multiplier of 8 bits"),
    ],
)
def test_other_ratios_are_refused(ratio, bits, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        dyadic(ratio, bits=bits)


@pytest.mark.parametrize(
    ("operands", "message"),
    [
        (([1 << 31], 1, 0), "integer[0] is 2147483648, outside -2147483648 to 2147483647"),
        ((0, [1, 1 << 31], 0), "multiplier[1] is 2147483648, outside 0 to 2147483647"),
        ((0, [-1], 0), "multiplier[0] is -1, outside 0 to 2147483647"),
        ((0, 1, [3, -1]), "shift[1] is -1, which is less than 0"),
    ],
)
def test_other_operands_are_refused(operands, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        requantize(*operands, bits=8, signed=True)


@pytest.mark.parametrize("given", [{"multiplier_bits": 30}, {"addend": True}])
def test_gemmlowp_takes_neither_other_multipliers_nor_an_addend(given):
    message = "Drain rounding gemmlowp takes multiplier_bits 31 and no addend, as it rounds the product"
    with pytest.raises(ValueError, match=f"^{message}$"):
        Drain.of(requantize=Int(8), rounding="gemmlowp", **given)
