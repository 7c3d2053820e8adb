"""Where more bits are worth it: output columns of a weight, and blocks of K of an activation."""

import operator

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.groups import group_slices
from sw_ref.quantize.uniform import Quantizer, finite_matrix

__all__ = [
    "blocks_with",
    "by_magnitude",
    "loss_changes",
    "outlier_channels",
    "salient_columns",
    "salient_groups",
]


def salient_columns(
    weight: ArrayLike, quantizer: Quantizer, *, fraction: float, act: ArrayLike | None = None
) -> np.ndarray:
    """The output columns that quantization harms most.

    A column n is harmed by ``sum over k of mean(act[:, k]**2) * (weight - dequantized)[k, n]**2``, the mean squared
    error of its output if the channels of act are uncorrelated. MixLLM (arXiv 2412.14590) gives the columns with the
    greatest loss 8 bits and all others 4, but by `loss_changes`, over all layers of a model.

    Parameters
    ----------
    weight : real array (K, N)
    quantizer : Quantizer
        That of the columns that get few bits.
    fraction : float
        How many of the columns to mark, from 0 to 1: ``round(fraction * N)``; of equals the first.
    act : real array (M, K)
        Activations to calibrate with; if None, all channels count alike.

    Returns
    -------
    bool array (N,)
    """
    return _most(_harm(weight, quantizer, act).sum(axis=0), fraction)


def salient_groups(
    weight: ArrayLike, quantizer: Quantizer, *, fraction: float, act: ArrayLike | None = None
) -> np.ndarray:
    """The groups of K that quantization harms most, as `salient_columns` measures it: bool (G,).

    SliM-LLM (arXiv 2405.14917) gives groups of 128 more bits or fewer by their salience, which it takes from second
    derivatives; this is the error of the outputs instead.

    Parameters
    ----------
    weight : real array (K, N)
    quantizer : Quantizer
        That of the groups that get few bits, with their group size.
    fraction, act
        As for `salient_columns`.
    """
    harm = _harm(weight, quantizer, act).sum(axis=1)
    starts = [group.start for group in group_slices(len(harm), quantizer.group_size)]
    return _most(np.add.reduceat(harm, starts), fraction)


def loss_changes(gradient: ArrayLike, error: ArrayLike) -> np.ndarray:
    """What a model's loss of one text changes by if a single output column of a layer has errors, estimated.

    ``abs(d + d**2 / 2)``, where ``d[n] = sum over m of gradient[m, n] * error[m, n]``: the series of the loss to the
    second order, with the gradient's product with itself in place of the second derivatives. As ``error`` is
    ``act @ delta``, d is the product of the gradient by a column's weights with the change of these weights.

    Source: Zheng et al., MixLLM, arXiv 2412.14590, whose code takes the same; the average over texts is the caller's.

    Parameters
    ----------
    gradient : real array (M, N)
        Of the loss by the results of the layer.
    error : real array (M, N)
        What the results change by.

    Returns
    -------
    float64 array (N,)
    """
    gradient, error = finite_matrix(gradient, "gradient"), finite_matrix(error, "error")
    change = np.einsum("mn,mn->n", gradient, error, dtype=np.float64)
    return np.abs(change + change**2 / 2)


def _harm(weight: ArrayLike, quantizer: Quantizer, act: ArrayLike | None) -> np.ndarray:
    """What the error of each weight (K, N) adds to the mean squared error of its output."""
    weight = finite_matrix(weight, "weight")
    moments = np.ones(len(weight))
    if act is not None:
        act = finite_matrix(act, "act")
        if act.shape[1] != len(weight):
            raise ValueError(f"Act must have the {len(weight)} channels of the weight, not {act.shape[1]}")
        moments = np.mean(act.astype(np.float64) ** 2, axis=0)
    return moments[:, None] * (weight - quantizer.quantize(weight, k_axis=0).reals()) ** 2


def _most(harm: np.ndarray, fraction: float) -> np.ndarray:
    """The ``round(fraction * len(harm))`` places that are harmed most; of equals the first."""
    if not 0 <= fraction <= 1:
        raise ValueError(f"Fraction must be from 0 to 1, not {fraction}")
    salient = np.zeros(len(harm), dtype=bool)
    salient[np.argsort(-harm, kind="stable")[: round(fraction * len(salient))]] = True
    return salient


def outlier_channels(act: ArrayLike, *, ratio: float) -> np.ndarray:
    """Channels of ``act`` (M, K) whose largest magnitude is above ``ratio`` times the median of all: bool (K,)."""
    largest = _largest(act)
    return largest > ratio * np.median(largest)


def by_magnitude(act: ArrayLike) -> np.ndarray:
    """The channels of ``act`` (M, K) by falling largest magnitude, of equals the first: int64 (K,).

    A permutation p that gathers outliers in few blocks: ``act[:, p] @ weight[p]`` is the product it was (COMET,
    arXiv 2410.12168).
    """
    return np.argsort(-_largest(act), kind="stable")


def blocks_with(channels: ArrayLike, *, block: int = 128) -> np.ndarray:
    """Which blocks of K hold one of the marked ``channels`` (K,), and so need more bits: bool (blocks,).

    Blocks are ``block`` neighbours, the last one may be fewer.
    """
    channels = np.asarray(channels)
    if channels.dtype != bool or channels.ndim != 1:
        raise ValueError(f"Channels must be a vector of bools, not {channels.dtype} of shape {channels.shape}")
    if operator.index(block) < 1:
        raise ValueError(f"Block must be at least 1, not {block}")
    return np.logical_or.reduceat(channels, [group.start for group in group_slices(len(channels), block)])


def _largest(act: ArrayLike) -> np.ndarray:
    return np.abs(finite_matrix(act, "act")).max(axis=0)
