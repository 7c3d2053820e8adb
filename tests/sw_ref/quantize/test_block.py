"""Block formats against gfloat's, and against their rules in scalar arithmetic."""

import re
from itertools import pairwise

import gfloat
import ml_dtypes
import numpy as np
import pytest
from gfloat.formats import (
    format_info_mxfp4_e2m1,
    format_info_mxfp6_e2m3,
    format_info_mxfp6_e3m2,
    format_info_mxfp8_e4m3,
    format_info_mxfp8_e5m2,
    format_info_mxint8,
)

from sw_ref.formats.catalog import parse_format
from sw_ref.quantize.block import BLOCKS, BlockQuantizer
from tests.typed import present

MX = {
    "mxfp8_e4m3": format_info_mxfp8_e4m3,
    "mxfp8_e5m2": format_info_mxfp8_e5m2,
    "mxfp6_e3m2": format_info_mxfp6_e3m2,
    "mxfp6_e2m3": format_info_mxfp6_e2m3,
    "mxfp4": format_info_mxfp4_e2m1,
    "mxint8": format_info_mxint8,
}


def tensors():
    """Gaussian, heavy-tailed, of all magnitudes, exact powers and what is next to them; the last block is short."""
    rng = np.random.default_rng(0)
    powers = 2.0 ** rng.integers(-140, 127, (72, 5))
    yield rng.standard_normal((72, 5))
    yield rng.standard_t(3, (72, 5)) * 1e-3
    yield powers * rng.choice([-1, 1], (72, 5))
    yield np.repeat(powers[:8], 9, axis=0) * rng.standard_normal((72, 5))
    yield np.nextafter(np.float32(powers), np.float32(0)) * rng.choice([-1, 1], (72, 5))
    yield np.full((72, 5), 1e-44)
    sparse = np.zeros((72, 5))
    sparse[40:, 1] = 3
    yield sparse


def near_ties(largest_scale):
    """Blocks of 16 with one number each, whose scale is halfway between two, or just beside, if the largest is 1.3."""
    ties = np.random.default_rng(1).integers(8, 16, (200, 5)) / 8 + 1 / 16
    x = np.zeros((3200, 5), dtype=np.float32)
    x[::16] = ties * 6 / (np.float32(largest_scale * 6) / np.float32(1.3))
    x[::16] = np.nextafter(x[::16], np.random.default_rng(2).choice([0, np.inf], (200, 5)).astype(np.float32))
    x[0, 0] = 1.3
    return x


def blocks_of(x, size):
    """Slices along K = 0 and the column of each block, and the index of its scale."""
    for n in range(x.shape[1]):
        for g, start in enumerate(range(0, len(x), size)):
            yield (slice(start, start + size), n), (g, n)


@pytest.mark.parametrize("name", MX)
def test_mx_is_gfloats(name):
    info, quantizer = MX[name], BLOCKS[name]
    for x in tensors():
        x = x.astype(np.float32).astype(np.float64)
        quantized = quantizer.quantize(x, k_axis=0)
        assert quantized.tensor_scale is None and quantized.scale_codes.shape == (3, 5)
        for block, scale in blocks_of(x, 32):
            factor = gfloat.compute_scale_amax(info.etype.emax, x[block])
            codes = list(gfloat.encode_block(info, factor, x[block] / factor))
            if name == "mxint8":
                # -128 is not used
                codes = [codes[0], *(code | (code == 128) for code in codes[1:])]
            expected = list(gfloat.decode_block(info, codes))
            np.testing.assert_array_equal(quantized.reals()[block], expected)
            assert quantized.scale_codes[scale] == codes[0]
            np.testing.assert_array_equal(quantized.element.decode(quantized.codes[block]) * factor, expected)


def e2m1(x):
    """As systems of NVFP4 write it."""
    magnitude = abs(x)
    steps = [(0.25, 0), (0.75, 0.5), (1.25, 1), (1.75, 1.5), (2.5, 2), (3.5, 3), (5, 4), (np.inf, 6)]
    # the bound of a step is its own where the step's code is even
    value = next(v for i, (end, v) in enumerate(steps) if magnitude < end or (i % 2 == 0 and magnitude == end))
    return value if x >= 0 else -value


def ue5m3(x):
    values = [m / 8 * 2.0**-14 for m in range(8)]
    values += [(1 + m / 8) * 2.0 ** (e - 15) for e in range(1, 32) for m in range(8)][:-1]
    for code, (low, high) in enumerate(pairwise(values)):
        if 2 * x < low + high or (2 * x == low + high and code % 2 == 0):
            return low
    return values[-1]


@pytest.mark.parametrize(
    ("name", "scale_of", "largest_scale"),
    [
        ("nvfp4", lambda x: float(np.float32(x).astype(ml_dtypes.float8_e4m3fn)), 448),
        ("nvfp4_ue5m3", ue5m3, 114688),
    ],
)
def test_nvfp4_is_its_formula(name, scale_of, largest_scale):
    f = np.float32
    for x in (*tensors(), near_ties(largest_scale)):
        x = x.astype(f)
        quantized = BLOCKS[name].quantize(x, k_axis=0)
        amax = np.abs(x).max()
        with np.errstate(over="ignore"):
            g = min(f(largest_scale * 6) / amax, np.finfo(f).max)
        tensor_scale = present(quantized.tensor_scale)
        assert tensor_scale == 1 / g and tensor_scale.dtype == f
        for block, at in blocks_of(x, 16):
            # not above the largest, for rounding to it alone: a NaN comes after
            s = scale_of(min(np.abs(x[block]).max() / f(6) * g, f(largest_scale)))
            assert quantized.scale.decode(quantized.scale_codes[at]) == s
            values = [e2m1(each * g / f(s)) if s else 0 for each in x[block]]
            np.testing.assert_array_equal(quantized.element.decode(quantized.codes[block]), values)
            expected = [f(v * s * float(tensor_scale)) for v in values]
            np.testing.assert_array_equal(quantized.dequantize()[block], expected)


