"""GGUF files against the library's own numbers, and files that are damaged."""

import re

import gguf
import numpy as np
import pytest

from macforge.model.files import open_model
from macforge.model.gguf import GGUFModel
from macforge.model.gguf_types import TYPES
from macforge.model.layer import joined
from sw_ref.groups import group_of
from tests.macforge.model.gguf_files import blocks, reference, write_gguf
from tests.typed import present

KINDS = list(TYPES)
FLOATS = ("F32", "F16", "BF16")


def test_types_are_of_the_sizes_that_the_library_has():
    sizes = {kind: gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]] for kind in KINDS}
    assert sizes == {kind: (block.elements, block.size) for kind, block in TYPES.items()}


@pytest.mark.parametrize(("n", "count"), [(7, 3), (1, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_what_the_library_dequantizes(kind, n, count, tmp_path):
    data = blocks(kind, n, count)
    write_gguf(tmp_path / "model.gguf", {"a.weight": (kind, data)})
    (layer,) = open_model(tmp_path / "model.gguf").layers()
    assert (layer.kind, layer.k, layer.n) == (kind, count * TYPES[kind].elements, n)
    weight, expected = layer.stored(), reference(kind, data)
    groups, factors = group_of(layer.k, layer.group_size), weight.factors
    # in float32, as the library has it: the product is rounded, then the sum
    scale, offset = (x.astype(np.float32)[groups] for x in (factors.scale, factors.offset))
    values = weight.format.decode(weight.codes).astype(np.float32)
    np.testing.assert_array_equal(scale * values + offset, expected)
    # and the exact numbers are within a rounding of it
    np.testing.assert_allclose(layer.dequantized(), expected.astype(np.float64), rtol=2.0**-23, atol=2.0**-140)
    assert np.array_equal(factors.scale, factors.scale.astype(np.float32))


def test_float_matrices_keep_their_bits(tmp_path):
    tensors = {f"{kind}.weight": (kind, blocks(kind, 3, 8)) for kind in FLOATS}
    write_gguf(tmp_path / "model.gguf", tensors)
    for layer in GGUFModel(tmp_path / "model.gguf").layers():
        data = tensors[layer.name][1]
        np.testing.assert_array_equal(layer.read_codes().T, data.view(f"<u{TYPES[layer.kind].size}"))


def test_stacked_matrices_biases_and_the_header(tmp_path):
    experts = np.stack([blocks("Q8_0", 4, 2, seed) for seed in range(3)])
    bias = np.arange(5, dtype=np.float32)
    tensors = {
        "experts.weight": ("Q8_0", experts),
        "out.weight": ("Q4_0", blocks("Q4_0", 5, 1)),
        "out.bias": ("F32", bias),
        "norm.weight": ("F32", np.ones(64, np.float32)),
    }
    write_gguf(tmp_path / "model.gguf", tensors, tokens=["a", "", "bé"], scores=[0.5, -1.0])
    model = GGUFModel(tmp_path / "model.gguf")
    layers = {layer.name: layer for layer in model.layers()}
    assert list(layers) == ["experts.weight[0]", "experts.weight[1]", "experts.weight[2]", "out.weight"]
    for index in range(3):
        found = layers[f"experts.weight[{index}]"].dequantized()
        np.testing.assert_allclose(found, reference("Q8_0", experts[index]), rtol=2.0**-23)
    np.testing.assert_array_equal(layers["out.weight"].bias, bias)
    # some columns, which are rows of the file, are read without the others
    some = layers["out.weight"].columns(np.array([3, 0]))
    np.testing.assert_array_equal(some.dequantized(), layers["out.weight"].dequantized()[:, [3, 0]])
    assert (some.n, list(present(some.bias))) == (2, [3, 0])
    whole = joined([layers[f"experts.weight[{index}]"] for index in range(3)])
    assert (whole.name, whole.n) == ("experts.weight[0..2]", 12)
    np.testing.assert_array_equal(whole.dequantized()[:, 4:8], layers["experts.weight[1]"].dequantized())
    assert model.keys == ["general.architecture", "tokens", "scores"]
    assert (model.value("tokens"), list(model.value("scores"))) == (["a", "", "bé"], [0.5, -1.0])
    assert model.value("general.architecture") == "test"
    np.testing.assert_array_equal(model.tensor("norm.weight"), np.ones(64))


def test_scales_that_are_not_finite_are_refused(tmp_path):
    data = blocks("Q4_0", 2, 1)
    data[0, :2] = 0x00, 0x7C
    write_gguf(tmp_path / "model.gguf", {"a.weight": ("Q4_0", data)})
    (layer,) = GGUFModel(tmp_path / "model.gguf").layers()
    with pytest.raises(ValueError, match=r"^Layer a\.weight must have finite factors, and its scale has infinity or"):
        layer.stored()


def test_a_code_that_is_no_ternary_number_is_refused(tmp_path):
    data = np.full((1, 66), 0xFF, np.uint8)
    write_gguf(tmp_path / "model.gguf", {"a.weight": ("TQ2_0", data)})
    (layer,) = GGUFModel(tmp_path / "model.gguf").layers()
    with pytest.raises(ValueError, match=r"^Ternary weights must be -1, 0 or 1, and a code of 2 stands for none"):
        layer.read_codes()


def test_types_that_are_not_read_are_named(tmp_path):
    write_gguf(tmp_path / "model.gguf", {"a.weight": ("IQ4_XS", np.zeros((2, 136), np.uint8))})
    model = GGUFModel(tmp_path / "model.gguf")
    assert (list(model.layers()), model.passed_over()) == ([], [("a.weight", "type IQ4_XS is not read")])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "whole.gguf"
    write_gguf(path, {"a.weight": ("Q4_0", blocks("Q4_0", 3, 2))}, tokens=["one", "two"], scores=[1.0])
    return path.read_bytes()


def message(path):
    return f"^Model must be a whole GGUF file, which {re.escape(str(path))} is not: .+$"


def test_files_that_are_cut_off_are_refused(whole, tmp_path):
    path = tmp_path / "cut.gguf"
    for size in [*range(4, len(whole) - 1, 7), len(whole) - 1]:
        path.write_bytes(whole[:size])
        if size < len(whole) - 40:
            with pytest.raises(ValueError, match=message(path)):
                GGUFModel(path)


def test_damaged_files_end_in_one_line(whole, tmp_path):
    path, random, refused = tmp_path / "damaged.gguf", np.random.default_rng(0), 0
    for _ in range(150):
        data = bytearray(whole)
        for at in random.integers(4, 330, 2):
            data[at] = random.choice([0, 1, 0x7F, 0x80, 0xFF])
        path.write_bytes(data)
        try:
            for layer in GGUFModel(path).layers():
                layer.dequantized()
        except ValueError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1
    assert refused > 50


@pytest.mark.parametrize("at", [8, 16])
def test_counts_beyond_reason_are_refused_at_once(whole, tmp_path, at):
    data = bytearray(whole)
    data[at : at + 8] = (1 << 62).to_bytes(8, "little")
    path = tmp_path / "counts.gguf"
    path.write_bytes(data + bytes(1 << 20))
    with pytest.raises(ValueError, match=message(path)):
        GGUFModel(path)
