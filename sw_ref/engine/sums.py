"""What the sums of an array are."""

from functools import partial

import numpy as np

from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum
from sw_ref.arith.gemm import float_gemm, gemm
from sw_ref.arith.rules import Rule
from sw_ref.engine.spec import Mode
from sw_ref.formats.nonfinite import zeroed

__all__ = ["model_sums"]


def model_sums(
    mode: Mode,
    accumulator: Accumulator | FloatSum,
    act: np.ndarray,
    weight: np.ndarray,
    *,
    rule: Rule,
    lowest: tuple[int, int] | None,
    step: int,
    group_size: int = 0,
) -> np.ndarray:
    """Sums (groups, M, N) of codes ``act`` (M, K) and ``weight`` (K, N) of a mode, ``step`` products at a time.

    Codes that are not finite count as 0; ``lowest`` are the exponents that `sw_ref.arith.float_sum.FloatSum.sums`
    takes.
    """
    how = {"act": mode.act, "weight": mode.weight, "group_size": group_size, "step": step}
    if isinstance(accumulator, FloatSum):
        multiply = partial(float_gemm, **how, sums=accumulator, lowest=lowest)
    else:
        multiply = partial(gemm, **how, accumulator=accumulator, rule=rule)
    return multiply(zeroed(mode.act, act), zeroed(mode.weight, weight))
