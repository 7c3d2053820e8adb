"""The measurement reads a text with a design's arithmetic: of a small decoder here, whose file the tests make."""

import pytest

from macforge.design.design import load_design
from macforge.measure import perplexity as measured
from macforge.measure.perplexity import perplexity, reading
from macforge.model.agreement import agreement
from macforge.model.decoder import Dequantized
from macforge.model.generate import Programs
from macforge.model.llama import open_decoder
from macforge.model.transformed import Requantized, activations


@pytest.fixture
def small(small_decoder, monkeypatch):
    """In place of the model."""
    monkeypatch.setattr(measured, "_MODEL", str(small_decoder))
    for each in (measured._opened, measured._calibrated):
        each.cache_clear()
    yield open_decoder(small_decoder)
    for each in (measured._opened, measured._calibrated):
        each.cache_clear()


def test_stored_layers_stay_as_they_are(small):
    """The same as their programs give."""
    decoder, vocabulary = small
    found = perplexity(load_design("w4a8_q4_1"), tokens=6)
    programs = Programs([load_design("w4a8_q4_1")])
    text, exact = reading(vocabulary, 6)[1], Dequantized()
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
    _decoder, vocabulary = small
    with pytest.raises(ValueError, match=r"^Tokens must be from 1 to [0-9]+, not 1000000$"):
        reading(vocabulary, 10**6)
    with pytest.raises(ValueError, match=r"^Layers that are transformed must be quantized again$"):
        Requantized(load_design("w4a4_os"), {}, transform="rotate", keep_stored=True)


def test_activations_are_those_that_the_blocks_are_given(small):
    decoder, vocabulary = small
    found = activations(decoder, reading(vocabulary, 3)[1])
    assert list(found) == [layer.name for layer in decoder.linear_layers if layer is not decoder.head]
    assert all(act.shape == (4, layer.k) for act, layer in zip(found.values(), decoder.linear_layers, strict=False))
