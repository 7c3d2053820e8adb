"""Every named design, in a small array: simulated against the model, and synthesized."""

import pytest

from fpga.families import FAMILIES
from macforge import area, design_names, load_design, simulate

SMALL = ["array.rows=2", "array.cols=3", "tiling.panel_rows=4"]


@pytest.mark.parametrize("name", design_names())
def test_named_design_is_the_model_in_hardware(name):
    design = load_design(name, SMALL)
    quiet = simulate(design, m=5, n=7, k=19)
    assert quiet.failure is None
    assert quiet.cycles == quiet.predicted_cycles
    stalled = simulate(design, m=5, n=7, k=19, stalls=0.3)
    assert stalled.failure is None
    assert stalled.cycles > quiet.cycles


@pytest.mark.parametrize("name", design_names())
@pytest.mark.parametrize("family", FAMILIES)
def test_named_design_is_synthesized(name, family):
    report = area(load_design(name, SMALL), family=family, seeds=())
    assert report.macs == 6
    assert report.resources.lut > 6 * 10
    assert report.resources.dsp == 0
