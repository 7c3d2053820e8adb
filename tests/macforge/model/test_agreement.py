"""Agreement of two ways of computing: equal ones, hand values, and several texts as one."""

import math

import numpy as np
import pytest

from macforge.model.agreement import Agreement, agreement, joined_agreement
from macforge.model.decoder import Dequantized
from macforge.model.gguf import read_gguf
from macforge.model.llama import decoder_of

TOKENS = [5, 90, 33, 260, 7, 7, 101, 0, 64, 12]


@pytest.fixture(scope="module")
def small(small_decoder):
    return decoder_of(read_gguf(small_decoder))


def test_a_way_agrees_with_itself(small):
    found = agreement(small, TOKENS, Dequantized(), Dequantized())
    assert (found.tokens, found.top1, found.kl) == (9, 1.0, 0.0)
    logits = small.logits(small.hidden(TOKENS, small.start(), Dequantized()), Dequantized()).astype(np.float64)
    powers = np.exp(logits[np.arange(9), TOKENS[1:]]) / np.exp(logits[:-1]).sum(axis=1)
    assert found.perplexity == found.reference == pytest.approx(np.exp(-np.log(powers).mean()), rel=1e-5)


def test_other_logits_agree_less(small):
    floats = Dequantized()

    def flat(layer, act):
        """Every token is as likely as any other."""
        return floats(layer, act) * (0 if layer is small.head else 1)

    found = agreement(small, TOKENS, flat, floats)
    assert found.perplexity == pytest.approx(small.shape.vocabulary)
    assert found.reference == agreement(small, TOKENS, floats, floats).perplexity
    other = agreement(small, TOKENS, floats, flat)
    # p is even: log(p / q), with q the other's probabilities
    assert found.kl > 0 and other.kl > 0 and other.kl != pytest.approx(found.kl)
    assert 0 <= found.top1 < 1


def test_texts_are_joined_token_by_token():
    one = Agreement(tokens=1, top1=1.0, perplexity=2.0, reference=1.0, kl=0.0)
    other = Agreement(tokens=3, top1=0.5, perplexity=4.0, reference=math.e, kl=0.4)
    joined = joined_agreement([one, other])
    assert (joined.tokens, joined.top1, joined.kl) == (4, 0.625, pytest.approx(0.3))
    assert joined.perplexity == pytest.approx((2 * 4**3) ** 0.25)
    assert joined.reference == pytest.approx(math.e**0.75)
