"""The drain edge against its steps in plain Python: integers, NumPy's float32, and fractions."""

import dataclasses
import functools
import operator
from fractions import Fraction

import numpy as np
import pytest

from sw_ref.arith.accumulate import Accumulator
from sw_ref.drain.edge import Drain, drain
from sw_ref.formats.base import Int
from sw_ref.formats.minifloat import FP32
from sw_ref.formats.signs import PowerOfTwo

G, M, N = 3, 4, 5
RANDOM = np.random.default_rng(0)
SUMS = RANDOM.integers(-20000, 20000, (G, M, N))
ROW_SUMS = RANDOM.integers(-900, 900, (G, M))
GIVEN = {
    "weight_zero": RANDOM.integers(0, 16, (G, N)),
    "act_zero": RANDOM.integers(-128, 128, (G, M)),
    "column_sum": RANDOM.integers(-500, 500, (G, N)),
}
SCALE, CHANNEL = (RANDOM.lognormal(-5, 1, shape).astype(np.float32) for shape in ((G, N), (N,)))
ACT_SCALE = RANDOM.lognormal(-4, 1, (G, M)).astype(np.float32)
BIAS = RANDOM.normal(size=N).astype(np.float32)


def codes(reals):
    return reals.view(np.uint32)


def elements(one):
    """What ``one(m, n)`` says of each element."""
    return np.array([[one(m, n) for n in range(N)] for m in range(M)])


def centred(g, m, n):
    zeros = int(GIVEN["weight_zero"][g, n]) * int(ROW_SUMS[g, m])
    return int(SUMS[g, m, n]) - zeros - int(GIVEN["act_zero"][g, m]) * int(GIVEN["column_sum"][g, n])


def test_floats_in_order():
    config = Drain.of(
        weight_zero=Int(4, False),
        act_zero=Int(8),
        scale=FP32,
        act_scale="row",
        channel_scale=True,
        bias=True,
        relu=True,
    )
    parameters = {**GIVEN, "scale": codes(SCALE), "act_scale": codes(ACT_SCALE)}
    parameters |= {"channel_scale": codes(CHANNEL), "bias": codes(BIAS)}

    def one(m, n):
        y = functools.reduce(operator.add, (np.float32(centred(g, m, n)) * SCALE[g, n] for g in range(G)))
        y = y * CHANNEL[n] * ACT_SCALE[-1, m] + BIAS[n]
        return max(y, np.float32(0))

    result = drain(SUMS, ROW_SUMS, parameters, config)
    np.testing.assert_array_equal(result, codes(elements(one).astype(np.float32)))


def test_floats_of_rows_and_groups():
    config = Drain.of(scale=FP32, act_scale="group", clamp=(-2.5, 3.0))
    parameters = {"scale": codes(SCALE), "act_scale": codes(ACT_SCALE)}

    def one(m, n):
        terms = [np.float32(SUMS[g, m, n]) * SCALE[g, n] * ACT_SCALE[g, m] for g in range(G)]
        return min(max(terms[0] + terms[1] + terms[2], np.float32(-2.5)), np.float32(3))

    result = drain(SUMS, ROW_SUMS, parameters, config)
    np.testing.assert_array_equal(result, codes(elements(one).astype(np.float32)))


def test_powers_of_two_and_a_wrapping_accumulator():
    config = Drain.of(scale=PowerOfTwo(5), scale_terms=2, accumulator=Accumulator(20, "wrap"))
    scale = RANDOM.integers(0, 32, (2, G, N))

    def power(code):
        exponent = int(code) & 15
        return (-1 if code >> 4 else 1) * (1 << exponent - 1 if exponent else 0)

    def one(m, n):
        total = sum(int(SUMS[g, m, n]) * (power(scale[0, g, n]) + power(scale[1, g, n])) for g in range(G))
        return (total + (1 << 19)) % (1 << 20) - (1 << 19)

    np.testing.assert_array_equal(drain(SUMS, ROW_SUMS, {"scale": scale}, config), elements(one))


def test_one_power_of_two_needs_no_axis_of_terms():
    config = Drain.of(scale=PowerOfTwo(4), accumulator=Accumulator(40))
    scale = RANDOM.integers(0, 16, (G, N))
    plain = drain(SUMS, ROW_SUMS, {"scale": scale}, config)
    np.testing.assert_array_equal(plain, (SUMS * PowerOfTwo(4).to_fixed(scale)[:, None, :]).sum(axis=0))
    np.testing.assert_array_equal(plain, drain(SUMS, ROW_SUMS, {"scale": scale[None]}, config))


