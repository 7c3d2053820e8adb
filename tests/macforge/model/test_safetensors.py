"""Checkpoints of GPTQ, AWQ, compressed-tensors and BitNet, packed here as their public descriptions say."""

import json
import re

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from macforge.compile.stored import compile_stored
from macforge.design.design import load_design
from macforge.model.compiled import compile_stored_layer
from macforge.model.files import find_layer, open_model
from macforge.model.fit import fits, named_targets
from tests.macforge.model.layers import rows_of
from tests.typed import present


def written(folder, config=None, **tensors):
    """A file of tensors, whose names have two underscores for a point, with a configuration beside it."""
    named = {name.replace("__", "."): np.ascontiguousarray(x) for name, x in tensors.items()}
    save_file(named, folder / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps({"quantization_config": config}))
    return folder / "model.safetensors"


def layer_of(path, name="a"):
    model = open_model(path)
    assert model.passed_over() == []
    return find_layer(model, name)


def words(codes, order=tuple(range(8))):
    """Codes (..., 8 * words) of four bits: field i of a word holds the code with number order[i] of its eight."""
    eight = codes.reshape(*codes.shape[:-1], -1, 8).astype(np.uint64)
    packed = sum(eight[..., place] << np.uint64(4 * field) for field, place in enumerate(order))
    return np.asarray(packed).astype(np.uint32).view(np.int32)


