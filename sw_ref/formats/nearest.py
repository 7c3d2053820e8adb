"""Rounding to the values of a table, by the thresholds between them."""

import numpy as np

__all__ = ["thresholds", "to_nearest"]


def thresholds(middles: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """What a real must exceed to be rounded up: ``middles``, or just less where a tie is rounded up, to the even code.

    Parameters
    ----------
    middles : float64 array (n - 1,), ascending
        ``middles[i]`` is halfway between the values i and i + 1.
    codes : integer array (n,)
        Of the values; of two neighbours one is even.
    """
    return np.where(codes[:-1] & 1, np.nextafter(middles, -np.inf), middles)


def to_nearest(real: np.ndarray, over: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """``codes[i]``, as uint32, with i as many as ``real`` exceeds of the ascending thresholds ``over``."""
    return codes[np.searchsorted(over, real)].astype(np.uint32)
