"""Layers of the transformer, and tensors from files."""

import math
import re

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save, save_file

from macforge.measure.workload import Layout, load_layer, load_tensor, load_weight
from tests.typed import present


@pytest.mark.parametrize("tokens", [1, 16, 50])
def test_layer_has_the_operands_of_the_model(tokens):
    layer = load_layer(tokens=tokens)
    assert layer.name == "all-MiniLM-L6-v2 encoder.layer.0.intermediate.dense"
    assert layer.act.shape == (tokens, 384)
    assert layer.weight.shape == (384, 1536)
    bias = present(layer.bias)
    assert bias.shape == (1536,)
    assert {x.dtype for x in (layer.act, layer.weight, bias)} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(layer.act, load_layer(tokens=136).act[:tokens])
    # what leaves layer normalization has about the spread of its weights, far from all zeros
    assert 0.1 < layer.act.std() < 2


def test_any_linear_layer_can_be_taken():
    layer = load_layer("encoder.layer.5.output.dense", tokens=3)
    assert layer.act.shape == (3, 1536) and layer.weight.shape == (1536, 384)
    # behind GELU, whose least value is -0.17
    assert -0.17004 < layer.act.min() < 0


WEIGHT = np.random.default_rng(0).standard_normal((3, 5))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64], ids=str)
def test_safetensors_of_every_float_type_come_as_float32(dtype, tmp_path):
    path = tmp_path / "weights.safetensors"
    tensors = {
        "first": np.ones(7, np.float32),
        "weight": WEIGHT.astype(dtype),
        "last": np.zeros((2, 2), dtype),
    }
    save_bfloat16_too(tensors, path)
    expected = WEIGHT.astype(dtype).astype(np.float32)
    layouts: dict[Layout, np.ndarray] = {"kn": expected, "nk": expected.T}
    for layout, oriented in layouts.items():
        weight = load_tensor(path, "weight", layout=layout)
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, oriented)


def save_bfloat16_too(tensors, path):
    """safetensors writes no bfloat16 of NumPy: its bits go in as float16, whose name is then changed."""
    if tensors["weight"].dtype != ml_dtypes.bfloat16:
        save_file(tensors, path)
        return
    bits = {name: x.view(np.float16) if x.dtype == ml_dtypes.bfloat16 else x for name, x in tensors.items()}
    data = save(bits)
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size].rstrip().replace(b'"F16"', b'"BF16"')
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_npy_comes_as_float32(dtype, tmp_path):
    path = tmp_path / "weight.npy"
    np.save(path, WEIGHT.astype(dtype))
    np.testing.assert_array_equal(load_tensor(path), WEIGHT.astype(dtype).astype(np.float32))
    np.testing.assert_array_equal(load_tensor(path, layout="nk"), load_tensor(path).T)


def test_user_weight_gets_stand_in_activations(tmp_path):
    save_file({"dense": WEIGHT}, tmp_path / "model.safetensors")
    layer = load_weight(tmp_path / "model.safetensors", layout="nk", tokens=2000, seed=7)
    assert layer.name == ("model.safetensors (stand-in activations: Student-t, 5 degrees of freedom, seed 7)")
    assert layer.weight.shape == (5, 3) and layer.bias is None
    assert layer.act.shape == (2000, 5) and layer.act.dtype == np.float32
    # the variance of Student-t is 5 / (5 - 2)
    assert layer.act.var() == pytest.approx(5 / 3, rel=0.1)
    again = load_weight(tmp_path / "model.safetensors", "dense", layout="nk", tokens=2000, seed=7)
    assert again.name.startswith("model.safetensors dense (stand-in")
    np.testing.assert_array_equal(again.act, layer.act)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tensors")
    matrix = np.ones((2, 3), np.float32)
    save_file({"up": matrix, "down": matrix.astype(np.int8), "bias": matrix[0]}, path / "two.safetensors")
    (path / "broken.safetensors").write_bytes(b"\x00" * 4)
    (path / "broken.npy").write_bytes(b"hello, world")
    np.save(path / "vector.npy", matrix[0])
    np.save(path / "whole.npy", matrix.astype(np.int32))
    np.save(path / "objects.npy", np.array([{}]))
    np.save(path / "none.npy", matrix[:0])
    np.save(path / "nan.npy", np.where(np.eye(2, 3), np.nan, matrix))
    save_file({"w": matrix[:, :0]}, path / "none.safetensors")
    (path / "pointer.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (path / "archive.npy").write_bytes(b"PK\x03\x04")
    return path


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("two.safetensors", {}, r"Tensor must be a matrix of two\.safetensors \(down, up\), not None"),
        (
            "two.safetensors",
            {"tensor": "bias"},
            r"Tensor must be a matrix of two\.safetensors \(down, up\), not 'bias'",
        ),
        ("two.safetensors", {"tensor": "down"}, "Tensor down must be F16, BF16, F32 or F64, not I8"),
        ("broken.safetensors", {}, r"broken\.safetensors is not a safetensors file: .*"),
        ("broken.npy", {}, r"Tensor file must be a \.npy file of numbers, which .*broken\.npy is not: .*"),
        ("objects.npy", {}, r"Tensor file must be a \.npy file of numbers, which .*objects\.npy is not: .*"),
        ("none.npy", {}, r"Tensor must have an element, which none\.npy of shape \(0, 3\) has not"),
        ("none.safetensors", {}, r"Tensor must have an element, which none\.safetensors of shape \(2, 0\) has not"),
        ("nan.npy", {}, r"nan\.npy\[0, 0\] is nan, no finite float32"),
        ("pointer.safetensors", {}, r"pointer\.safetensors is not a safetensors file: it is a Git LFS pointer, .*"),
        ("archive.npy", {}, r"Tensor file must be .*, which .*archive\.npy is not: it is a ZIP archive, .*"),
        ("vector.npy", {}, r"vector\.npy must hold a float matrix, not float32 of shape \(3,\)"),
        ("whole.npy", {}, r"whole\.npy must hold a float matrix, not int32 of shape \(2, 3\)"),
        (
            "vector.npy",
            {"tensor": "up"},
            r"Tensor must not be named in a \.npy file, which holds one, not 'up'",
        ),
        ("vector.npy", {"layout": "mk"}, "Layout must be kn or nk, not 'mk'"),
        ("model.pt", {}, r"Tensor file must be \.safetensors or \.npy, not 'model\.pt'"),
    ],
)
def test_bad_files_are_refused(file, options, message, folder):
    with pytest.raises(ValueError, match=f"^{message}$"):
        load_tensor(folder / file, **options)


@pytest.mark.parametrize("name", ["missing.safetensors", "missing.npy"])
def test_missing_files_are_reported_by_name(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=name):
        load_tensor(tmp_path / name)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: load_layer(tokens=0), "Tokens must be from 1 to 136, not 0"),
        (lambda: load_layer(tokens=137), "Tokens must be from 1 to 136, not 137"),
        (
            lambda: load_layer("pooler.dense"),
            "Layer must be a linear layer of the encoder, such as encoder.layer.0.intermediate.dense, "
            "not 'pooler.dense'",
        ),
        (lambda: load_weight("weight.npy", tokens=0), "Tokens must be at least 1, not 0"),
    ],
)
def test_bad_parameters_are_refused(attempt, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attempt()


def test_the_built_in_activations_are_finite():
    assert math.isfinite(float(np.abs(load_layer(tokens=136).act).max()))
