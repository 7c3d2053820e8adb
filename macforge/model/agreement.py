"""How near one way of computing a decoder's linear layers comes to another, over a text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from macforge.model.decoder import Compute, Decoder

__all__ = ["Agreement", "agreement", "joined_agreement"]

# States whose logits are computed at a time: a vocabulary is wide.
_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Of the tokens of a text, each with all tokens before it given.

    Parameters
    ----------
    tokens : int
        That were predicted.
    top1 : float
        Share of them for which both ways have the largest logit at the same token.
    perplexity, reference : float
        ``exp(mean(-log p))`` of the text's own tokens, of one way and of the other.
    kl : float
        ``mean(sum(p * log(p / q)))`` in nats, where p are the other way's probabilities and q this one's.
    """

    tokens: int
    top1: float
    perplexity: float
    reference: float
    kl: float


# products of groups are small, and threads that wait for each other take longer
@threadpool_limits.wrap(limits=1)
def agreement(decoder: Decoder, tokens: Sequence[int], compute: Compute, reference: Compute) -> Agreement:
    """How near ``compute`` comes to ``reference`` over the tokens of a text, all of which are computed at once."""
    own, other = (decoder.hidden(tokens, decoder.start(), each)[:-1] for each in (compute, reference))
    wanted, found = np.asarray(tokens[1:]), []
    for start in range(0, len(wanted), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        logits = decoder.logits(own[rows], compute), decoder.logits(other[rows], reference)
        found.append(_compared(*logits, wanted[rows]))
    same, own, other, kl = (np.concatenate(each) for each in zip(*found, strict=True))
    return Agreement(
        tokens=len(wanted),
        top1=float(same.mean()),
        perplexity=float(np.exp(own.mean())),
        reference=float(np.exp(other.mean())),
        kl=float(kl.mean()),
    )


def joined_agreement(several: Sequence[Agreement]) -> Agreement:
    """That of several texts, each token as one."""
    total = sum(each.tokens for each in several)

    def mean(values: Iterator[float]) -> float:
        return sum(each.tokens * value for each, value in zip(several, values, strict=True)) / total

    return Agreement(
        tokens=total,
        top1=mean(each.top1 for each in several),
        perplexity=float(np.exp(mean(float(np.log(each.perplexity)) for each in several))),
        reference=float(np.exp(mean(float(np.log(each.reference)) for each in several))),
        kl=mean(each.kl for each in several),
    )


def _compared(logits: np.ndarray, reference: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of each token: whether the largest logits agree, both losses, and the KL divergence."""
    own, other = _log_probabilities(logits), _log_probabilities(reference)
    at = np.arange(len(wanted))
    kl = (np.exp(other) * (other - own)).sum(axis=1)
    return logits.argmax(axis=1) == reference.argmax(axis=1), -own[at, wanted], -other[at, wanted], kl


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
