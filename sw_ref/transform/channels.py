"""Scales of the channels of activations, which go over into the weights."""

import numpy as np

from sw_ref.transform.base import Transformed, scaled

__all__ = ["cross_quant", "kernel_share", "outlier_scale", "pre_shift", "smooth_quant"]


def smooth_quant(weight: np.ndarray, act: np.ndarray, *, alpha: float = 0.5) -> Transformed:
    """``scale[k] = max|act[:, k]|**alpha / max|weight[k]|**(1 - alpha)``.

    Source: Xiao et al., SmoothQuant, arXiv 2211.10438, equation 4.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return scaled(weight, _largest(act, 0) ** alpha / _largest(weight, 1) ** (1 - alpha))


def outlier_scale(weight: np.ndarray, act: np.ndarray) -> Transformed:
    """``scale[k] = max|act[:, k]|``: each channel of activations has the same range.

    Source: OutlierTune, arXiv 2406.18832, whose shift of the channels to symmetric ranges is left out.
    """
    return scaled(weight, _largest(act, 0))


def cross_quant(weight: np.ndarray, act: np.ndarray, *, alpha: float = 0.15) -> Transformed:
    """``scale[k] = max|act[:, k]|**(1 - alpha)``, in front of scales of rows.

    The paper's scale of an element is ``max|act[m]|**alpha * max|act[:, k]|**(1 - alpha)``. Here the row's part is what
    a quantizer of rows makes of the activations divided by the column's part.

    Source: Liu et al., CrossQuant, arXiv 2410.07505.
    """
    return scaled(weight, _largest(act, 0) ** (1 - alpha))


def pre_shift(weight: np.ndarray, act: np.ndarray) -> Transformed:
    """``scale[k] = 2**round(log2(max|act[:, k]|))``: exponents of channels go over into the weights.

    Source: Liu et al., LLM-FP4, arXiv 2310.16836, section 4.2; the joint search of clipping ranges is left out.
    """
    with np.errstate(divide="ignore"):
        return scaled(weight, np.exp2(np.rint(np.log2(_largest(act, 0)))))


def kernel_share(act: np.ndarray, quantized: np.ndarray) -> float:
    """Share of the elements other than 0 that quantization makes 0: CrossQuant's "kernel"."""
    return float(((act != 0) & (quantized == 0)).sum() / max(1, (act != 0).sum()))


def _largest(x: np.ndarray, axis: int) -> np.ndarray:
    return np.abs(x.astype(np.float64)).max(axis=axis)
