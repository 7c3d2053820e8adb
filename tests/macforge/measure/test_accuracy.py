"""What the transformer loses in a design's arithmetic: against plain NumPy, and against the hardware."""

import dataclasses
import itertools
import json
import re
from statistics import fmean

import numpy as np
import pytest
from scipy import optimize
from threadpoolctl import threadpool_info, threadpool_limits

from macforge.design.design import load_design
from macforge.measure import accuracy as module
from macforge.measure.accuracy import SENTENCES, Accuracy, accuracy, compiled, quantized_result
from macforge.measure.columns import encoder_losses
from macforge.measure.minilm import Layer, MiniLM, float_result
from macforge.model.columns import choose_columns, same_share
from macforge.run.product import matmul
from sw_ref.quantize.uniform import sqnr_db

KINDS = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output", "intermediate"]
FEW = 3


@pytest.fixture(autouse=True, scope="module")
def empty_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MACFORGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def few(name, *settings):
    return accuracy(load_design(name, settings), sentences=FEW)


def by_hand(layer):
    """8-bit integers, with a scale for each token and each column."""
    act_scale = np.abs(layer.act).max(axis=1, keepdims=True) / 127
    weight_scale = np.abs(layer.weight).max(axis=0) / 127
    sums = np.rint(layer.act / act_scale) @ np.rint(layer.weight / weight_scale)
    return (sums * act_scale * weight_scale + layer.bias).astype(np.float32)


def test_figures_are_those_of_plain_numpy():
    model, ratios = MiniLM.load(), {}

    def measure(layer):
        kind = re.sub(r"encoder\.layer\.\d\.|\.dense$", "", layer.name)
        exact = layer.act.astype(np.float64) @ layer.weight.astype(np.float64) + layer.bias
        ratios.setdefault(kind, []).append(sqnr_db(exact, by_hand(layer)))
        return float_result(layer)

    reference = model.embeddings(SENTENCES[:FEW], measure)
    cosines = (reference * model.embeddings(SENTENCES[:FEW], by_hand)).sum(axis=1)
    found = few("w8a8_ws")
    assert (found.design, found.sentences) == ("w8a8_ws", FEW)
    assert found.tokens == sum(len(model.token_ids(sentence)) for sentence in SENTENCES[:FEW])
    # one code that is rounded the other way, by float32 sums in another order, moves all that follows
    assert found.cosine_mean == pytest.approx(cosines.mean(), abs=3e-4)
    assert found.cosine_min == pytest.approx(cosines.min(), abs=3e-4)
    assert list(found.sqnr_db) == [*KINDS, "output"]
    assert found.sqnr_db == pytest.approx({kind: np.mean(each) for kind, each in ratios.items()}, abs=0.02)


def test_more_bits_lose_less():
    formats = [("int16", "int16"), ("int8", "int8"), ("int8", "int4"), ("int8", "int2")]
    found = [few("w8a8_ws", f"act={act}", f"weight={weight}") for act, weight in formats]
    for better, worse in itertools.pairwise(found):
        assert 1 >= better.cosine_mean > worse.cosine_mean
        assert better.cosine_min <= better.cosine_mean
        for kind, ratio in better.sqnr_db.items():
            assert ratio > worse.sqnr_db[kind] + 10
    int16, int8, *_others = found
    assert int16.cosine_min > 0.999999 and int8.cosine_mean > 0.99


@pytest.mark.long
def test_result_of_a_layer_is_what_the_hardware_puts_out():
    design = load_design("hawqv3_w8a8").resized(2)
    layer = recorded("encoder.layer.2.intermediate.dense")
    part = Layer(name=layer.name, act=layer.act[:3, :96], weight=layer.weight[:96, :3], bias=np.zeros(3, np.float32))
    hardware = matmul(design, part.act, part.weight, engine="rtl").product
    np.testing.assert_array_equal(quantized_result(compiled(design, part), part), hardware)
    assert sqnr_db(float_result(part), hardware) > 20


@pytest.mark.parametrize("name", ["w8a8_ws", "hawqv3_w8a8"])
def test_bias_is_added_once(name):
    design, layer = load_design(name), recorded("encoder.layer.0.attention.self.query")
    large = dataclasses.replace(layer, bias=np.linspace(-10, 10, 384, dtype=np.float32))
    difference = quantized_result(compiled(design, large), large) - float_result(large)
    assert np.abs(difference).max() < 0.5


def recorded(name):
    found = {}

    def record(layer):
        found[layer.name] = layer
        return float_result(layer)

    MiniLM.load().hidden(SENTENCES[:1], record)
    return found[name]


