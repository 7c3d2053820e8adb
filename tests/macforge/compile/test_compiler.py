"""Named designs on real numbers: what their models make of a product is the product of the quantized operands."""

import numpy as np
import pytest

from macforge.compile.compiler import compile_layer
from macforge.design.design import load_design
from macforge.design.named import design_names
from macforge.run.job import job_of
from macforge.run.product import matmul
from sw_ref.drain.steps.offset import Offset
from sw_ref.drain.steps.requantize import Requantize
from sw_ref.engine.product import expected_results
from sw_ref.quantize.affine import AffineQuantizer
from sw_ref.quantize.bcq import BinaryCoder
from sw_ref.quantize.bitmod import BitMoDQuantizer
from sw_ref.quantize.block import BLOCKS
from sw_ref.quantize.progressive import ProgressiveQuantizer
from sw_ref.quantize.salience import salient_columns, salient_groups
from sw_ref.quantize.uniform import sqnr_db
from tests.cycles import takes_as_long
from tests.quick import few, named
from tests.typed import present

DRAINED = [name for name in design_names() if named(name).edge]
# activations of two precisions have a test of their own
ONE_PRECISION = [name for name in DRAINED if named(name).quantizer.act.method != "mixed"]
M, K, N = 5, 256, 24


def operands(seed=0):
    random = np.random.default_rng(seed)
    act = random.standard_t(5, (M, K)).astype(np.float32)
    # some channels of activations stand out
    act[:, random.choice(K, 3, replace=False)] *= 20
    return act, random.normal(size=(K, N)).astype(np.float32), random.normal(size=N).astype(np.float32)


def quantized_weight(design, act, weight):
    """The weight as the design's quantizer leaves it."""
    choice, group_size = design.quantizer.weight, design.tiling.group_size
    if choice.method == "bcq":
        offset = design.edge.find(Offset) is not None
        coder = BinaryCoder(planes=choice.planes, group_size=group_size, powers=choice.powers, bias=offset)
        return coder.quantize(weight).dequantize()
    if choice.method == "block":
        return BLOCKS[choice.block].quantize(weight, k_axis=0).dequantize()
    if choice.method == "progressive":
        return ProgressiveQuantizer(group_size=group_size).quantize(weight).dequantize()
    if choice.method == "bitmod":
        bits = design.pe.weight.code_bits
        return BitMoDQuantizer(bits=bits, group_size=group_size).quantize(weight).dequantize()
    if choice.method == "affine":
        return AffineQuantizer(bits=design.pe.weight.bits, group_size=group_size).quantize(weight).reals()
    narrow = design.weight_quantizer.quantize(weight, k_axis=0).dequantize()
    if choice.method == "dequantized":
        return design.pe.weight.decode(design.pe.weight.encode(narrow))
    if choice.method == "mixed" and choice.axis == "group":
        salient = salient_groups(weight, design.weight_quantizer, fraction=choice.fraction, act=act)
        wide = design.wide_quantizer("weight").quantize(weight, k_axis=0).dequantize()
        return np.where(np.repeat(salient, group_size)[:K, None], wide, narrow)
    if choice.method == "mixed":
        salient = salient_columns(weight, design.weight_quantizer, fraction=choice.fraction, act=act)
        wide = design.wide_quantizer("weight").quantize(weight, k_axis=0).dequantize()
        return np.where(salient, wide, narrow)
    return narrow


def quantized_act(design, act):
    """The activations as the design's quantizer leaves them."""
    choice = design.quantizer.act
    if choice.method == "block":
        return BLOCKS[choice.block].quantize(act, k_axis=1).dequantize().astype(np.float64)
    return design.act_quantizer.quantize(act, k_axis=1).dequantize().astype(np.float64)


