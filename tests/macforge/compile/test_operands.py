"""Operands as they enter: every numeric dtype is converted once, and what is no number is refused by name."""

import ml_dtypes
import numpy as np
import pytest

from macforge.compile.operands import read_operand, read_vector, rounded_product

VALUES = [[1, 2, 3], [0, 4, 5]]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_integers_are_int64(kind, order):
    given = np.array(VALUES).astype(np.dtype(order + kind))
    operand = read_operand(given, what="act", k_axis=1)
    assert operand.integral and operand.exponent == 0 and operand.values.dtype == np.int64
    assert operand.values.tolist() == given.tolist()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "g"])
def test_floats_are_float32(kind, order):
    given = np.asfortranarray(np.array(VALUES, np.dtype(order + kind)) / 4)
    operand = read_operand(given, what="act", k_axis=1)
    assert not operand.integral and operand.exponent == 0
    assert operand.values.dtype == np.float32 and operand.values.flags.c_contiguous
    np.testing.assert_array_equal(operand.values, given)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn", "int4", "uint4", "int2"])
def test_numbers_of_other_packages_are_numbers(name):
    given = np.array([[1, 0, 1]], dtype=getattr(ml_dtypes, name))
    operand = read_operand(given, what="act", k_axis=1)
    assert operand.integral == ("int" in name)
    assert operand.values.tolist() == [[1, 0, 1]]


@pytest.mark.parametrize("magnitude", [1e-300, 1e-30, 2.0**-91, 2.0**-90, 2.0**125, 2.0**126, 1e300])
def test_power_of_two_is_taken_out_of_what_is_far_from_one(magnitude):
    given = np.array([[1.0, -0.75], [0.0, 0.5]]) * magnitude
    operand = read_operand(given, what="weight", k_axis=0)
    assert (operand.exponent == 0) == (2.0**-90 <= magnitude < 2.0**126)
    np.testing.assert_allclose(np.ldexp(operand.values.astype(np.float64), operand.exponent), given, rtol=2**-24)


def test_zeros_stay():
    assert read_operand(np.zeros((2, 3)), what="act", k_axis=1).values.tolist() == [[0] * 3] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.ones(3), r"act must be a matrix, not of shape \(3,\)"),
        (np.ones((0, 3)), r"act must be a matrix, not of shape \(0, 3\)"),
        (np.ones((1, 1), bool), r"act must hold integers or floats, not bool"),
        (np.ones((1, 1), complex), r"act must hold integers or floats, not complex128"),
        (np.array([["1"]]), r"act must hold integers or floats, not <U1"),
        (np.array([[None]]), r"act must hold integers or floats, not object"),
        (np.zeros((1, 1), "V2"), r"act must hold integers or floats, not \|V2"),
        (np.zeros((1, 1), "M8[s]"), r"act must hold integers or floats, not datetime64\[s\]"),
        (np.array([[1.0, np.nan]]), r"act\[0, 1\] is nan, no finite float64"),
        (np.array([[1.0], [-np.inf]]), r"act\[1, 0\] is -inf, no finite float64"),
        (
            np.array([[np.longdouble("1e4000")]]),
            r"act\[0, 0\] is 1e\+4000, no finite float64",
        ),
        (np.array([[1 << 60]]), r"act\[0, 0\] is 1152921504606846976, more than the 53 bits of the widest integers"),
        (np.array([[(1 << 64) - 1]], np.uint64), r"act\[0, 0\] is 18446744073709551615, more than the 53 bits of .*"),
        (np.array([[1.0], [1e-60]]), r"act\[1\] must not vanish in float32 beside 1, as magnitudes up to 1e-60 do"),
    ],
    ids=str,
)
def test_what_is_no_matrix_of_numbers_is_named(given, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        read_operand(given, what="act", k_axis=1)


def test_column_that_vanishes_is_named():
    with pytest.raises(ValueError, match=r"^weight\[:, 1\] must not vanish in float32 beside 1, as magnitudes up to "):
        read_operand([[1.0, 1e-60], [1e-60, 0.0]], what="weight", k_axis=0)


def test_vector():
    assert read_vector(np.arange(3, dtype=">i2"), what="bias", size=3).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"^bias must be a vector of 4 numbers, not of shape \(3,\)$"):
        read_vector(np.arange(3), what="bias", size=4)
    with pytest.raises(ValueError, match=r"^bias\[1\] is nan, no finite float64$"):
        read_vector([0, np.nan], what="bias", size=2)


@pytest.mark.parametrize(
    ("product", "exponent", "message"),
    [
        ([[1.0, 2.0]], 128, r"product\[0, 0\] must be a float32, which 10\*\*38.5 is not: scale act or weight"),
        ([[0.0, 1.0]], -160, r"product\[0, 1\] must be a float32, which 10\*\*-48.2 is not: scale act or weight"),
        ([[0.0], [np.inf]], 0, r"product\[1, 0\] is inf: it overflows the floats of its sum or of the drain edge, .*"),
        ([[np.nan]], 0, r"product\[0, 0\] is nan: it overflows .*"),
    ],
)
def test_product_that_float32_lacks_is_named(product, exponent, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        rounded_product(np.array(product), exponent)


def test_product_is_nan_where_an_operand_is():
    result = rounded_product(np.array([[0.0, np.nan, 0.1]]), 1, np.array([[True, True, False]]))
    assert np.isnan(result[0, :2]).all() and result[0, 2] == np.float32(0.2)
