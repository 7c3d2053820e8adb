"""What designs say of stored layers, and that what they take comes out to the bit."""

import re

import numpy as np
import pytest

from macforge.compile.compiler import compile_layer
from macforge.compile.cost import cost
from macforge.compile.storage import load_program, save_program
from macforge.compile.stored import compile_stored
from macforge.design.design import load_design
from macforge.model.compiled import compile_stored_layer
from macforge.model.files import open_model
from macforge.model.fit import fit, fits, named_targets
from macforge.model.gguf_types import TYPES
from macforge.model.layer import StoredAct, StoredResult
from macforge.run.executor import run_program
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from tests.cycles import takes_as_long
from tests.macforge.model.gguf_files import FLOATS_AT, blocks, write_gguf
from tests.macforge.model.layers import made, rows_of

# Designs that each type must be among, which a user would look for.
TAKEN = {
    "F16": {"fp16_fp32"},
    "BF16": {"bf16_fp32"},
    "Q4_0": {"w4a8_ws", "w4a8_q4_1", "mixpe_w4a8", "lut_tensor_core_w4a8"},
    "Q4_1": {"w4a8_q4_1", "w4a8_os"},
    "Q5_0": {"w8a8_os"},
    "Q5_1": {"w8a8_ws"},
    "Q8_0": {"w8a8_os", "w8a8_packed", "w8a8_q8_0"},
    "Q2_K": {"w2a8_os"},
    "Q3_K": {"w4a8_os"},
    "Q4_K": {"w4a8_ws"},
    "Q5_K": {"w8a8_os"},
    "Q6_K": {"w8a8_ws"},
    "IQ4_NL": {"w8a8_os"},
    "TQ1_0": {"w2a8_os"},
    "TQ2_0": {"w2a8_os"},
    "MXFP4": {"mxfp4", "w4a8_mxfp4_mxfp8"},
}


@pytest.fixture(scope="module")
def targets():
    return named_targets()


def calibrated(targets):
    """Designs that want a calibration."""
    return {name for name in targets if name.startswith(("comet", "hawqv3", "rbe"))}


def file_of(kind, path):
    """A layer of 512 rows whose scales are like those of a model's."""
    data = blocks(kind, 5, 512 // TYPES[kind].elements)
    if kind in FLOATS_AT:
        found = data.reshape(-1, TYPES[kind].size)
        for at in FLOATS_AT[kind]:
            scales = np.random.default_rng(at).uniform(0.001, 0.01, len(found)).astype("<f2")
            found[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    if kind == "MXFP4":
        data[:, ::17] = 118 + data[:, ::17] % 8
    if kind in ("F16", "BF16"):
        data.view("<u2")[:] = np.where(data.view("<u2") & 0x7F80, data.view("<u2"), 0)
        data[0, :8] = 0
    write_gguf(path, {"a.weight": (kind, data)})


@pytest.mark.parametrize("kind", TYPES)
def test_whatever_fits_is_exact(kind, targets, tmp_path):
    file_of(kind, tmp_path / "model.gguf")
    (layer,) = open_model(tmp_path / "model.gguf").layers()
    reasons = fits(targets, layer)
    taken = {name for name, reason in reasons.items() if reason is None}
    assert TAKEN.get(kind, set()) <= taken
    stored, expected = layer.stored(), layer.dequantized().astype(np.float32)
    for name in taken - calibrated(targets):
        found = rows_of(compile_stored(targets[name], stored), 40)
        np.testing.assert_array_equal(found, expected[:40], err_msg=name)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (["drain.scale=fp32", "drain.offset=fp32"], "Q4_K"),
        (["drain.scale=fp32", "drain.offset=fp32", "weight=uint5"], "Q5_K"),
        (["drain.scale=fp32", "drain.offset=fp32", "weight=uint2"], "Q2_K"),
        (["weight=uint5"], "Q5_1"),
    ],
)
def test_types_with_offsets_fit_designs_of_their_widths(settings, kind, tmp_path):
    file_of(kind, tmp_path / "model.gguf")
    (layer,) = open_model(tmp_path / "model.gguf").layers()
    design = load_design("w4a8_q4_1", settings)
    program, reason = compile_stored_layer(design, layer)
    assert reason is None
    # the drain edge rounds the product with the scale and the sum with the offset, as the library does
    factors, weight = layer.factors(), layer.stored()
    groups = np.arange(40) // layer.group_size
    product = (factors.scale[groups] * weight.format.decode(weight.codes[:40])).astype(np.float32)
    expected = product + factors.offset[groups].astype(np.float32)
    np.testing.assert_array_equal(rows_of(program, 40), expected)


def results(form, zero_point=0):
    return StoredResult(format=form, scale=0.5, zero_point=zero_point)


UINT4, E2M1 = Int(4, signed=False), parse_format("fp4_e2m1")


