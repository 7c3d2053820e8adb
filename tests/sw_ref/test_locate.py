"""The first wrong element, in words."""

import numpy as np
import pytest

from sw_ref.locate import first_where


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.array([[1, 2], [30, 40]]), "act[1, 0] is 30"),
        (np.array([1, 2, 30], dtype=np.uint8), "act[2] is 30"),
        (np.array(30), "act is 30"),
        (np.array([10.1, 1], dtype=np.float32), "act[0] is 10.1"),
    ],
)
def test_names_position_and_value(values, text):
    assert first_where(values > 9, values, what="act") == text
