"""From a quantized product's integer sums to real numbers."""

import numpy as np

from sw_ref.groups import group_slices
from sw_ref.quantize.uniform import Quantized

__all__ = ["centred_sums", "dequantize_gemm"]


def dequantize_gemm(sums: np.ndarray, act: Quantized, weight: Quantized) -> np.ndarray:
    """The real product of two quantized operands, out of the sums of their codes' values.

    ::

        y[m, n] = sum over g of s_a * s_w * (sums[g, m, n] - z_a * sum(w) - z_w * sum(a) + K_g * z_a * z_w)

    where ``s_a, z_a`` are the scale and zero point of row m in group g, ``s_w, z_w`` those of column n, and
    ``sum(a)`` and ``sum(w)`` the values of row m and of column n summed over the ``K_g`` members of group g.
    The parenthesis is exact in int64; scaling is float64, and groups are added in order.

    Parameters
    ----------
    sums : int64 array (G, M, N)
        As :func:`sw_ref.arith.gemm.gemm` returns them for these codes, with the operands' group size.
    act : Quantized
        (M, K), ``k_axis=1``.
    weight : Quantized
        (K, N), ``k_axis=0``. Where both operands have groups, their sizes are equal; an operand without
        groups uses the same scale for every group.

    Returns
    -------
    float64 array (M, N)

    Raises
    ------
    ValueError
        If the operands do not fit each other, or ``sums`` does not have their groups and shape.
    """
    total = np.zeros(sums.shape[1:], dtype=np.float64)
    for g, centred in enumerate(centred_sums(sums, act, weight)):
        a_at, w_at = (g if act.group_size else 0), (g if weight.group_size else 0)
        # the product of two float32 numbers is exact in float64
        scale = act.scale[:, a_at, None].astype(np.float64) * weight.scale[w_at, None, :]
        total += scale * centred.astype(np.float64)
    return np.ldexp(total, act.format.fixed_form.lsb + weight.format.fixed_form.lsb)


def centred_sums(sums: np.ndarray, act: Quantized, weight: Quantized) -> np.ndarray:
    """The parenthesis of `dequantize_gemm`, for each group: int64 (G, M, N); it takes and raises the same."""
    _check_operands(act, weight)
    groups = group_slices(weight.codes.shape[0], act.group_size or weight.group_size)
    shape = (len(groups), act.codes.shape[0], weight.codes.shape[1])
    if sums.shape != shape:
        raise ValueError(f"Sums must be (G, M, N) = {shape} for these operands, not {sums.shape}")
    a, w = act.format.to_fixed(act.codes), weight.format.to_fixed(weight.codes)
    found = []
    for g, k in enumerate(groups):
        a_at, w_at = (g if act.group_size else 0), (g if weight.group_size else 0)
        z_a, z_w = act.zero_point[:, a_at, None], weight.zero_point[w_at, None, :]
        row_sum, column_sum = a[:, k].sum(axis=1, keepdims=True), w[k].sum(axis=0, keepdims=True)
        found.append(sums[g] - z_a * column_sum - z_w * row_sum + (k.stop - k.start) * z_a * z_w)
    return np.stack(found)


def _check_operands(act: Quantized, weight: Quantized) -> None:
    if act.k_axis != 1 or weight.k_axis != 0:
        raise ValueError(f"K must be axis 1 of act and axis 0 of weight, not {act.k_axis} and {weight.k_axis}")
    if act.codes.shape[1] != weight.codes.shape[0]:
        raise ValueError(f"act must be (M, K) and weight (K, N), not {act.codes.shape} and {weight.codes.shape}")
    if act.group_size and weight.group_size and act.group_size != weight.group_size:
        raise ValueError(f"Group sizes must be equal, not {act.group_size} and {weight.group_size}")