def acts(form, zero_point=0):
    return StoredAct(format=parse_format(form), scale=0.5, zero_point=zero_point)


CODES = np.arange(64).reshape(32, 2) % 16
ONES = np.ones((1, 2))
TWO = np.array([[1.0, 1.0], [2.3, 0.7]])
REASONS = [
    (made(Int(5), CODES, ONES), "w4a8_ws", "takes weights of int4, not int5"),
    (made(UINT4, CODES, ONES, offset=ONES), "mixpe_w4a8", "adds no offset to the weights of a group"),
    (made(UINT4, CODES, ONES, offset=ONES), "hawqv3_w8a8", "adds no offset to the weights of a group"),
    (made(Int(4), CODES, np.full((1, 2), 0.1)), "w4a8_ws", "takes scales of fp32, not such as 0.1"),
    (made(Int(4), CODES, np.full((1, 2), 0.1)), "mixpe_w4a8", "takes scales of fp16, not such as 0.1"),
    (made(UINT4, CODES, ONES, zero_point=20), "mixpe_w4a8", "takes zero points of int4, not from 12 to 12"),
    (made(UINT4, CODES, ONES), "w4a8_fp8", "takes no zero points of weights, which uint4 has as int4"),
    (made(Int(4), CODES, TWO, group_size=16), "hawqv3_w4a4", "takes one scale for all of K, not groups of 16"),
    (made(Int(4), CODES, TWO, group_size=16), "abq_w2a8", "takes scales of pot5, not such as"),
    (made(Int(4), CODES, ONES, bias=np.ones(2)), "w4a8_ws", "adds no bias"),
    (made(E2M1, CODES, TWO, group_size=16), "mxfp4", "takes blocks of 32"),
    (made(Int(4), np.zeros((4097, 2)), ONES), "w4a8_ws", "takes K up to 4096, not 4097"),
    (made(Int(4), CODES, -ONES), "hawqv3_w4a4", "takes no negative scales, as its results are requantized"),
    (made(Int(4), CODES, ONES, act=acts("int16")), "w4a8_ws", "takes activations of int8, not int16"),
    (made(Int(4), CODES, ONES, act=acts("int8", 5)), "mixpe_w4a8", "takes no zero points of activations such as 5"),
    (made(Int(4), CODES, ONES, act=acts("uint8", 5)), "w4a8_fp8", "takes activations of fp8_e4m3, not uint8"),
    (made(Int(4), CODES, ONES, act=acts("int4", 1)), "fp16_fp32", "takes activations of fp16, not int4 with the zero"),
    (
        made(Int(4), CODES, ONES, result=results(Int(4, signed=False))),
        "hawqv3_w4a4",
        "requantizes results to int4, not uint4",
    ),
    (made(Int(4), CODES, ONES, result=results(Int(4), 3)), "hawqv3_w4a4", "gives results no zero point such as 3"),
    (made(Int(4), CODES, ONES, result=results(Int(8))), "rbe_w4a4", "rounds results by floor, not half_even"),
    (made(E2M1, CODES, ONES, act=acts("int8")), "mxfp4", "takes activations in two precisions or blocks, not all of"),
]


@pytest.mark.parametrize(("layer", "design", "reason"), REASONS)
def test_a_design_says_why_it_does_not_take_a_layer(layer, design, reason, targets):
    found = fit(targets[design], layer)
    assert found is not None and found.startswith(reason)
    message = f"^Layer layer must be one that {design} takes as it is stored, but it {re.escape(reason)}"
    with pytest.raises(ValueError, match=message):
        compile_stored_layer(load_design(design), layer)


def test_a_layer_is_quantized_again_only_if_asked(targets):
    layer = made(Int(5), CODES, np.full((1, 2), 0.1))
    program, reason = compile_stored_layer(load_design("w4a8_ws"), layer, requantize=True)
    assert reason == "takes weights of int4, not int5"
    found, expected = rows_of(program, 8), layer.dequantized()[:8]
    assert (found != expected).any()
    np.testing.assert_allclose(found, expected, atol=0.1 * 15 / 14)


