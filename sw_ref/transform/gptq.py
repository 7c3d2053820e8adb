"""Weights that make up for each other's rounding."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sw_ref.quantize.stored import Factors, Stored
from sw_ref.quantize.uniform import Quantized, Quantizer
from sw_ref.transform.base import Transformed

__all__ = ["gptq"]

# Of the mean of the Hessian's diagonal, which is added to it.
_DAMPING = 0.01


def gptq(
    weight: np.ndarray,
    act: np.ndarray,
    *,
    quantizer: Quantizer,
    rounded: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Transformed:
    """Codes of the weight, row by row of K: what a row loses is taken off the rows behind it.

    With ``U`` the upper Cholesky factor of the inverse of ``H = act.T @ act``, damped::

        error = (weight[k] - q(weight[k])) / U[k, k];  weight[k + 1 :] -= U[k, k + 1 :] * error

    Scales are those that the quantizer gives the rows of a group as they are when their turn comes.

    Parameters
    ----------
    weight : array (K, N)
    act : array (M, K)
        Activations of the kind that will come.
    quantizer : Quantizer
        Of the weight, whose scales are those of columns, or of groups of them.
    rounded : callable, optional
        What becomes of scales where they have a format of their own.

    Source: Frantar et al., GPTQ, arXiv 2210.17323, algorithm 1, with K in its own order.

    Raises
    ------
    ValueError
        If all columns share a scale.
    """
    if quantizer.granularity == "tensor":
        raise ValueError("GPTQ must have scales of columns, or of groups of them, not one of the tensor")
    rest, depth = weight.astype(np.float64), len(weight)
    upper = _inverse_factor(act)
    size = quantizer.group_size or depth
    groups = []
    for start in range(0, depth, size):
        scales = quantizer.quantize(rest[start : start + size], k_axis=0, what="weight")
        if rounded:
            scales = replace(scales, scale=rounded(scales.scale).astype(np.float32))
        rows = []
        for k in range(start, min(start + size, depth)):
            row = quantizer.quantize_rows(rest[k : k + 1], scales)
            error = (rest[k] - row.reals()[0]) / upper[k, k]
            rest[k + 1 :] -= np.outer(upper[k, k + 1 :], error)
            rows.append(row.codes)
        groups.append((np.concatenate(rows), scales))
    return Transformed(weights=(_stored(groups, quantizer),))


def _inverse_factor(act: np.ndarray) -> np.ndarray:
    """The upper Cholesky factor of the inverse of the damped Hessian."""
    x = act.astype(np.float64)
    hessian = x.T @ x
    diagonal = np.einsum("kk->k", hessian)
    # what never comes is not made up for
    diagonal[diagonal == 0] = 1
    diagonal += _DAMPING * diagonal.mean()
    return np.linalg.cholesky(np.linalg.inv(hessian)).T


def _stored(groups: list[tuple[np.ndarray, Quantized]], quantizer: Quantizer) -> Stored:
    factors = Factors.of(
        np.concatenate([scales.scale for _codes, scales in groups]),
        zero_point=np.concatenate([scales.zero_point for _codes, scales in groups]),
    )
    codes = np.concatenate([codes for codes, _scales in groups])
    return Stored(codes=codes, format=quantizer.format, factors=factors, group_size=quantizer.group_size)
