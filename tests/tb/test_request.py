"""Arrays come back out of a file as they went in, without pickling."""

import numpy as np
import pytest

from tb.request import load_arrays, save_arrays


@pytest.mark.parametrize("bits", [1, 64, 65, 130, 256])
def test_arrays_come_back(bits, tmp_path):
    ends = np.array([[-(1 << bits - 1), (1 << bits - 1) - 1, 0]], object)
    arrays = {"wide_0": ends, "act_0": np.arange(6, dtype=np.uint8).reshape(2, 3), "none": np.zeros((0, 2), object)}
    save_arrays(tmp_path / "arrays.npz", arrays)
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored)
    came = load_arrays(tmp_path / "arrays.npz")
    assert came.keys() == arrays.keys()
    for name, array in arrays.items():
        assert came[name].dtype == array.dtype
        assert came[name].shape == array.shape
        assert came[name].tolist() == array.tolist()