@pytest.mark.parametrize("name", ["w4a8_os", "mixpe_w4a8", "lut_tensor_core_w4a8"])
@pytest.mark.parametrize("zero", [0, 15, 8])
@pytest.mark.parametrize("group_size", [20, 0])
def test_zero_points_and_an_order_of_channels(name, zero, group_size, targets, tmp_path):
    random = np.random.default_rng(zero)
    codes, groups = random.integers(0, 16, (50, 3)), 3 if group_size else 1
    scale = random.choice([0.5, 0.75, -1.5, 0.0], (groups, 3))
    order = random.permutation(50)
    layer = made(UINT4, codes, scale, group_size=group_size, zero_point=zero, order=order)
    program, reason = compile_stored_layer(load_design(name), layer)
    assert reason is None
    np.testing.assert_array_equal(rows_of(program, 50), layer.dequantized())
    # and as a file
    save_program(program, tmp_path / "layer.safetensors")
    act = random.normal(size=(4, 50)).astype(np.float32)
    loaded = load_program(tmp_path / "layer.safetensors")
    found, again = (run_program(one, act, engine="ref") for one in (program, loaded))
    np.testing.assert_array_equal(found.product, again.product)
    assert np.abs(found.product - act @ layer.dequantized()).max() < 0.05 * np.abs(found.product).max() + 0.1


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (33, 1)])
def test_the_smallest_layers(shape, targets):
    k, n = shape
    codes = np.arange(k * n).reshape(shape) % 16
    layer = made(Int(4), codes, np.full((-(-k // 32), n), 0.25), group_size=32)
    for name, reason in fits(targets, layer).items():
        if reason is None and name not in calibrated(targets):
            found = rows_of(compile_stored(targets[name], layer.stored()), k)
            np.testing.assert_array_equal(found, layer.dequantized(), err_msg=name)


def test_a_design_with_an_order_of_its_own_takes_one_scale(targets):
    random = np.random.default_rng(0)
    codes, act = random.integers(-8, 8, (256, 3)) & 15, random.normal(size=(5, 256)).astype(np.float32)
    # channels that get 8 bits
    act[:, ::50] *= 40
    several = made(Int(4), codes, random.uniform(1, 2, (8, 3)), group_size=32)
    reason = "puts channels of activations in an order of its own, and so takes one scale for all of K"
    assert fit(targets["comet_w4a4_8"], several) == reason
    layer = made(Int(4), codes, np.full((1, 3), 0.25))
    program, _ = compile_stored_layer(load_design("comet_w4a4_8"), layer, calibration=act)
    found, expected = run_program(program, act, engine="ref").product, act @ layer.dequantized()
    assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)


def test_results_are_calibrated_where_the_file_does_not_know(targets):
    random = np.random.default_rng(1)
    order = random.permutation(40)
    layer = made(Int(8), random.integers(0, 256, (40, 3)), np.full((1, 3), 0.01), order=order)
    act = random.normal(size=(6, 40)).astype(np.float32)
    program, _ = compile_stored_layer(load_design("hawqv3_w8a8"), layer, calibration=act)
    found, expected = run_program(program, act, engine="ref").product, act @ layer.dequantized()
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    with pytest.raises(ValueError, match=r"^Calibration must be given for a bias or results in integers: "):
        compile_stored_layer(load_design("hawqv3_w8a8"), layer)


@pytest.mark.parametrize("name", ["w4a8_os", "mixpe_w4a8", "hawqv3_w4a4"])
@pytest.mark.parametrize("power", [0, -100])
def test_a_scale_of_activations_that_is_known_counts_for_all(name, power, targets):
    act = np.ldexp(np.array([[1.0, -0.4, 0.6, 100, -100, 0.25]], np.float32), power)
    form = targets[name].act_quantizer.format
    known = StoredAct(format=form, scale=float(np.ldexp(0.5, power)))
    layer = made(Int(4), np.eye(6) * 3, np.ones((1, 6)), act=known, result=None)
    calibration = act if name.startswith("hawq") else None
    program, reason = compile_stored_layer(load_design(name), layer, calibration=calibration)
    found = run_program(program, act, engine="ref").product
    least, most = form.bounds
    expected = 3 * np.ldexp(np.clip([2, -1, 1, 200, -200, 0], least, most) / 2, power)
    assert reason is None
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=0 if calibration is None else np.ldexp(30, power))


def test_scales_of_stored_weights_alone_are_known_beforehand():
    message = "^Scales of activations and results must be left out for weights that are not stored$"
    with pytest.raises(ValueError, match=message):
        compile_layer(load_design("hawqv3_w8a8"), np.ones((4, 4)), result=(1.0, 0))


@pytest.mark.long
@pytest.mark.parametrize(("kind", "name"), [("Q4_1", "w4a8_q4_1"), ("Q8_0", "w8a8_os"), ("Q4_0", "mixpe_w4a8")])
def test_the_hardware_gives_the_same(kind, name, tmp_path):
    file_of(kind, tmp_path / "model.gguf")
    (layer,) = open_model(tmp_path / "model.gguf").layers()
    program, _ = compile_stored_layer(load_design(name), layer)
    act = np.random.default_rng(0).normal(size=(3, 512)).astype(np.float32)
    results = [run_program(program, act, engine=engine) for engine in ("rtl", "ref")]
    np.testing.assert_array_equal(results[0].product, results[1].product)
    assert takes_as_long(results[0], predicted=cost(program, 3).bound_cycles)
