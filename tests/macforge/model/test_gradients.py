"""Gradients are what the loss changes by, layer by layer."""

import numpy as np
import pytest

from macforge.model.decoder import Dequantized, attend, gated, rms_norm
from macforge.model.gradients import attend_back, gated_back, gradients, rms_norm_back
from macforge.model.llama import open_decoder

TOKENS = [5, 17, 40, 99, 17, 3]


@pytest.fixture(scope="module")
def decoder(small_decoder):
    return open_decoder(small_decoder)[0]


def loss(decoder, compute):
    """Mean of -log p of the tokens behind the first."""
    logits = decoder.logits(decoder.hidden(TOKENS, decoder.start(), compute)[:-1], compute).astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(logits)), TOKENS[1:]].mean()


def test_loss_changes_by_the_gradients(decoder):
    """Along a random direction of each layer's results, and along the gradient itself; by central differences."""
    exact, random = Dequantized(), np.random.default_rng(0)
    found = gradients(decoder, TOKENS, exact)
    assert sorted(found) == sorted(layer.name for layer in decoder.linear_layers if layer is not decoder.head)
    for name, traced in found.items():
        for direction in (random.standard_normal(traced.result.shape), traced.gradient):
            step = 3e-3 * direction * np.linalg.norm(traced.result) / np.linalg.norm(direction)

            def moved(sign, name=name, step=step):
                return loss(decoder, lambda layer, act: exact(layer, act) + (sign * step if layer.name == name else 0))

            wanted = (moved(1) - moved(-1)) / 2
            scale = float(np.linalg.norm(traced.gradient) * np.linalg.norm(step))
            assert wanted == pytest.approx(float((traced.gradient * step).sum()), abs=2e-3 * scale), name
    assert all(np.linalg.norm(traced.gradient) > 0 for traced in found.values())


def test_what_was_read_is_kept(decoder):
    exact, acts = Dequantized(), {}

    def compute(layer, act):
        acts[layer.name] = act
        return exact(layer, act)

    decoder.hidden(TOKENS, decoder.start(), compute)
    for name, traced in gradients(decoder, TOKENS, Dequantized()).items():
        np.testing.assert_array_equal(traced.act, acts[name])
        np.testing.assert_array_equal(traced.result, exact(decoder.layers[name], acts[name]))


def numeric(function, x, change, step=1e-3):
    """The gradient by x of the sum of change * function(x), element by element."""
    found = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        moved = np.zeros(x.shape)
        moved[at] = step
        found[at] = ((function(x + moved).astype(np.float64) - function(x - moved)) * change).sum() / (2 * step)
    return found


def test_functions_between_layers_go_back():
    random = np.random.default_rng(1)
    x, weight, change = random.standard_normal((3, 8)), random.standard_normal(8), random.standard_normal((3, 8))
    wanted = numeric(lambda x: rms_norm(x, weight, epsilon=0.1), x, change)
    np.testing.assert_allclose(rms_norm_back(x, weight, change, epsilon=0.1), wanted, atol=2e-3)
    up = random.standard_normal((3, 8))
    gates = gated_back(x, up, change)
    np.testing.assert_allclose(gates[0], numeric(lambda x: gated(x, up), x, change), atol=2e-3)
    np.testing.assert_allclose(gates[1], numeric(lambda up: gated(x, up), up, change), atol=2e-3)


def test_attention_goes_back_to_all_three():
    """With several heads of queries for one of keys; nothing comes from what is later."""
    random = np.random.default_rng(2)
    query, key, value = (random.standard_normal(shape) for shape in ((4, 4, 2), (4, 2, 2), (4, 2, 2)))
    change = random.standard_normal((4, 8))
    found = attend_back(query, key, value, change)
    wanted = (
        numeric(lambda x: attend(x, key, value), query, change),
        numeric(lambda x: attend(query, x, value), key, change),
        numeric(lambda x: attend(query, key, x), value, change),
    )
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)


def test_a_loss_takes_two_tokens(decoder):
    with pytest.raises(ValueError, match=r"^Tokens must be at least two for a loss, not 1$"):
        gradients(decoder, [5], Dequantized())