def test_saturation_at_each_sum():
    config = Drain.of(accumulator=Accumulator(15, "saturate"))

    def one(m, n):
        y = 0
        for g in range(G):
            y = min(max(y + int(SUMS[g, m, n]), -(1 << 14)), (1 << 14) - 1)
        return y

    np.testing.assert_array_equal(drain(SUMS, ROW_SUMS, {}, config), elements(one))


@pytest.mark.parametrize("form", [Int(8), Int(4, False)])
def test_requantization_rounds_half_to_even(form):
    config = Drain.of(scale=Int(8, False), bias=True, requantize=form, multiplier_bits=16, accumulator=Accumulator(32))
    parameters = {
        "scale": RANDOM.integers(1, 256, (G, N)),
        "bias": RANDOM.integers(-(1 << 20), 1 << 20, N),
        "multiplier": RANDOM.integers(1 << 15, 1 << 16, N),
        "shift": RANDOM.integers(28, 40, N),
    }

    def one(m, n):
        total = sum(int(SUMS[g, m, n]) * int(parameters["scale"][g, n]) for g in range(G)) + int(parameters["bias"][n])
        exact = Fraction(total * int(parameters["multiplier"][n]), 1 << int(parameters["shift"][n]))
        return min(max(round(exact), form.interval.lo), form.interval.hi)

    np.testing.assert_array_equal(drain(SUMS, ROW_SUMS, parameters, config), elements(one))


@pytest.mark.parametrize("overflow", ["refuse", "wrap", "saturate"])
def test_integers_beyond_int64(overflow):
    """Sums of 62 bits with both zero points, and scales of 8."""
    config = Drain.of(
        weight_zero=Int(8), act_zero=Int(8), scale=Int(8), bias=True, accumulator=Accumulator(72, overflow), relu=True
    )
    sums, row_sums = (RANDOM.integers(-(1 << 61), 1 << 61, shape) for shape in ((G, M, N), (G, M)))
    names = ("weight_zero", "act_zero", "scale")
    parameters = {name: RANDOM.integers(-128, 128, (G, M if name == "act_zero" else N)) for name in names}
    parameters |= {"column_sum": RANDOM.integers(-(1 << 61), 1 << 61, (G, N)), "bias": RANDOM.integers(-999, 999, N)}
    lo, hi = -(1 << 71), (1 << 71) - 1

    def kept(y):
        return (y - lo) % (1 << 72) + lo if overflow == "wrap" else min(max(y, lo), hi)

    def one(m, n):
        y = 0
        for g in range(G):
            zero, act_zero, scale, column_sum = (
                int(parameters[name][g, m if name == "act_zero" else n]) for name in (*names, "column_sum")
            )
            centre = int(sums[g, m, n]) - zero * int(row_sums[g, m]) - act_zero * column_sum
            y = kept(y + centre * scale)
        return max(kept(y + int(parameters["bias"][n])), 0)

    if overflow == "refuse":
        with pytest.raises(ValueError, match=r"^sum\[\d, \d\] is -?\d+, outside the 72-bit accumulator"):
            drain(sums, row_sums, parameters, config)
        config = dataclasses.replace(config, accumulator=Accumulator(80))
        lo, hi = -(1 << 79), (1 << 79) - 1
    result = drain(sums, row_sums, parameters, config)
    assert result.dtype == object
    assert result.tolist() == elements(one).tolist()


@pytest.mark.parametrize("accumulate", [True, False])
def test_floats_of_integers_beyond_int64(accumulate):
    config = Drain.of(scale=FP32) if accumulate else Drain.of(act_scale="row", accumulator=Accumulator(80))
    sums = RANDOM.integers(-(1 << 62), 1 << 62, (G, M, N)).astype(object) * 3000 + 1
    scales = {"scale": codes(SCALE), "act_scale": codes(ACT_SCALE)}

    def nearest(integer):
        # the unit of an integer of so many bits, of which a float keeps 24
        unit = 1 << max(0, integer.bit_length() - 24)
        return np.float32(round(Fraction(integer, unit)) * unit)

    def one(m, n):
        if not accumulate:
            return nearest(sum(sums[:, m, n].tolist())) * ACT_SCALE[-1, m]
        terms = [nearest(sums[g, m, n]) * SCALE[g, n] for g in range(G)]
        return terms[0] + terms[1] + terms[2]

    result = drain(sums, ROW_SUMS, scales, config)
    np.testing.assert_array_equal(result, codes(elements(one).astype(np.float32)))


def test_accumulator_that_refuses():
    config = Drain.of(accumulator=Accumulator(14))
    with pytest.raises(ValueError, match=r"^sum\[\d, \d\] is -?\d+, outside the 14-bit accumulator"):
        drain(SUMS, ROW_SUMS, {}, config)
