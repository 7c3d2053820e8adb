"""What quantization loses of a weight, as a product of two narrow matrices."""

import numpy as np

from sw_ref.transform.base import Reals, Transformed

__all__ = ["low_rank"]


def low_rank(weight: np.ndarray, act: np.ndarray, *, reals: Reals, rank: int = 8) -> Transformed:
    """The weight, and beside it the best approximation of rank ``rank`` of its quantization error.

    ``E = weight - reals(weight) = U S V.T``; the side is ``U_r sqrt(S_r)`` and ``sqrt(S_r) V_r.T``, in float32.

    Parameters
    ----------
    weight : array (K, N)
    act : array (M, K)
        Not used.
    reals : callable
        What the weight's quantizer makes of it.
    rank : int

    Source: Yao et al., ZeroQuant-V2 (LoRC), arXiv 2303.08302, section 5; with FP4 and FP8: ZeroQuant-FP, arXiv
    2307.09782.
    """
    left, values, right = np.linalg.svd(weight.astype(np.float64) - reals(weight), full_matrices=False)
    root = np.sqrt(values[:rank])
    side = (left[:, :rank] * root).astype(np.float32), (root[:, np.newaxis] * right[:rank]).astype(np.float32)
    return Transformed(weights=(weight,), side=side)
