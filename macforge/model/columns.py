"""Which columns of which weights get more bits: those of all layers that save most of a model's loss."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from macforge.compile.weights import check_two_precisions
from macforge.design.target import Target
from macforge.model.decoder import Decoder, Dequantized
from macforge.model.gradients import gradients
from sw_ref.quantize.salience import loss_changes

__all__ = ["ColumnChoice", "ColumnLosses", "choose_columns", "column_losses", "of_layer", "same_share"]

# So that a share of some columns is as many as it says, whatever its last bit.
_TINY = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True)
class ColumnLosses:
    """What each column of a layer loses, with few bits and with more, while nothing else does.

    Parameters
    ----------
    few, more : float64 array (N,)
        Losses.
    few_bytes, more_bytes : float
        Of the codes of one column.
    """

    few: np.ndarray
    more: np.ndarray
    few_bytes: float
    more_bytes: float

    @property
    def saved(self) -> np.ndarray:
        """What more bits save (N,)."""
        return self.few - self.more

    @property
    def extra_bytes(self) -> float:
        """What more bits take of one column."""
        return self.more_bytes - self.few_bytes

    def best(self, count: int) -> np.ndarray:
        """The columns that save most, at most so many, and only those that save: bool (N,). Of equals the first."""
        order = np.argsort(-self.saved, kind="stable")[:count]
        wide = np.zeros(len(self.few), dtype=bool)
        wide[order[self.saved[order] > 0]] = True
        return wide


@dataclass(frozen=True, eq=False, kw_only=True)
class ColumnChoice:
    """The columns of each layer that get more bits.

    Parameters
    ----------
    losses : mapping of str to ColumnLosses
        By the names of layers.
    wide : mapping of str to bool array (N,)
    """

    losses: Mapping[str, ColumnLosses]
    wide: Mapping[str, np.ndarray]

    @property
    def loss(self) -> float:
        """Of all columns."""
        return float(sum(np.where(self.wide[name], one.more, one.few).sum() for name, one in self.losses.items()))

    @property
    def columns(self) -> int:
        """How many get more bits."""
        return sum(int(wide.sum()) for wide in self.wide.values())

    @property
    def weight_bytes(self) -> float:
        """Of the codes of all columns."""
        return sum(
            len(one.few) * one.few_bytes + float(self.wide[name].sum()) * one.extra_bytes
            for name, one in self.losses.items()
        )


# products of groups are small, and threads that wait for each other take longer
@threadpool_limits.wrap(limits=1)
def column_losses(decoder: Decoder, texts: Sequence[Sequence[int]], target: Target) -> dict[str, ColumnLosses]:
    """What the columns of all layers but the head lose of a decoder's loss, mean over texts, in nats a token.

    Each by `sw_ref.quantize.salience.loss_changes`, with the activations and the gradients of the dequantized file in
    floats, and a column's weights as the design's quantizers of few and of more bits have them.

    Parameters
    ----------
    decoder : Decoder
    texts : sequence of sequence of int
        Tokens, two of each at least.
    target : Target
        Of a design with two precisions of columns of weights, such as ``mixllm_w4_8a8``.

    Raises
    ------
    ValueError
        If the design has no two precisions of columns, or a text is too short.
    """
    check_two_precisions(target)
    exact = Dequantized()
    read = []
    for text in texts:
        traced = gradients(decoder, text, exact)
        read.append({name: (one.act, one.gradient.astype(np.float32)) for name, one in traced.items()})

    def losses(name: str, delta: np.ndarray) -> np.ndarray:
        given = (one[name] for one in read)
        return np.mean([loss_changes(gradient, act @ delta) for act, gradient in given], axis=0)

    return {
        layer.name: of_layer(target, exact.weights[layer.name], partial(losses, layer.name))
        for layer in decoder.linear_layers[:-1]
    }


def of_layer(target: Target, weight: np.ndarray, losses: Callable[[np.ndarray], np.ndarray]) -> ColumnLosses:
    """What the columns of a weight (K, N) lose by a design's quantizers of few and of more bits.

    Parameters
    ----------
    target : Target
    weight : float32 array (K, N)
    losses : callable
        Gives the loss of each column (N,) for what the weight changes by (K, N).
    """
    quantizers = target.weight_quantizer, target.wide_quantizer("weight")
    few, more = (losses(quantizer.quantize(weight, k_axis=0).reals() - weight) for quantizer in quantizers)
    few_bytes, more_bytes = (len(weight) * quantizer.format.bits / 8 for quantizer in quantizers)
    return ColumnLosses(few=few, more=more, few_bytes=few_bytes, more_bytes=more_bytes)


def choose_columns(
    losses: Mapping[str, ColumnLosses], *, share: float = 1.0, weight_bytes: float = math.inf
) -> ColumnChoice:
    """The columns of all layers that more bits save most of, within a share of them and bytes of codes: the optimum.

    Columns whose more bits take as many bytes are alike but for what they save, so that the best choice takes the first
    of them by that, and how many of each kind is tried out. A decoder has two kinds: K is its width, or that of its
    feed-forward layers. Without bytes it is the sorted list that MixLLM cuts off.

    Source: Zheng et al., MixLLM, arXiv 2412.14590.

    Parameters
    ----------
    losses : mapping of str to ColumnLosses
        By the names of layers.
    share : float
        The most columns, of all that there are.
    weight_bytes : float
        The most bytes of the codes of all columns.

    Raises
    ------
    ValueError
        If the share is not from 0 to 1, or few bits take more than the bytes.
    """
    most, left = _limits(losses, share, weight_bytes)
    kinds: dict[float, list[str]] = {}
    for name, one in losses.items():
        kinds.setdefault(one.extra_bytes, []).append(name)
    saved = [np.concatenate([losses[name].saved for name in names]) for names in kinds.values()]
    orders = [np.argsort(-each, kind="stable")[: int((each > 0).sum())] for each in saved]
    sums = [np.concatenate([[0.0], np.cumsum(each[order])]) for each, order in zip(saved, orders, strict=True)]
    _total, counts = _most_saved(list(zip(kinds, sums, strict=True)), most, left)
    wide = {}
    for names, each, order, count in zip(kinds.values(), saved, orders, counts, strict=True):
        taken = np.zeros(len(each), dtype=bool)
        taken[order[:count]] = True
        ends = np.cumsum([len(losses[name].few) for name in names])
        wide |= dict(zip(names, np.split(taken, ends[:-1]), strict=True))
    return ColumnChoice(losses=losses, wide={name: wide[name] for name in losses})


def same_share(
    losses: Mapping[str, ColumnLosses], *, share: float = 1.0, weight_bytes: float = math.inf
) -> ColumnChoice:
    """The same share of the columns of each layer, those that save most of it: as many as fit the same budgets.

    Parameters, errors
    ------------------
        As `choose_columns`.
    """
    _limits(losses, share, weight_bytes)

    def chosen(part: float) -> ColumnChoice:
        wide = {name: one.best(int(part * len(one.few) + _TINY)) for name, one in losses.items()}
        return ColumnChoice(losses=losses, wide=wide)

    found = chosen(share)
    if found.weight_bytes <= weight_bytes:
        return found
    low, high = 0.0, share
    # two neighbouring shares differ by more than this
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if chosen(middle).weight_bytes <= weight_bytes else (low, middle)
    return chosen(low)


def _limits(losses: Mapping[str, ColumnLosses], share: float, weight_bytes: float) -> tuple[int, float]:
    """How many columns may get more bits, and what these may take."""
    if not 0 <= share <= 1:
        raise ValueError(f"Budget share must be from 0 to 1, not {share}")
    least = sum(len(one.few) * one.few_bytes for one in losses.values())
    if weight_bytes < least:
        raise ValueError(
            f"Budget weight_bytes must be at least {least:,.0f}, which few bits take, not {weight_bytes:,.0f}"
        )
    return int(share * sum(len(one.few) for one in losses.values()) + _TINY), weight_bytes - least


def _most_saved(kinds: Sequence[tuple[float, np.ndarray]], most: int, left: float) -> tuple[float, tuple[int, ...]]:
    """What is saved, and how many columns of each kind: bytes of one, and what the first so many of them save."""
    (size, sums), *others = kinds
    top = min(len(sums) - 1, most)
    if size > 0 and left < math.inf:
        top = min(top, int(left / size))
    if not others:
        return float(sums[top]), (top,)
    found = []
    for count in range(top + 1):
        saved, counts = _most_saved(others, most - count, left - count * size)
        found.append((saved + float(sums[count]), (count, *counts)))
    return max(found, key=lambda each: each[0])
