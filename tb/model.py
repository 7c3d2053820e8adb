"""What the model says of the sums of an array."""

from functools import partial

import numpy as np

from pe.base import PE
from sw_ref.accumulate import Accumulator
from sw_ref.float_sum import FloatSum
from sw_ref.gemm import float_gemm, gemm
from sw_ref.nonfinite import zeroed

__all__ = ["model_sums"]


def model_sums(
    pe: PE,
    accumulator: Accumulator | FloatSum,
    act: np.ndarray,
    weight: np.ndarray,
    *,
    mode: int,
    step: int,
    group_size: int = 0,
) -> np.ndarray:
    """Sums (groups, M, N) of codes ``act`` (M, K) and ``weight`` (K, N) of a mode, ``step`` products at a time.

    Codes that are not finite count as 0.
    """
    forms = pe.modes[mode]
    how = {"act": forms.act, "weight": forms.weight, "group_size": group_size, "step": step}
    if isinstance(accumulator, FloatSum):
        multiply = partial(float_gemm, **how, sums=accumulator, lowest=pe.lowest)
    else:
        multiply = partial(gemm, **how, accumulator=accumulator, rule=pe.rule)
    return multiply(zeroed(forms.act, act), zeroed(forms.weight, weight))