@pytest.mark.parametrize("name", ONE_PRECISION)
def test_result_is_the_product_of_quantized_operands(name):
    """But for the rounding of the floats on the way: 2**-24 of each term, or 2**-11 of scales, 2**-13 of sums."""
    design = load_design(name)
    act, weight, bias = operands()
    job = job_of(compile_layer(design, weight, bias if design.drain.adds_bias else None, calibration=act), act)
    result = job.real([expected_results(design.engine.spec, product) for product in job.products])
    reference = quantized_act(design, act)
    reference = reference @ quantized_weight(design, act, weight) + (bias if design.drain.adds_bias else 0)
    requantize = present(design.edge).find(Requantize)
    if requantize:
        highest = present(requantize.requantize).interval.hi
        # half a step of the result, half a unit of the sums for the bias, and what the multiplier's width loses
        step = np.abs(act @ weight + bias).max() / highest
        scales = [
            design.act_quantizer.quantize(act, k_axis=1).scale,
            design.weight_quantizer.quantize(weight, k_axis=0).scale,
        ]
        inside = np.abs(reference) < step * highest
        lost = (step + scales[0].max() * scales[1].max()) / 2 + np.abs(reference).max() * 2.0**-16
        assert np.abs(result - reference)[inside].max() <= lost
    elif design.options.get("table_bits"):
        # entries of 8 bits have lost 3 of 11
        assert 20 < sqnr_db(reference, result) < 60
    else:
        # scales of 10 bits of fraction
        short = design.accumulator.kind == "aligned"
        rounded = short or {"fp16", "e8m10_ieee", "e6m10_ieee"} & {design.drain.scale, design.drain.act_scale_format}
        assert sqnr_db(reference, result) > (65 if rounded else 110)


def test_outliers_of_activations_get_more_bits():
    design = load_design("comet_w4a4_8")
    act, weight, _ = operands()
    narrow = load_design("comet_w4a4_8", ["quantizer.act.method=uniform"])
    exact = act.astype(np.float64) @ weight
    results = {}
    for name, each in (("mixed", design), ("narrow", narrow)):
        job = job_of(compile_layer(each, weight, calibration=act), act)
        (product,) = job.products
        # the outliers' block comes in two digits
        assert product.act.shape[1] == {"mixed": K + 128, "narrow": K}[name]
        results[name] = sqnr_db(exact, job.real([expected_results(each.engine.spec, product)]))
    assert results["mixed"] > results["narrow"] + 3


def test_more_bits_for_columns_help():
    act, weight, _ = operands()
    exact = act.astype(np.float64) @ weight
    found = []
    for fraction in (0.0, 0.25, 1.0):
        design = load_design("mixllm_w4_8a8", [f"quantizer.weight.fraction={fraction}"])
        job = job_of(compile_layer(design, weight, calibration=act), act)
        assert [product.planes.shape[::2] for product in job.products] == {
            0.0: [(1, N)],
            0.25: [(1, N - 6), (2, 6)],
            1.0: [(2, N)],
        }[fraction]
        found.append(sqnr_db(exact, job.real([expected_results(design.engine.spec, one) for one in job.products])))
    assert found[0] < found[1] < found[2]


def test_columns_with_more_bits_may_be_chosen():
    """The ones that calibration would choose give the same program; others have their own passes."""
    act, weight, _ = operands()
    design = load_design("mixllm_w4_8a8")
    salient = salient_columns(weight, design.target.weight_quantizer, fraction=0.1, act=act)
    by_itself, given = (
        job_of(compile_layer(design, weight, calibration=act, wide=wide), act) for wide in (None, salient)
    )
    for one, other in zip(by_itself.products, given.products, strict=True):
        np.testing.assert_array_equal(one.planes, other.planes)
    wide = np.zeros(N, dtype=bool)
    wide[[1, 5]] = True
    program = compile_layer(design, weight, calibration=act, wide=wide)
    assert [part.columns.tolist() for part in program.parts] == [np.flatnonzero(~wide).tolist(), [1, 5]]
    assert [product.planes.shape[::2] for product in job_of(program, act).products] == [(1, N - 2), (2, 2)]