def test_room_is_made_for_the_longest_sums():
    # of which a product takes 4
    design = load_design("subword_int8_int4", ["tiling.max_k=1024"])
    with pytest.raises(ValueError, match=r"^K must be from 1 to 256 for this engine, not 384$"):
        layer = recorded("encoder.layer.0.attention.self.query")
        quantized_result(compiled(design, layer), layer)
    assert accuracy(design, sentences=1).cosine_min > 0.98


def test_same_arithmetic_is_computed_once(monkeypatch):
    first = few("w8a8_ws")

    def compute(*arguments):
        raise AssertionError("computed")

    monkeypatch.setattr(module, "_measured", compute)
    assert few("w8a8_os", "array.rows=3", "options.pipeline=1") == dataclasses.replace(first, design="w8a8_os")
    for settings in (["weight=int7"], ["quantizer.act.granularity=tensor"], ["accumulator.bits=40"]):
        with pytest.raises(AssertionError, match=r"^computed$"):
            few("w8a8_ws", *settings)
    with pytest.raises(AssertionError, match=r"^computed$"):
        accuracy(load_design("w8a8_ws"), sentences=FEW + 1)


def test_threads_make_no_difference(monkeypatch, tmp_path):
    design, found = load_design("w8a8_ws"), []
    for threads in (1, 2):
        monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path / str(threads)))
        with threadpool_limits(threads):
            found.append(accuracy(design, sentences=2))
    assert found[0] == found[1]


def test_table_is_plain():
    found = Accuracy(
        design="x", sentences=2, tokens=9, cosine_mean=0.75, cosine_min=0.5, sqnr_db={"output": 10.0, "query": 20.0}
    )
    table = found.to_table()
    assert json.loads(json.dumps(table)) == table
    assert table == {
        "design": "x",
        "sentences": 2,
        "tokens": 9,
        "cosine_mean": 0.75,
        "cosine_min": 0.5,
        "sqnr_db": 15.0,
        "sqnr_db_by_layer": {"output": 10.0, "query": 20.0},
    }


def test_sentences_are_many_and_different():
    assert len(set(SENTENCES)) == len(SENTENCES) == 32


@pytest.mark.parametrize(
    ("settings", "sentences", "message"),
    [
        ([], -1, "Sentences must be from 1 to 32, or 0 for all, not -1"),
        ([], 33, "Sentences must be from 1 to 32, or 0 for all, not 33"),
        (["drain.relu=true"], 1, "Drain relu must be left out for layers without one, not True"),
        (["drain.clamp=[0, 6]"], 1, "Drain clamp must be left out for layers without one, not (0, 6)"),
        (["weight=uint4"], 1, "Drain weight_zero must hold zero points from 3 to 12, which int4 does not"),
        (
            ["drain.weight_zero=none"],
            1,
            "Drain weight_zero must not be none: the quantizer gives zero points, such as 4",
        ),
    ],
)
def test_what_does_not_fit_the_layers_is_refused(settings, sentences, message):
    design = load_design("mixpe_w4a8", settings)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        accuracy(design, sentences=sentences)


def test_key_tells_numpys_library_of_products_alone():
    """Whatever else a process has loaded: SciPy brings one along."""
    assert optimize
    loaded = [library["filepath"] for library in threadpool_info() if library["user_api"] == "blas"]
    assert any("scipy.libs" in path for path in loaded)
    others = [path for path in loaded if "scipy.libs" not in path]
    assert len(module._blas()) == 3 * len(others) > 0


def test_columns_of_an_encoder_are_chosen_over_all_layers():
    """Losses are squared relative errors of results with the weights quantized; the choice then loses less."""
    design = load_design("mixllm_w4_8a8", ["quantizer.weight.clip_search=0"])
    losses = encoder_losses(design, sentences=1)
    model, seen = MiniLM.load(), {}

    def compute(layer):
        seen[layer.name] = layer
        return float_result(layer)

    model.hidden(SENTENCES[:1], compute)
    assert list(losses) == list(seen) and len(losses) == 36
    name = "encoder.layer.3.attention.output.dense"
    layer, quantizer = seen[name], design.target.weight_quantizer
    exact = float_result(layer).astype(np.float64)
    error = layer.act.astype(np.float64) @ (quantizer.quantize(layer.weight, k_axis=0).reals() - layer.weight)
    np.testing.assert_allclose(losses[name].few, (error**2).sum(axis=0) / (exact**2).sum(), rtol=1e-4)
    chosen, fixed = (choose(losses, share=0.1).wide for choose in (choose_columns, same_share))
    found = [accuracy(design, sentences=1, wide=wide) for wide in (chosen, fixed, None)]
    means = [fmean(each.sqnr_db.values()) for each in found]
    assert means[0] > means[1] != means[2]
