"""Products of a user's own matrices: integers keep their values, whatever the formats and however wide the sums."""

import re

import numpy as np
import pytest

from macforge.compile.compiler import compile_layer
from macforge.design.design import load_design
from macforge.design.named import design_names
from macforge.run.job import job_of
from macforge.run.product import matmul
from sw_ref.engine.product import expected_results
from tests.quick import named

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


def product(name, act, weight, settings=()):
    return matmul(load_design(name, settings), np.array(act), np.array(weight), engine="ref").product


@pytest.mark.parametrize("dtype", ["i1", "u1", "f2", ">i8", "f8"])
@pytest.mark.parametrize("name", ["hawqv3_w8a8", "w8a8_ws", "rbe_w4a4"])
def test_nothing_is_computed_in_the_dtype_of_a_file(name, dtype):
    one, other = (100, 2) if "w8a8" in name else (7, 7)
    given = np.array([[one, 0]], dtype), np.array([[other], [0]], dtype)
    assert product(name, *given) == pytest.approx(one * other, rel=1e-6)


@pytest.mark.parametrize(
    "name",
    [name for name in design_names() if named(name).drain.scale != "none" or "ternary" in name or "hawq" in name],
)
def test_zeros_give_zero_and_leave_others_alone(name):
    act, weight = np.ones((2, 4)), np.ones((4, 3))
    plain = product(name, act, weight)
    act[0], weight[:, 2] = 0, 0
    result = product(name, act, weight)
    assert not result[0].any() and not result[:, 2].any()
    np.testing.assert_allclose(result[1, :2], plain[1, :2], rtol=1e-6)
    assert not product(name, np.zeros((1, 1)), np.ones((1, 1))).any()
    assert not product(name, np.ones((1, 1)), np.zeros((1, 1))).any()


@pytest.mark.parametrize("name", ["hawqv3_w4a4", "hawqv3_w8a8", "rbe_w4a4"])
def test_products_that_cancel_are_zero(name):
    assert product(name, [[1.0, 1.0]], [[1.0], [-1.0]]) == 0


@pytest.mark.parametrize("magnitude", [1e-30, 1e-20, 0.003, 1e20, 1e30])
@pytest.mark.parametrize("name", ["mixpe_w4a8", "w4a8_fp8", "fp8_e4m3_exact", "posit16", "nvfp4_ue5m3", "mixpe_w4a16"])
def test_magnitudes_come_and_go(name, magnitude):
    random = np.random.default_rng(0)
    act, weight = random.normal(size=(3, 40)), random.normal(size=(40, 3))
    plain = product(name, act, weight)
    power = 2.0 ** np.round(np.log2(magnitude))
    np.testing.assert_allclose(product(name, act * power, weight), plain * power, rtol=1e-3)
    np.testing.assert_allclose(product(name, act, weight * power), plain * power, rtol=1e-3)
    np.testing.assert_allclose(product(name, act / power, weight * power), plain, rtol=1e-3)


def test_floats_that_overflow_are_refused():
    random = np.random.default_rng(0)
    operands = random.normal(size=(2, 64)), random.normal(size=(64, 2))
    for name in ("fp8_e4m3_exact", "posit16"):
        with pytest.raises(ValueError, match=r"^product\[0, 0\] is -?inf: it overflows the floats of its sum or of "):
            product(name, *operands, ["drain.arithmetic=fp16"])
    # a power of two makes room
    exact = operands[0] @ operands[1]
    np.testing.assert_allclose(product("nvfp4", *operands, ["drain.arithmetic=fp16"]), exact, atol=2)


def test_format_that_does_not_saturate_gives_nan():
    settings = ["quantizer.act.scheme=cast", "quantizer.act.granularity=tensor"]
    act, weight = [[1000.0, 1.0], [1.0, 2.0]], [[1.0], [1.0]]
    result = product("fp8_e4m3_exact", act, weight, ["act=fp8_e4m3_nonsat", *settings])
    assert np.isnan(result[0, 0]) and result[1, 0] == pytest.approx(3)
    # those that do take a power of two out
    assert product("fp8_e4m3_exact", act, weight, settings)[0, 0] == pytest.approx(1001, rel=0.05)
    os = ["drain.channel_scale=false", "drain.act_scale=none", "tiling.drain_lanes=0", *settings]
    assert np.isnan(product("fp8_e4m3_exact", act, weight, ["act=fp8_e4m3_nonsat", *os])[0, 0])


