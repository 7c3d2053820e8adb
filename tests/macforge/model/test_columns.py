"""Columns are chosen over all layers: the best there are within budgets, by losses that come near the real ones."""

import itertools
import math

import numpy as np
import pytest

from macforge.design.design import load_design
from macforge.model.columns import ColumnChoice, ColumnLosses, choose_columns, column_losses, same_share
from macforge.model.decoder import Dequantized
from macforge.model.llama import open_decoder
from macforge.model.transformed import Requantized, activations
from sw_ref.quantize.salience import loss_changes

DESIGN = load_design("mixllm_w4_8a8", ["tiling.group_size=32"])
SIZES = (("few", lambda one: one.few_bytes), ("more", lambda one: one.more_bytes))
TEXTS = [[5, 17, 40, 99, 17, 3], [7, 7, 31, 200, 12]]


@pytest.fixture(scope="module")
def decoder(small_decoder):
    return open_decoder(small_decoder)[0]


@pytest.fixture(scope="module")
def losses(decoder):
    return column_losses(decoder, TEXTS, DESIGN.target)


def random_losses(random, layers):
    """Of layers of several K; some columns lose more with more bits, and some are alike."""
    return {
        f"layer {at}": ColumnLosses(
            few=random.integers(0, 9, n) / 4, more=random.integers(0, 4, n) / 4, few_bytes=k / 2, more_bytes=k
        )
        for at, (k, n) in enumerate(layers)
    }


def exhaustive(losses, share, weight_bytes):
    """The least loss of all choices within budgets, by trying them all."""
    columns = [(one, n) for one in losses.values() for n in range(len(one.few))]
    few, more = ([(getattr(one, name)[n], size(one)) for one, n in columns] for name, size in SIZES)
    found = []
    for wide in itertools.product((False, True), repeat=len(columns)):
        taken = [pair[is_wide] for is_wide, pair in zip(wide, zip(few, more, strict=True), strict=True)]
        if sum(wide) <= share * len(columns) and sum(size for _loss, size in taken) <= weight_bytes:
            found.append(sum(loss for loss, _size in taken))
    return min(found)


@pytest.mark.parametrize("seed", range(8))
def test_no_choice_is_better(seed):
    random = np.random.default_rng(seed)
    losses = random_losses(random, [(16, 3), (40, 4), (16, 2), (24, 3)][: 2 + seed % 3])
    share, least = random.choice([0.1, 0.25, 0.5, 1.0]), choose_columns(losses, share=0).weight_bytes
    for weight_bytes in (math.inf, least * random.uniform(1, 1.6)):
        found = choose_columns(losses, share=share, weight_bytes=weight_bytes)
        assert found.loss == pytest.approx(exhaustive(losses, share, weight_bytes))
        assert found.weight_bytes <= weight_bytes
        assert found.columns <= share * sum(len(one.few) for one in losses.values())
        assert list(found.wide) == list(losses)
        assert [len(wide) for wide in found.wide.values()] == [len(one.few) for one in losses.values()]


@pytest.mark.parametrize("seed", range(8))
def test_the_same_share_of_each_layer_is_never_better(seed):
    random = np.random.default_rng(seed)
    losses = random_losses(random, [(16, 30), (40, 50), (16, 7), (40, 21)])
    few = choose_columns(losses, share=0)
    for share, times in itertools.product((0.05, 0.1, 0.37, 1.0), (1.0, 1.04, 1.3, math.inf)):
        budgets = {"share": share, "weight_bytes": few.weight_bytes * times}
        found, fixed = choose_columns(losses, **budgets), same_share(losses, **budgets)
        assert found.loss <= fixed.loss <= few.loss
        assert fixed.columns <= share * 108 and fixed.weight_bytes <= budgets["weight_bytes"]
    fixed = same_share(losses, share=0.3)
    assert all(wide.sum() <= 0.3 * len(wide) for wide in fixed.wide.values()) and fixed.columns > 0.2 * 108


