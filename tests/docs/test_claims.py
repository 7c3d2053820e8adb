"""The page of claims says what is measured of each."""

from functools import partial
from statistics import fmean

import numpy as np
import pytest

from docs.figures import claims
from docs.figures.claims import BEGIN, CLAIMS, END, PATH, Measured, Way, measure, section, verdict
from docs.figures.kernels import MODELS, Kernel, Operands, kernel_of, kernels
from macforge.design.design import load_design
from macforge.measure import perplexity as perplexities
from macforge.measure.accuracy import accuracy
from macforge.measure.columns import decoder_losses, encoder_losses
from macforge.measure.perplexity import perplexity
from macforge.model.columns import choose_columns
from macforge.run.transformed import find_transform
from tests.macforge.model.decoder_files import write_decoder


@pytest.fixture(scope="module")
def small_decoder(tmp_path_factory):
    return write_decoder(tmp_path_factory.mktemp("decoder") / "small.gguf")


@pytest.fixture
def small_models(small_decoder, monkeypatch):
    """A small decoder, of which few tokens are read, in place of the real one; and one sentence for the encoder."""
    monkeypatch.setattr(claims, "accuracy", partial(accuracy, sentences=1))
    monkeypatch.setattr(claims, "encoder_losses", partial(encoder_losses, sentences=1))
    monkeypatch.setattr(perplexities, "_MODEL", str(small_decoder))
    monkeypatch.setattr(claims, "_TOKENS", 6)
    for each in (perplexities.opened, perplexities._calibrated):
        each.cache_clear()
    yield
    for each in (perplexities.opened, perplexities._calibrated):
        each.cache_clear()


def one(sqnr_db, ratio):
    return Measured(sqnr_db=sqnr_db, ratio=ratio)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (one(20, 1.1), one(19, 1.2), "yes"),
        (one(20, 1.3), one(19, 1.2), "on MiniLM alone"),
        (one(18, 1.1), one(19, 1.2), "on SmolLM2 alone"),
        (one(19, 1.2), one(19, 1.2), "no"),
    ],
)
def test_verdicts_follow_from_figures(first, second, said):
    assert verdict(CLAIMS[0], first, second) == said


def test_next_to_no_loss_has_a_bound():
    little = next(claim for claim in CLAIMS if claim.little)
    assert verdict(little, one(18.6, 1.1), one(19, 1.1)) == "yes"
    assert verdict(little, one(18.4, 1.2), one(19, 1.1)) == "no"


def test_page_has_a_row_for_each_way_of_each_claim():
    assert len(CLAIMS) >= 15
    ways = {way for claim in CLAIMS for way in (claim.first, claim.second)}
    for way in ways:
        find_transform(way.transform, load_design(way.design, way.settings).target)
    of_kernels = [
        Kernel(model=model, bits=8, rows=0.25, cross=cross) for model, cross in zip("ab", (0.125, 0.5), strict=True)
    ]
    text = section({way: one(1.0, 2.0) for way in ways}, of_kernels, "abc")
    assert text.count("1.0 | 2.000") == 2 * len(CLAIMS)
    assert "| a | int8 | 25.00 | 12.50 | yes |" in text and "| b | int8 | 25.00 | 50.00 | no |" in text
    assert "calibrated with 2,048 tokens of other parts of it, in 8 texts" in text


def test_the_page_has_every_claim():
    written = PATH.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert [claim.says for claim in CLAIMS if claim.says not in written] == []


def test_a_way_is_measured_as_perplexity_and_accuracy_are(small_models):
    found, design = measure(Way(design="w4a8_q4_1")), load_design("w4a8_q4_1")
    assert found.sqnr_db == fmean(accuracy(design, sentences=1).sqnr_db.values())
    # what the design would take as it is stored is quantized again, as for all others
    again = perplexity(design, tokens=6, keep_stored=False)
    assert found.ratio == again.ratio and again.requantized > 0


def test_columns_are_chosen_over_all_layers(small_models):
    settings = ("tiling.group_size=32", "quantizer.weight.clip_search=0")
    few, some = (measure(Way(design="mixllm_w4_8a8", settings=settings, share=share)) for share in (1e-6, 0.5))
    assert few.sqnr_db < some.sqnr_db
    design = load_design("mixllm_w4_8a8", settings)
    wide = choose_columns(decoder_losses(design), share=0.5).wide
    assert some.ratio == perplexity(design, tokens=6, keep_stored=False, wide=wide).ratio != few.ratio
    assert Way(design="mixllm_w4_8a8", share=0.1).name == "`mixllm_w4_8a8`, 10% of all columns"


def test_kernel_is_what_becomes_0():
    """By hand: scales of rows are 7 and 70 over the range of int4; with columns of one size all of them are alike."""
    act = np.array([[7, 0.4, 0, 1], [70, 4, 40, 10]], np.float32)
    one = Operands(weight=np.ones((4, 2), np.float32), calibration=act, act=act)
    found = kernel_of("a", 4, [one, one])
    # 0.4 / 1 and 4 / 10, of 7 that are not 0
    assert found.rows == pytest.approx(2 / 7)
    assert found.cross == 0


def test_kernels_are_of_both_models(small_models):
    found = kernels(6)
    assert [(one.model, one.bits) for one in found] == [(model, bits) for model in MODELS for bits in (8, 4)]
    assert all(wide.rows < narrow.rows and wide.cross < narrow.cross for wide, narrow in (found[:2], found[2:]))
    assert all(0 < one.rows < 1 for one in found)