@pytest.mark.parametrize("magnitude", [1.0, 0.03, 1e-20])
def test_fewer_distinct_weights_than_planes(magnitude):
    random = np.random.default_rng(0)
    act, weight = random.normal(size=(1, 128)), magnitude * np.sign(random.normal(size=(128, 1)))
    for name in ("lut_gemm_q3a8", "shiftaddllm_q3a8"):
        np.testing.assert_allclose(product(name, act, weight), act @ weight, atol=0.05 * magnitude * 128**0.5)


@pytest.mark.parametrize(
    ("name", "act", "weight", "result"),
    [
        ("mxfp4", [[1]], [[5]], None),
        ("mxfp4", [[1, -6]], [[12], [0]], 12),
        ("mxfp8_e4m3", [[480]], [[3]], 1440),
        ("nvfp4", [[3]], [[12]], 36),
        ("qserve_w4a8", [[5, 1]], [[7], [-100]], None),
        ("qserve_w4a8", [[5, 1]], [[7], [-8]], 27),
        ("bitmod_fp4a8", [[5, 1]], [[8], [-20]], 20),
        ("lut_gemm_q3a8", [[5, 1, 3, 1]], [[7], [-5], [3], [1]], 40),
        ("mixllm_w4_8a8", [[5, 1]], [[100], [-5]], 495),
        ("comet_w4a4_8", [[100, 1]], [[5], [-5]], 495),
        ("ternary_lut_a8", [[5, 1]], [[1], [-1]], 4),
        ("bf16_fp32", [[257, 1]], [[1], [1]], None),
        ("bf16_fp32", [[256, 1]], [[1], [1]], 257),
    ],
)
def test_integers_are_themselves_with_every_quantizer(name, act, weight, result):
    if result is None:
        with pytest.raises(ValueError, match=r"^(act|weight)\[\d, 0\] is -?\d+, (which|between)"):
            product(name, act, weight)
    else:
        assert product(name, act, weight) == result


def test_ternary_weights_stay_what_they_are():
    np.testing.assert_allclose(product("ternary_lut_a8", [[1.0, 2, 3]], [[1.0], [0], [-1]]), -2, rtol=0.01)


@pytest.mark.parametrize("name", ["hawqv3_w8a8", "rbe_w4a4"])
def test_bias_of_a_column_of_zeros_is_what_is_left(name):
    design = load_design(name)
    act, weight = np.ones((2, 8)), np.ones((8, 3))
    weight[:, 1] = 0
    for operands in ((act, weight), (act * 0, weight)):
        bias = np.array([0.25, -3.0, 1.5])
        job = job_of(compile_layer(design, operands[1], bias, calibration=operands[0]), operands[0])
        result = job.real([expected_results(design.engine.spec, one) for one in job.products])
        exact = operands[0] @ operands[1] + bias
        np.testing.assert_allclose(result, exact, atol=np.abs(exact).max() / 127)


def test_bias_in_floats_is_in_the_unit_of_the_result():
    design = load_design(
        "apot_w5a8", ["drain.bias=true", "drain.channel_scale=false", "quantizer.act.granularity=tensor"]
    )
    random = np.random.default_rng(0)
    act, weight, bias = random.normal(size=(4, 60)), random.normal(size=(60, 3)), np.array([0.0, 100.0, -1e-3])
    job = job_of(compile_layer(design, weight, bias, calibration=act), act)
    result = job.real([expected_results(design.engine.spec, one) for one in job.products])
    np.testing.assert_allclose(result - bias, matmul(design, act, weight, engine="ref").product, atol=1e-5)
    with pytest.raises(ValueError, match=r"^bias must be a vector of 3 numbers, not of shape \(2,\)$"):
        job_of(compile_layer(design, weight, bias[:2], calibration=act), act)


@pytest.mark.parametrize("name", ["bf16_fp32", "bf16_approx_norm"])
@pytest.mark.parametrize(("act", "weight"), [(1e-20, 1e-18), (1e-38, 1e-3), (1e38, 3.0), (1e30, 1e-30)])
def test_float_sums_neither_flush_nor_overflow_what_float32_holds(name, act, weight):
    assert product(name, [[act]], [[weight]]) == pytest.approx(act * weight, rel=0.01)


def test_float_products_too_far_apart_are_refused():
    message = r"^Accumulator shape must hold sums of 1e-37 beside 1e\+37, which lie too far apart for a float of 8 "
    with pytest.raises(ValueError, match=message):
        product("bf16_fp32", [[1e37], [1e-37]], [[1.0]])