def gptq(k, n, size, *, zero=None, order=None, less=1, seed=0):
    """Tensors of a layer, and its real weight in float32."""
    random, groups = np.random.default_rng(seed), -(-k // size)
    codes = random.integers(0, 16, (k, n))
    zeros = random.integers(less, 16, (groups, n)) if zero is None else np.full((groups, n), zero)
    scales = random.choice([0.0, 2.0**-24, 0.011, -0.3, 65504.0], (groups, n)).astype(np.float16)
    group = np.arange(k) // size if order is None else (np.argsort(order) // size)
    real = scales[group].astype(np.float32) * (codes - zeros[group]).astype(np.float32)
    tensors = {
        "a__qweight": words(codes.T).T,
        "a__qzeros": words((zeros - less) & 15),
        "a__scales": scales,
        "a__g_idx": group.astype(np.int32),
    }
    return tensors, real


@pytest.mark.parametrize("method", ["in order", "act-order"])
@pytest.mark.parametrize("zero", [None, 1, 16])
@pytest.mark.parametrize(("k", "n", "size"), [(64, 8, 16), (40, 16, 32), (8, 8, 8)])
def test_gptq(k, n, size, zero, method, tmp_path):
    order = np.random.default_rng(1).permutation(k) if method == "act-order" else None
    tensors, real = gptq(k, n, size, zero=zero, order=order)
    layer = layer_of(written(tmp_path, {"quant_method": "gptq", "bits": 4, "group_size": size}, **tensors))
    assert (layer.kind, layer.k, layer.n) == ("GPTQ", k, n)
    np.testing.assert_array_equal(layer.dequantized().astype(np.float32), real)
    program, reason = compile_stored_layer(load_design("w4a8_os"), layer)
    assert reason is None
    np.testing.assert_array_equal(rows_of(program, k), real)


def test_zero_points_of_the_second_version_are_not_off_by_one(tmp_path):
    for zero in (0, 15):
        tensors, real = gptq(32, 8, 32, zero=zero, less=0)
        config = {"quant_method": "gptq", "checkpoint_format": "gptq_v2"}
        layer = layer_of(written(tmp_path, config, **tensors))
        np.testing.assert_array_equal(layer.dequantized().astype(np.float32), real)


def test_gptq_of_other_widths(tmp_path):
    random = np.random.default_rng(0)
    for bits in (8, 2):
        codes, zeros = random.integers(0, 1 << bits, (32, 16)), random.integers(0, 1 << bits, (2, 16))
        per_word = 32 // bits
        packed = np.zeros((32 // per_word, 16), np.uint32)
        for row in range(32):
            packed[row // per_word] |= codes[row].astype(np.uint32) << np.uint32(bits * (row % per_word))
        packed_zeros = np.zeros((2, 16 // per_word), np.uint32)
        for column in range(16):
            packed_zeros[:, column // per_word] |= zeros[:, column].astype(np.uint32) << np.uint32(
                bits * (column % per_word)
            )
        path = written(
            tmp_path,
            a__qweight=packed.view(np.int32),
            a__qzeros=packed_zeros.view(np.int32),
            a__scales=np.ones((2, 16), np.float16),
        )
        expected = codes - (zeros[np.arange(32) // 16] + 1)
        np.testing.assert_array_equal(layer_of(path).dequantized(), expected)


@pytest.mark.parametrize("zero", [None, 0, 15])
@pytest.mark.parametrize(("k", "n", "size"), [(64, 16, 32), (33, 8, 32), (1, 8, 1)])
def test_awq(k, n, size, zero, tmp_path):
    random, groups = np.random.default_rng(2), -(-k // size)
    codes = random.integers(0, 16, (k, n))
    zeros = random.integers(0, 16, (groups, n)) if zero is None else np.full((groups, n), zero)
    scales = random.choice([0.0, 2.0**-24, 0.011, -0.3], (groups, n)).astype(np.float16)
    order = (0, 2, 4, 6, 1, 3, 5, 7)
    tensors = {"a__qweight": words(codes, order), "a__qzeros": words(zeros, order), "a__scales": scales}
    bias = random.normal(size=n).astype(np.float16)
    path = written(tmp_path, {"quant_method": "awq", "version": "gemm", "group_size": size}, **tensors, a__bias=bias)
    layer, group = layer_of(path), np.arange(k) // size
    real = scales[group].astype(np.float32) * (codes - zeros[group]).astype(np.float32)
    assert layer.kind == "AWQ"
    np.testing.assert_array_equal(layer.columns(slice(2, 5)).dequantized(), layer.dequantized()[:, 2:5])
    np.testing.assert_array_equal(layer.dequantized().astype(np.float32), real)
    np.testing.assert_array_equal(layer.bias, bias)
    found = fits(named_targets(), layer)
    assert found["w4a8_os"] == "adds no bias"


FP8 = ml_dtypes.float8_e4m3fn


@pytest.mark.parametrize("scales", [(), (1,), (12, 1), (12,)])
def test_compressed_tensors_fp8(scales, tmp_path):
    random = np.random.default_rng(3)
    weight = random.permutation(np.resize(np.arange(256, dtype=np.uint8), (12, 40)).ravel()).reshape(12, 40)
    weight[weight & 0x7F == 0x7F] = 0x7E
    scale = random.choice([0.5, 0.013, -2.0, 0.0], scales).astype(ml_dtypes.bfloat16)
    act = np.full(1, 0.25, np.float32)
    layer = layer_of(written(tmp_path, a__weight=weight.view(FP8), a__weight_scale=scale, a__input_scale=act))
    real = weight.view(FP8).astype(np.float32) * scale.astype(np.float32).reshape(-1, 1)
    np.testing.assert_array_equal(layer.dequantized().astype(np.float32), real.T)
    assert (layer.kind, present(layer.act).format.name, present(layer.act).scale) == ("FP8", "fp8_e4m3", 0.25)
    for name in ("fp8_e4m3_exact", "fp8_e4m3_fp32"):
        program, reason = compile_stored_layer(load_design(name), layer)
        assert reason is None
        np.testing.assert_array_equal(rows_of(program, 40), real.T)


def test_fp8_in_square_blocks(tmp_path):
    random = np.random.default_rng(4)
    weight = random.integers(0, 0x7F, (20, 48)).astype(np.uint8)
    scale = random.uniform(0.1, 1, (2, 3)).astype(np.float32)
    path = written(tmp_path, {"weight_block_size": [16, 16]}, a__weight=weight.view(FP8), a__weight_scale_inv=scale)
    real = weight.view(FP8).astype(np.float32) * np.repeat(np.repeat(scale, 16, 0), 16, 1)[:20]
    np.testing.assert_array_equal(layer_of(path).dequantized().astype(np.float32), real.T)


@pytest.mark.parametrize("method", ["compressed-tensors", "modelopt"])
@pytest.mark.parametrize("overall", [0.25, 0.0123])
def test_nvfp4(method, overall, tmp_path):
    random = np.random.default_rng(5)
    codes = random.integers(0, 16, (6, 64)).astype(np.uint8)
    scales = random.integers(0, 0x7F, (6, 4)).astype(np.uint8).view(FP8)
    packed, overall = codes[:, 0::2] | codes[:, 1::2] << 4, np.float32(overall)
    if method == "modelopt":
        names = {"a__weight": packed, "a__weight_scale_2": np.asarray(overall)}
    else:
        names = {"a__weight_packed": packed, "a__weight_global_scale": np.asarray([overall])}
        overall = np.float32(1) / overall
    layer = layer_of(written(tmp_path, a__weight_scale=scales, **names))
    values = codes.view(ml_dtypes.float4_e2m1fn).astype(np.float64)
    blocks = values * np.repeat(scales.astype(np.float64), 16, axis=1)
    np.testing.assert_array_equal(layer.dequantized(), blocks.T * np.float64(overall))
    program, reason = compile_stored_layer(load_design("nvfp4"), layer)
    assert (layer.kind, reason) == ("NVFP4", None)
    # blocks are exact, and multiplied by the tensor's scale at the end
    np.testing.assert_array_equal(rows_of(program, 64), (blocks.T.astype(np.float32) * overall))


@pytest.mark.parametrize("linear_class", ["bitlinear", "autobitlinear"])
def test_bitnet(linear_class, tmp_path):
    random = np.random.default_rng(6)
    ternary = random.integers(-1, 2, (12, 20))
    packed = np.zeros((3, 20), np.uint8)
    for row in range(12):
        packed[row % 3] |= (ternary[row] + 1).astype(np.uint8) << np.uint8(2 * (row // 3))
    scale = np.asarray([1.22], ml_dtypes.bfloat16)
    config = {"quant_method": "bitnet", "linear_class": linear_class}
    layer = layer_of(written(tmp_path, config, a__weight=packed, a__weight_scale=scale))
    factor = scale.astype(np.float32) if linear_class == "autobitlinear" else np.float32(1) / scale.astype(np.float32)
    expected = ternary.T * np.float64(factor)
    np.testing.assert_array_equal(layer.dequantized(), expected)
    for name in ("ternary_add_a8", "ternary_lut_a8", "w2a8_os"):
        program, reason = compile_stored_layer(load_design(name), layer)
        assert reason is None
        np.testing.assert_array_equal(rows_of(program, 20), expected)


def test_a_code_that_is_no_ternary_number_is_refused(tmp_path):
    tensors = {"a__weight": np.full((1, 4), 3, np.uint8), "a__weight_scale": np.ones(1, np.float32)}
    message = "^Layer a must hold -1, 0 and 1, and a code of 3 stands for none: damaged$"
    with pytest.raises(ValueError, match=message):
        layer_of(written(tmp_path, **tensors)).dequantized()


def test_floats_are_what_they_are(tmp_path):
    random = np.random.default_rng(7)
    weights = {kind: random.normal(size=(3, 5)).astype(kind) for kind in (np.float32, np.float16, ml_dtypes.bfloat16)}
    for kind, weight in weights.items():
        layer = layer_of(written(tmp_path, a__weight=weight, a__bias=np.ones(3, kind), norm=np.ones(4, np.float32)))
        np.testing.assert_array_equal(layer.dequantized(), weight.astype(np.float64).T)
        np.testing.assert_array_equal(layer.bias, np.ones(3))


WRONG = [
    ({"group_size": 24}, {}, "GPTQ: its K = 64 has 4 groups, not of 24"),
    ({}, {"a__g_idx": np.zeros(64, np.int32)}, "GPTQ: its g_idx has groups that are not of 16 channels"),
    ({}, {"a__g_idx": np.zeros(63, np.int32)}, "GPTQ: its g_idx is of shape (63,), not (64,)"),
    ({}, {"a__scales": np.ones((3, 8), np.float16)}, "GPTQ: its qzeros is of shape (4, 1), not (3, 1)"),
    ({}, {"a__scales": np.ones((4, 12), np.float16)}, "AWQ: its codes have 21.3333 bits"),
    ({}, {"a__bias": np.ones(9, np.float16)}, "GPTQ: its bias is of shape (9,), not (8,)"),
]


@pytest.mark.parametrize(("config", "changed", "reason"), WRONG)
def test_tensors_that_do_not_fit_each_other_are_named(config, changed, reason, tmp_path):
    tensors, _ = gptq(64, 8, 16)
    model = open_model(written(tmp_path, config, **(tensors | changed)))
    assert (list(model.layers()), model.passed_over()) == ([], [("a", reason)])


def test_damaged_files_end_in_one_line(tmp_path):
    path = written(tmp_path, **gptq(32, 8, 16)[0])
    whole, random, refused = path.read_bytes(), np.random.default_rng(0), 0
    cases = [whole[:size] for size in [*range(9, len(whole), 23), len(whole) - 1]]
    for _ in range(80):
        data = bytearray(whole)
        data[random.integers(0, 300)] = random.choice([0, 1, 0x31, 0x7F, 0xFF])
        cases.append(bytes(data))
    for data in cases:
        path.write_bytes(data)
        try:
            for layer in open_model(path).layers():
                layer.dequantized()
        except ValueError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1
    assert refused > 60


def test_a_configuration_that_is_no_json_is_refused(tmp_path):
    path = written(tmp_path, **gptq(32, 8, 16)[0])
    (tmp_path / "config.json").write_bytes(b"{")
    message = f"^Configuration {re.escape(str(tmp_path / 'config.json'))} must be JSON, which it is not$"
    with pytest.raises(ValueError, match=message):
        open_model(path)


def test_all_designs_that_fit_are_exact(tmp_path):
    tensors, _ = gptq(64, 8, 32, zero=8)
    tensors["a__scales"] = np.random.default_rng(0).uniform(0.001, 0.01, (2, 8)).astype(np.float16)
    layer, targets = layer_of(written(tmp_path, **tensors)), named_targets()
    taken = [name for name, reason in fits(targets, layer).items() if reason is None]
    assert {"mixpe_w4a8", "mixpe_w4a16", "lut_tensor_core_w4a8", "w4a8_os", "w4a8_q4_1"} <= set(taken)
    for name in set(taken) - {"comet_w4a4_8"}:
        found = rows_of(compile_stored(targets[name], layer.stored()), 64)
        np.testing.assert_array_equal(found, layer.dequantized().astype(np.float32), err_msg=name)
