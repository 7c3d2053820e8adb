"""Floating-point and block formats on Gaussian and heavy-tailed weights and those of a real layer, bit by bit."""

import functools

import ml_dtypes
import numpy as np
import pytest
import softposit

from macforge.measure.workload import load_layer
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import FLOATS
from sw_ref.formats.posit import Posit
from sw_ref.quantize.bitmod import BitMoDQuantizer
from sw_ref.quantize.block import BLOCKS
from sw_ref.quantize.uniform import Quantizer, sqnr_db

DTYPES = {
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e4m3_ieee": ml_dtypes.float8_e4m3,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "fp6_e3m2": ml_dtypes.float6_e3m2fn,
    "fp6_e2m3": ml_dtypes.float6_e2m3fn,
    "fp4_e2m1": ml_dtypes.float4_e2m1fn,
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
}
# element type, floor(log2(its largest))
MX = {
    "mxfp8_e4m3": (ml_dtypes.float8_e4m3fn, 8),
    "mxfp8_e5m2": (ml_dtypes.float8_e5m2, 15),
    "mxfp6_e3m2": (ml_dtypes.float6_e3m2fn, 4),
    "mxfp6_e2m3": (ml_dtypes.float6_e2m3fn, 2),
    "mxfp4": (ml_dtypes.float4_e2m1fn, 2),
}


@functools.cache
def weights():
    """(384, 1536) each, float32."""
    rng = np.random.default_rng(0)
    shape = (384, 1536)
    return {
        "gaussian": rng.standard_normal(shape, dtype=np.float32),
        "student": rng.standard_t(3, shape).astype(np.float32),
        "layer": load_layer(tokens=1).weight,
    }


def cast(x, dtype):
    """Codes of float32 numbers, which saturate, as ml_dtypes has them."""
    finfo = ml_dtypes.finfo(dtype)
    cast = np.clip(x, np.float32(finfo.min), np.float32(finfo.max)).astype(dtype)
    return cast.view(f"u{cast.itemsize}")


def blocks(x, size):
    """(G, size, N)."""
    return x.reshape(-1, size, x.shape[1])


@pytest.mark.parametrize("which", ["gaussian", "student", "layer"])
class TestCodes:
    @pytest.mark.parametrize("name", DTYPES)
    def test_a_scale_for_each_channel(self, which, name):
        x = weights()[which]
        quantized = Quantizer(parse_format(name), granularity="channel").quantize(x, k_axis=0)
        scale = np.abs(x).max(axis=0) / np.float32(ml_dtypes.finfo(DTYPES[name]).max)
        np.testing.assert_array_equal(quantized.scale[0], scale)
        np.testing.assert_array_equal(quantized.codes, cast(x / scale, DTYPES[name]))

    @pytest.mark.parametrize(("bits", "encode"), [(8, softposit.convertDoubleToP8), (16, softposit.convertDoubleToP16)])
    def test_posits_without_scale(self, which, bits, encode):
        x = weights()[which][:4]
        assert Posit(bits, bits // 16).encode(x).ravel().tolist() == [encode(real).v for real in x.ravel().tolist()]

    @pytest.mark.parametrize("name", MX)
    def test_mx(self, which, name):
        x, (dtype, emax) = weights()[which], MX[name]
        quantized = BLOCKS[name].quantize(x, k_axis=0)
        exponent = np.floor(np.log2(np.abs(blocks(x, 32)).max(axis=1))).astype(np.int32) - emax
        np.testing.assert_array_equal(quantized.scale_codes, exponent + 127)
        scale = np.ldexp(np.float32(1), exponent)
        np.testing.assert_array_equal(blocks(quantized.codes, 32), cast(blocks(x, 32) / scale[:, None], dtype))

    def test_nvfp4(self, which):
        x = weights()[which]
        quantized = BLOCKS["nvfp4"].quantize(x, k_axis=0)
        g = np.float32(448 * 6) / np.abs(x).max()
        scale = np.abs(blocks(x, 16)).max(axis=1) / np.float32(6) * g
        np.testing.assert_array_equal(quantized.scale_codes, cast(scale, ml_dtypes.float8_e4m3fn))
        scale = cast(scale, ml_dtypes.float8_e4m3fn).view(ml_dtypes.float8_e4m3fn).astype(np.float32)[:, None]
        zero = np.zeros_like(blocks(x, 16))
        scaled = np.divide(blocks(x, 16) * g, scale, out=zero, where=scale > 0)
        np.testing.assert_array_equal(blocks(quantized.codes, 16), cast(scaled, ml_dtypes.float4_e2m1fn))


def sqnr(quantized):
    return sqnr_db(weights()["layer"], quantized.dequantize())


@functools.cache
def channel_sqnr(name):
    return sqnr(Quantizer(parse_format(name), granularity="channel").quantize(weights()["layer"], k_axis=0))


@functools.cache
def block_sqnr(name):
    return sqnr(BLOCKS[name].quantize(weights()["layer"], k_axis=0))


def test_a_bit_of_fraction_is_worth_six_decibels():
    for fewer, more in [("fp8_e5m2", "fp8_e4m3"), ("fp6_e3m2", "e3m3"), ("e3m3", "e3m4"), ("bf16", "e8m8_ieee")]:
        assert channel_sqnr(fewer) + 5.5 < channel_sqnr(more) < channel_sqnr(fewer) + 6.5


def test_a_scale_of_a_block_beats_that_of_a_channel_if_it_is_no_power_of_two():
    assert channel_sqnr("fp4_e2m1") + 1 < block_sqnr("nvfp4")
    assert abs(block_sqnr("nvfp4_ue5m3") - block_sqnr("nvfp4")) < 0.1
    assert block_sqnr("mxfp4") + 1 < block_sqnr("nvfp4")


def test_special_values_beat_four_bits_without():
    three, four = (sqnr(BitMoDQuantizer(bits=bits).quantize(weights()["layer"])) for bits in (3, 4))
    plain_three = Quantizer(parse_format("e2m0"), "symmetric", "group", 128).quantize(weights()["layer"], k_axis=0)
    assert sqnr(plain_three) + 0.5 < three
    plain = Quantizer(FLOATS["fp4_e2m1"], "symmetric", "group", 128).quantize(weights()["layer"], k_axis=0)
    assert sqnr(plain) + 0.5 < four < sqnr(plain) + 2
    assert 13 < three < sqnr(plain)
