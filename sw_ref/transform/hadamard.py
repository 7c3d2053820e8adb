"""Rotations by Hadamard matrices, which spread outliers over many channels."""

import numpy as np

from sw_ref.transform.base import Transformed

__all__ = ["hadamard_matrix", "rotate"]

_SEED = 1


def hadamard_matrix(size: int) -> np.ndarray:
    """Sylvester's matrix of -1 and 1: ``H @ H.T == size * I``.

    Raises
    ------
    ValueError
        If the size is no power of two.
    """
    if size < 1 or size & (size - 1):
        raise ValueError(f"Hadamard size must be a power of two, not {size}")
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def rotate(weight: np.ndarray, act: np.ndarray, *, block: int = 0) -> Transformed:
    """``act @ R.T`` and ``R @ weight``, where R has blocks ``H diag(signs) / sqrt(block)`` along its diagonal.

    Parameters
    ----------
    weight : array (K, N)
    act : array (M, K)
        Only its width counts.
    block : int
        A power of two that divides K; 0 for the largest.

    Source: Ashkboos et al., QuaRot, arXiv 2404.00456; in blocks: Egiazarian et al., MR-GPTQ, arXiv 2509.23202.

    Raises
    ------
    ValueError
        If there is no such block in K.
    """
    k = act.shape[1]
    size = block or k & -k
    if k % size:
        raise ValueError(f"Rotation block must divide K, which is {k}, not be {size}")
    signs = np.random.default_rng(_SEED).choice([-1.0, 1.0], size=k).reshape(-1, 1, size)
    rotation = (hadamard_matrix(size) * signs / np.sqrt(size)).astype(np.float32)

    def turned(rows: np.ndarray) -> np.ndarray:
        """Each row of a matrix (M, K), rotated."""
        blocks = rows.reshape(len(rows), -1, size).transpose(1, 2, 0)
        return np.ascontiguousarray((rotation @ blocks).transpose(2, 0, 1).reshape(len(rows), k))

    return Transformed(weights=(np.ascontiguousarray(turned(weight.T).T),), before=turned)
