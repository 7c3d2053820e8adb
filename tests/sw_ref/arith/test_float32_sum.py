"""Fast sums in float32 against those that round exact ones."""

import ml_dtypes
import numpy as np
import pytest

from sw_ref.arith.float32_sum import float32_sums
from sw_ref.arith.float_sum import RoundedSum
from sw_ref.formats.minifloat import FP32
from tests.typed import present


def operands(dtype, scale=1.0):
    """Numbers of a small float, some of them 0, and a column that cancels to 0 and begins anew."""
    random = np.random.default_rng(1)
    act, weight = scale * random.standard_t(2, (21, 300)), random.standard_t(2, (300, 9))
    act[:, ::7] = 0
    act[:, 101], weight[101] = act[:, 100], -weight[100]
    return act.astype(dtype).astype(np.float64), weight.astype(dtype).astype(np.float64)


@pytest.mark.parametrize(
    "dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.float16], ids=lambda each: each.__name__
)
def test_sums_are_those_rounded_one_by_one(dtype):
    act, weight = operands(dtype)
    act[:, 0] = 1
    # sums that begin with the first product
    first = FP32.encode(np.broadcast_to(weight[0], (21, 9)))
    expected = RoundedSum(FP32).sums(act[:, 1:], weight[1:], 1, start=first)
    found = present(float32_sums(act, weight))
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


def test_zeros_are_positive():
    np.testing.assert_array_equal(float32_sums(np.array([[-1.0, 1.0], [0.0, -0.0]]), np.ones((2, 1))), [[0], [0]])


@pytest.mark.parametrize(
    ("act", "weight", "fits"),
    [
        (4095, 4095, True),
        (4097, 1, False),
        (1, 4097, False),
        (2.0**-60, 2.0**-44, True),
        (2.0**-60, 2.0**-45, False),
        (2.0**63, 2.0**62, True),
        (2.0**63, 2.0**63, False),
    ],
)
def test_only_what_float32_rounds_in_the_same_way(act, weight, fits):
    found = float32_sums(np.array([[act, 0.0]]), np.array([[weight], [0.0]]))
    assert (found is not None) == fits
    if fits:
        assert FP32.decode(present(found)) == [[act * weight]]
