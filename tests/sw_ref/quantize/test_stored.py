"""Stored weights: codes read as those of another format stand for the same numbers."""

import itertools
import re

import numpy as np
import pytest

from sw_ref.formats.catalog import parse_format
from sw_ref.quantize.stored import Factors, Stored, quantize_with, readings, reread
from sw_ref.quantize.uniform import Quantized

NAMES = (
    *("int2", "int3", "int4", "int8", "uint2", "uint3", "uint4", "uint8", "bipolar1", "bipolar2", "bipolar4"),
    *("ternary", "iq4_nl", "nf4", "pot4", "fp4_e2m1", "fp6_e2m3", "fp8_e4m3", "fp8_e4m3_ieee", "fp16", "posit8_0"),
    *("bf16", "e8m7_ieee_flushed"),
)


@pytest.mark.parametrize(("given", "taken"), list(itertools.product(NAMES, NAMES)))
def test_readings_stand_for_the_same_numbers(given, taken):
    given, taken = parse_format(given), parse_format(taken)
    codes = np.arange(1 << given.bits, dtype=np.uint32)
    for reading in readings(given, taken):
        kept = codes if reading.lacking is None else codes[~reading.lacking]
        values, others = given.decode(kept), taken.decode(reading.codes(kept))
        np.testing.assert_array_equal(reading.factor * others + reading.shift, values)
        # factors of both make the same weights
        factors = Factors.of(np.full((1, 1), 0.75), zero_point=np.array(3))
        again = reading.factors(factors)
        finite = np.isfinite(values)
        first, second = (
            (x[finite] - f.zero_point[0, 0]) * f.scale[0, 0] for x, f in ((values, factors), (others, again))
        )
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("given", "taken", "count"),
    [
        ("int4", "int4", 1),
        ("int4", "int8", 1),
        ("uint4", "int4", 1),
        ("uint4", "int8", 1),
        ("uint2", "bipolar2", 1),
        ("int2", "bipolar2", 1),
        ("ternary", "int2", 1),
        ("iq4_nl", "int8", 1),
        ("fp4_e2m1", "fp8_e4m3", 1),
        ("int8", "int4", 0),
        ("uint4", "bipolar2", 0),
        ("fp16", "int8", 0),
        ("nf4", "iq4_nl", 0),
    ],
)
def test_which_formats_are_read_as_which(given, taken, count):
    assert len(readings(parse_format(given), parse_format(taken))) == count


def test_a_code_without_a_counterpart_is_named():
    (reading,) = readings(parse_format("bf16"), parse_format("e8m7_ieee_flushed"))
    message = "takes weights of e8m7_ieee_flushed, not such as 9.18355e-41 of bf16"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        reading.codes(np.array([[0, 1]], np.uint32))


def test_factors_of_shorter_groups_and_of_some_columns():
    scale = np.arange(6.0).reshape(3, 2)
    factors = Factors.of(scale, zero_point=np.array([1, 2]), channel=np.array([3.0, 4.0]))
    again = factors.in_groups(20, 8, 4)
    np.testing.assert_array_equal(again.scale, scale[[0, 0, 1, 1, 2]])
    np.testing.assert_array_equal(again.zero_point, [[1, 2]] * 5)
    parts = [factors.columns(slice(0, 1)), factors.columns(slice(1, 2))]
    joined = Factors.joined(parts)
    np.testing.assert_array_equal(joined.scale, scale)
    np.testing.assert_array_equal(joined.channel, [3, 4])


def test_rows_come_in_the_order_of_channels():
    codes, order = np.arange(4, dtype=np.uint32)[:, None], np.array([2, 0, 3, 1])
    stored = Stored(codes=codes, format=parse_format("uint4"), factors=Factors.of(np.ones((1, 1))), order=order)
    np.testing.assert_array_equal(stored.reals()[order, 0], np.arange(4))


def known(form, zero=0):
    one = np.full((1, 1), 0.5, np.float32)
    codes = np.zeros((0, 0), np.uint32)
    return Quantized(codes=codes, scale=one, zero_point=np.full((1, 1), zero), format=parse_format(form), k_axis=1)


def test_activations_are_quantized_as_known_and_read_again():
    act = np.array([[-100.0, 100.0, 0.25, 0.75, -0.25]])
    found = quantize_with(act, known("uint8", 128))
    np.testing.assert_array_equal(found.codes, [[0, 255, 128, 130, 128]])
    again = reread(found, parse_format("int8"))
    np.testing.assert_array_equal(again.reals(), found.reals())
    assert again.zero_point.item() == 0
    floats = quantize_with(np.array([[1000.0, 0.26]]), known("fp8_e4m3"))
    np.testing.assert_array_equal(floats.reals(), [[224.0, 0.25]])


@pytest.mark.parametrize(
    ("given", "zero", "taken", "message"),
    [
        ("int16", 0, "int8", "Activations must be of int8, not int16"),
        ("int8", 4, "fp16", "Activations must have no zero point where they are fp16, not 4"),
    ],
)
def test_activations_that_cannot_be_read_again_are_refused(given, zero, taken, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        reread(known(given, zero), parse_format(taken))
