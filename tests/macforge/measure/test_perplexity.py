"""The measurement reads a text with a design's arithmetic: of a small decoder here, whose file the tests make."""

import numpy as np
import pytest

from macforge.design.design import load_design
from macforge.measure import perplexity as measured
from macforge.measure.columns import decoder_losses
from macforge.measure.perplexity import opened, perplexity, reading
from macforge.model.agreement import agreement
from macforge.model.columns import choose_columns
from macforge.model.decoder import Dequantized
from macforge.model.generate import Programs
from macforge.model.llama import open_decoder
from macforge.model.transformed import Requantized, activations


@pytest.fixture
def small(small_decoder, monkeypatch):
    """In place of the model."""
    monkeypatch.setattr(measured, "_MODEL", str(small_decoder))
    for each in (measured.opened, measured._calibrated):
        each.cache_clear()
    yield open_decoder(small_decoder)
    for each in (measured.opened, measured._calibrated):
        each.cache_clear()


def test_stored_layers_stay_as_they_are(small):
    """The same as their programs give."""
    decoder, _vocabulary = small
    found = perplexity(load_design("w4a8_q4_1"), tokens=6)
    programs = Programs([load_design("w4a8_q4_1")])
    text, exact = reading(6)[1], Dequantized()
    wanted = agreement(
        decoder, text, lambda layer, act: exact(layer, act) if layer is decoder.head else programs(layer, act), exact
    )
    assert found.ratio == wanted.perplexity / wanted.reference
    assert (found.top1, found.kl) == (wanted.top1, wanted.kl)
    assert (found.tokens, found.requantized) == (6, 0)


def test_other_layers_are_quantized_again_and_counted(small):
    decoder, _vocabulary = small
    layers = len(decoder.linear_layers) - 1
    plain, coarse = (perplexity(load_design(name), tokens=6) for name in ("mixpe_w4a8", "w4a4_os"))
    rotated = perplexity(load_design("w4a4_os"), tokens=6, transform="rotate")
    assert plain.requantized == rotated.requantized == layers
    assert 0 < plain.kl < coarse.kl
    assert rotated.kl != coarse.kl


def test_texts_that_are_too_short_are_refused(small):
    with pytest.raises(ValueError, match=r"^Tokens must be from 1 to [0-9]+, not 1000000$"):
        reading(10**6)
    with pytest.raises(ValueError, match=r"^Layers that are transformed must be quantized again$"):
        Requantized(load_design("w4a4_os"), {}, transform="rotate", keep_stored=True)


def test_calibration_is_longer_than_the_largest_layer_is_deep():
    """And has nothing of what is read."""
    calibration, read = reading(256)
    assert [len(text) for text in calibration] == [256] * 8
    assert sum(map(len, calibration)) > max(layer.k for layer in opened()[0].linear_layers)
    assert read[:256] not in calibration and len(read) == 257


def test_layers_that_may_stay_can_be_quantized_again(small):
    kept, again = (perplexity(load_design("w4a8_q4_1"), tokens=6, keep_stored=keep) for keep in (None, False))
    assert (kept.requantized, again.requantized) == (0, len(small[0].linear_layers) - 1)


def test_columns_that_get_more_bits_lose_less(small):
    design = load_design("mixllm_w4_8a8", ["tiling.group_size=32"])
    losses = decoder_losses(design, texts=2)
    found = [
        perplexity(design, tokens=6, wide=choose_columns(losses, share=share).wide, keep_stored=False).kl
        for share in (0.0, 0.5, 1.0)
    ]
    assert found[0] > found[1] > found[2]


def test_activations_are_those_that_the_blocks_are_given(small):
    decoder, _vocabulary = small
    texts = [reading(3)[1], [5, 7, 9]]
    found = activations(decoder, texts)
    assert list(found) == [layer.name for layer in decoder.linear_layers if layer is not decoder.head]
    assert all(act.shape == (7, layer.k) for act, layer in zip(found.values(), decoder.linear_layers, strict=False))
    alone = [activations(decoder, [text]) for text in texts]
    for name, act in found.items():
        np.testing.assert_array_equal(act, np.concatenate([one[name] for one in alone]))
