"""Examples do what they say."""

import gc

import numpy as np
import pytest
from amaranth.back import rtlil

from examples.fixed_layer import FixedLayer, main, simulate_layer
from macforge import load_design

SETTINGS = ["array.rows=2", "array.cols=2", "tiling.max_k=16"]


@pytest.mark.parametrize("name", ["w8a8_os", "w4a8_ws"])
def test_a_layer_multiplies_one_batch_after_the_other(name):
    random = np.random.default_rng(1)
    design = load_design(name, SETTINGS)
    acts = random.integers(-128, 128, (3, 4, 6))
    weight = random.integers(-8, 8, (6, 4))
    assert np.array_equal(simulate_layer(design, acts, weight), acts @ weight)


def test_a_layer_is_written_as_rtl():
    text = rtlil.convert(FixedLayer(load_design("w8a8_os", SETTINGS), np.ones((6, 4), int), m=4))
    assert "\\act__payload" in text


# a component whose constructor raises is never used
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_a_drain_edge_is_refused():
    with pytest.raises(ValueError, match=r"^Design must have no drain edge, as mxfp4 has$"):
        FixedLayer(load_design("mxfp4"), np.ones((6, 4), int), m=4)
    gc.collect()


def test_the_example_prints_equal_products(capsys):
    main()
    ours, numpys = capsys.readouterr().out.removeprefix("engine:\n").split("NumPy:\n")
    assert ours == numpys