@pytest.mark.parametrize(
    ("name", "wide", "message"),
    [
        ("mxfp4", np.ones(N, bool), r"^Design must have two precisions of columns of weights, which mxfp4 has not$"),
        (
            "slim_w2_3a8",
            np.ones(N, bool),
            r"^Design must have two precisions of columns of weights, which slim_w2_",
        ),
        ("mixllm_w4_8a8", np.ones(N), r"^Columns with more bits must be \d+ bools, not float64 of shape \(\d+,\)$"),
        ("mixllm_w4_8a8", np.ones(3, bool), r"^Columns with more bits must be \d+ bools, not bool of shape \(3,\)$"),
    ],
)
def test_columns_with_more_bits_are_checked(name, wide, message):
    act, weight, _ = operands()
    with pytest.raises(ValueError, match=message):
        compile_layer(load_design(name), weight, calibration=act, wide=wide)


@pytest.mark.parametrize("name", few(["mixllm_w4_8a8", "qserve_w4a8", "rbe_w4a4"], 3))
def test_hardware_is_the_model(name):
    design = load_design(name).resized(2)
    act, weight, _ = operands()
    done = matmul(design, act, weight[:, :5])
    np.testing.assert_array_equal(done.product, matmul(design, act, weight[:, :5], engine="ref").product)
    assert takes_as_long(done)


@pytest.mark.parametrize(
    "name, setting, message",
    [
        (
            "mixpe_w4a8",
            "drain.weight_zero=none",
            r"^Drain weight_zero must not be none: the quantizer gives zero points",
        ),
        (
            "mixpe_w4a8",
            "drain.weight_zero=uint2",
            r"^Drain weight_zero must hold zero points from -?\d+ to \d+, which uint2 ",
        ),
        ("mixpe_w4a8", "drain.scale=none", r"^Weight scales must be the same for all groups"),
        ("rbe_w4a4", "drain.scale=none", r"^Drain scale must not be none where weights or activations come in digits"),
        (
            "rbe_w4a4",
            "drain.scale=pot3",
            r"^Drain scale must hold powers of two up to 2\*\*6\.?0?, which pot3 does not$",
        ),
        ("qserve_w4a8", "tiling.group_size=100", None),
        ("mxfp4", "tiling.group_size=16", r"^Tiling group_size must be 32, as mxfp4 has it, not 16$"),
        (
            "bitmod_fp3a8",
            "weight=nf4",
            r"^Quantizer weight.method bitmod takes the format bitmod3 or bitmod4, not nf4$",
        ),
        ("mxfp4", "weight=fp4_e3m0", r"^Quantizer weight.block mxfp4 must have elements of fp4_e3m0, not fp4_e2m1$"),
        (
            "abq_w2a8",
            "tiling.group_size=100",
            r"^K must be a multiple of the group size \(100\) where a group comes in ",
        ),
    ],
)
def test_what_the_drain_edge_lacks_is_named(name, setting, message):
    act, weight, bias = operands()
    design = load_design(name, [setting])
    if message is None:
        assert job_of(compile_layer(design, weight, calibration=act), act).products
        return
    with pytest.raises(ValueError, match=message):
        job_of(compile_layer(design, weight, bias if design.drain.adds_bias else None, calibration=act), act)


@pytest.mark.parametrize("scale", ["none", "int8", "pot4", "fp16"])
def test_an_offset_that_no_weight_has_is_zero(scale):
    """A design may have a step that its quantizer has no use for."""
    act, weight, _bias = operands()
    design = load_design("w4a8_ws", ["drain.offset=fp16", f"drain.scale={scale}"])
    (product,) = job_of(compile_layer(design, weight, calibration=act), act).products
    assert not product.parameters["offset"].any()


def test_an_offset_takes_a_scale_that_is_a_float():
    act, weight, _bias = operands()
    design = load_design("w4a8_q4_1", ["drain.scale=none", f"tiling.group_size={len(weight)}"])
    with pytest.raises(ValueError, match=r"^Drain scale must be a float where the quantizer gives weights an offset$"):
        compile_layer(design, weight[:, :1], calibration=act)


@pytest.mark.parametrize("form", ["int1", "uint1", "int2"])
def test_results_of_few_bits_have_a_scale(form):
    """Warnings of NumPy, such as of a division by 0, are errors."""
    act, weight, _bias = operands()
    design = load_design("hawqv3_w4a4", [f"drain.requantize={form}"])
    (product,) = job_of(compile_layer(design, weight, calibration=act), act).products
    assert (product.parameters["multiplier"] > 0).all()
