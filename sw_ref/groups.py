"""Groups along K: the runs of ``group_size`` operands that share a scale and a sum."""

import operator

import numpy as np

__all__ = ["group_of", "group_slices"]


def group_slices(depth: int, group_size: int) -> tuple[slice, ...]:
    """The groups of K = ``depth``, in order; the last one may be shorter.

    Parameters
    ----------
    depth : int
        K, at least 1.
    group_size : int
        Operands in a group; 0 for one group over all of K.
    """
    size = _group_size(depth, group_size)
    return tuple(slice(start, min(start + size, depth)) for start in range(0, depth, size))


def group_of(depth: int, group_size: int) -> np.ndarray:
    """Index of the group of every k, int64 of shape (K,)."""
    return np.arange(depth) // _group_size(depth, group_size)


def _group_size(depth: int, group_size: int) -> int:
    if operator.index(depth) < 1:
        raise ValueError(f"K must be at least 1, not {depth}")
    if operator.index(group_size) < 0:
        raise ValueError(f"Group size must be at least 1, or 0 for one group, not {group_size}")
    return group_size or depth
