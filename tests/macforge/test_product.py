"""Products of a user's own matrices: integers keep their values, whatever the formats and however wide the sums."""

import re

import numpy as np
import pytest

from macforge.design import load_design
from macforge.product import matmul

SMALL = ["array.rows=2", "array.cols=2"]


@pytest.mark.parametrize("bits", [70, 256])
def test_integers_are_int64_where_they_fit(bits):
    design = load_design("w8a8_os", [*SMALL, f"accumulator.bits={bits}"])
    random = np.random.default_rng(0)
    act, weight = random.integers(-128, 128, (3, 20)), random.integers(-128, 128, (20, 3))
    product = matmul(design, act, weight, engine="ref").product
    assert product.dtype == np.int64
    np.testing.assert_array_equal(product, act @ weight)


def test_integers_beyond_int64_are_exact():
    design = load_design("w8a8_os", [*SMALL, "act=int32", "weight=int32"])
    assert design.sums.bits == 76
    low = np.full((2, 20), -(1 << 31))
    product = matmul(design, low, low.T, engine="ref").product
    assert product.tolist() == [[20 << 62] * 2] * 2


@pytest.mark.parametrize("name", ["posit8", "xr_npe", "minifloat_e3m1"])
def test_integers_keep_their_values_where_formats_have_a_point(name):
    design = load_design(name, ["drain.act_scale=none", "drain.channel_scale=false", "tiling.drain_lanes=0"])
    random = np.random.default_rng(3)
    act, weight = random.integers(-3, 4, (3, 9)), random.integers(-3, 4, (9, 5))
    np.testing.assert_array_equal(matmul(design, act, weight, engine="ref").product, act @ weight)


def test_floats_of_a_wide_accumulator_are_those_of_a_narrow_one():
    random = np.random.default_rng(1)
    act, weight = random.normal(size=(3, 20)).astype(np.float32), random.normal(size=(20, 3)).astype(np.float32)
    narrow, wide = (
        matmul(load_design("w8a8_os", [*SMALL, f"accumulator.bits={bits}"]), act, weight, engine="ref").product
        for bits in (40, 130)
    )
    assert wide.dtype == np.float32
    np.testing.assert_array_equal(wide, narrow)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["accumulator.bits=257"],
            "Design key accumulator.bits must be an integer from 0 to 256 (0: as many as it takes), not 257",
        ),
        (
            ["accumulator.bits=250", "drain.scale=pot5"],
            "Drain accumulator must have at most 256 bits, not the 265 of 1 exact sums",
        ),
    ],
)
def test_what_is_too_wide_is_refused(settings, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_design("w8a8_os", [*SMALL, *settings])
