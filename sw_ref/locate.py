"""Where in an array a value is wrong, in words."""

import numpy as np

__all__ = ["first_where"]


def first_where(mask: np.ndarray, values: np.ndarray, *, what: str) -> str:
    """``act[3, 17] is 200``: the first element of ``values`` at which ``mask`` is true, which there must be.

    Parameters
    ----------
    mask : bool array, any shape
    values : array of the same shape
    what : str
        Name of the array; a scalar goes by it alone.
    """
    at = tuple(int(i) for i in np.argwhere(mask)[0])
    # str, since a format spec would show the float64 digits of a float32
    return f"{what}{list(at) if at else ''} is {values[at]!s}"