def test_one_layer_alone_has_its_own_share():
    losses = random_losses(np.random.default_rng(0), [(16, 50)])
    found, fixed = (choose(losses, share=0.1).wide["layer 0"] for choose in (choose_columns, same_share))
    np.testing.assert_array_equal(found, fixed)
    assert found.sum() == 5


def test_losses_and_bytes_of_a_choice_are_those_of_its_columns():
    one = ColumnLosses(few=np.array([3.0, 1.0]), more=np.array([0.5, 0.25]), few_bytes=8, more_bytes=16)
    choice = ColumnChoice(losses={"a": one}, wide={"a": np.array([True, False])})
    assert (choice.loss, choice.columns, choice.weight_bytes) == (1.5, 1, 24)


def test_losses_are_near_those_of_the_model_with_the_columns_quantized(decoder, losses):
    """Of some columns of each layer: the loss of the texts is computed with that column alone replaced."""
    exact, target, random = Dequantized(), DESIGN.target, np.random.default_rng(0)

    def loss(text, compute):
        logits = decoder.logits(decoder.hidden(text, decoder.start(), compute)[:-1], compute).astype(np.float64)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -logs[np.arange(len(logits)), text[1:]].mean()

    before = [(text, loss(text, exact)) for text in TEXTS]
    estimated, real = [], []
    for name, one in losses.items():
        weight = decoder.layers[name].dequantized().astype(np.float32)
        quantized = target.weight_quantizer.quantize(weight, k_axis=0).reals()
        for n in random.choice(len(one.few), 3, replace=False):
            changed = exact.weights[name].copy()
            changed[:, n] = quantized[:, n]
            other = Dequantized(weights={**exact.weights, name: changed})
            real.append(np.mean([abs(loss(text, other) - old) for text, old in before]))
            estimated.append(one.few[n])
    assert len(real) == 3 * 14
    assert np.corrcoef(estimated, real)[0, 1] > 0.98
    np.testing.assert_allclose(estimated, real, rtol=0.3, atol=0.1 * max(real))


def test_more_bits_lose_next_to_nothing(losses):
    few, more = (sum(getattr(one, name).sum() for one in losses.values()) for name in ("few", "more"))
    assert 0 < more < few / 8
    assert {(one.few_bytes, one.more_bytes) for one in losses.values()} == {(32, 64), (48, 96)}


def test_changes_of_the_loss_are_a_series():
    gradient, error = np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([[-1.0, 0.25], [0.5, 9.0]])
    assert loss_changes(gradient, error).tolist() == [0.5 + 0.125, 0.5 + 0.125]
    assert loss_changes(gradient, -error).tolist() == [0.5 - 0.125] * 2


def test_layers_are_computed_with_the_chosen_columns(decoder, losses):
    found = choose_columns(losses, share=0.2)
    acts = activations(decoder, TEXTS)
    name, layer = "blk.1.ffn_down.weight", decoder.layers["blk.1.ffn_down.weight"]
    exact, wide = Dequantized()(layer, acts[name]), found.wide[name]
    errors = {}
    for which, columns in (("none", {name: wide & False}), ("chosen", found.wide), ("all", {name: wide | True})):
        errors[which] = np.abs(Requantized(DESIGN, acts, wide=columns)(layer, acts[name]) - exact).sum(axis=0)
    assert 0 < wide.sum() < layer.n
    np.testing.assert_array_equal(errors["chosen"], np.where(wide, errors["all"], errors["none"]))
    assert errors["all"].sum() < errors["none"].sum() / 3


def test_what_cannot_be_is_refused(decoder):
    losses = random_losses(np.random.default_rng(0), [(16, 3)])
    for choose in (choose_columns, same_share):
        with pytest.raises(ValueError, match=r"^Budget share must be from 0 to 1, not 1.5$"):
            choose(losses, share=1.5)
        with pytest.raises(ValueError, match=r"^Budget weight_bytes must be at least 24, which few bits take, not 20$"):
            choose(losses, weight_bytes=20)
    with pytest.raises(
        ValueError, match=r"^Design must have two precisions of columns of weights, which mxfp4 has not$"
    ):
        column_losses(decoder, TEXTS, load_design("mxfp4").target)