@pytest.mark.parametrize(
    ("element", "scale", "size"),
    [
        ("int4", "bf16", 7),
        ("fp6_e2m3", "ue5m3", 16),
        ("nf4", "fp16", 64),
        ("posit8_0", "e8m0", 1),
        ("rf8", "ue4m3", 100),
    ],
)
def test_any_element_scale_and_size(element, scale, size):
    element, scale = parse_format(element), parse_format(scale)
    quantizer = BlockQuantizer(element=element, scale=scale, size=size, rule="largest")
    for x in list(tensors())[:2]:
        x = x.astype(np.float32)
        quantized = quantizer.quantize(x, k_axis=0)
        for block, at in blocks_of(x, size):
            code = scale.encode(np.abs(x[block]).max() / np.float32(element.full_scale))
            s = scale.decode(code).astype(np.float32)
            limit = min(element.bounds[1], -element.bounds[0])
            with np.errstate(divide="ignore", invalid="ignore"):
                scaled = np.clip(np.nan_to_num(x[block] / s, nan=0, posinf=0, neginf=0), -limit, limit)
            assert quantized.scale_codes[at] == code
            np.testing.assert_array_equal(quantized.codes[block], element.encode(scaled))
            np.testing.assert_array_equal(quantized.reals()[block], element.decode(element.encode(scaled)) * float(s))


@pytest.mark.parametrize("name", BLOCKS)
def test_either_axis_and_zeros(name):
    x = next(tensors())
    by_column, by_row = BLOCKS[name].quantize(x, k_axis=0), BLOCKS[name].quantize(x.T, k_axis=1)
    for field in ("codes", "scale_codes"):
        np.testing.assert_array_equal(getattr(by_column, field), getattr(by_row, field).T)
    np.testing.assert_array_equal(by_column.dequantize(), by_row.dequantize().T)
    zeros = BLOCKS[name].quantize(np.zeros((3, 3)), k_axis=0)
    assert not zeros.codes.any() and not zeros.scale_codes.any() and not zeros.dequantize().any()


def test_a_power_may_be_below_what_float32_holds():
    quantizer = BlockQuantizer(
        element=parse_format("fp8_e5m2"), scale=parse_format("ue8m0_bias200_nozero"), size=2, rule="power"
    )
    x = np.ldexp([[1.0], [1.5], [-3], [1]], [[-149], [-140], [-148], [-149]])
    np.testing.assert_array_equal(quantizer.quantize(x, k_axis=0).reals(), x)
    assert quantizer.quantize(x, k_axis=0).scale_codes.tolist() == [[200 - 140 - 15], [200 - 147 - 15]]


def test_a_scale_out_of_range_is_nan_or_saturates():
    for scale, expected in (("ue2m0_fn_nozero_nonsat", [np.nan] * 4), ("ue2m0_fn_nozero", [-12, 12, 12, 0])):
        quantizer = BlockQuantizer(element=parse_format("fp4_e2m1"), scale=parse_format(scale), size=4, rule="power")
        quantized = quantizer.quantize([[-100], [64], [12], [0.4]], k_axis=0)
        np.testing.assert_array_equal(quantized.dequantize(), np.array(expected, np.float32)[:, None])
        assert quantized.codes.any() == (expected[3] == 0)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda of: BlockQuantizer(**{**of, "size": 0}), "Size must be at least 1, not 0"),
        (
            lambda of: BlockQuantizer(**{**of, "rule": "no"}),
            "Rule must be one of power, largest, two_level, not 'no'",
        ),
        (
            lambda of: BlockQuantizer(**{**of, "element": parse_format("uint8")}),
            "Element must hold values of both signs, which uint8 does not",
        ),
        (lambda of: BlockQuantizer(**of).quantize([[1]], k_axis=2), "K axis must be 0 or 1, not 2"),
        (
            lambda of: BlockQuantizer(**of).quantize([[np.nan]], k_axis=0, what="act"),
            "act[0, 0] is nan, no finite float32",
        ),
    ],
)
def test_bad_input_is_refused(attempt, message):
    of = {"element": parse_format("fp4_e2m1"), "scale": parse_format("e8m0"), "size": 4, "rule": "power"}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attempt(of)


@pytest.mark.parametrize("name", BLOCKS)
def test_integers_stay_what_they_are(name):
    quantizer, random = BLOCKS[name], np.random.default_rng(5)
    elements = quantizer.element.decode(np.arange(1 << quantizer.element.bits))
    held = np.unique(elements[np.isfinite(elements) & (elements == np.rint(elements)) & (np.abs(elements) < 65)])
    factors = np.repeat(2 ** random.integers(0, 4, (3, 5)), quantizer.size, axis=0)[: 2 * quantizer.size + 1]
    values = random.choice(held, factors.shape).astype(np.int64) * factors
    values[:, 1] = 0
    blocks = quantizer.from_values(values, k_axis=0)
    np.testing.assert_array_equal(blocks.reals(), values)
    np.testing.assert_array_equal(quantizer.from_values(values.T, k_axis=1).reals(), values.T)
    assert not blocks.scales()[:, 1].any() and blocks.overall == 1


def test_integers_that_blocks_lack_are_named():
    values = np.ones((40, 2), np.int64)
    values[35, 1] = 5
    message = (
        r"^weight\[35, 1\] is 5, which blocks of fp4_e2m1 and scales of e8m0 do not hold beside their other integers"
    )
    with pytest.raises(ValueError, match=message):
        BLOCKS["mxfp4"].from_values(values, k_axis=0, what="weight")
