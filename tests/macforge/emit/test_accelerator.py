"""Verilog of accelerators, as it is written."""

import pytest

from macforge.design.design import load_design
from macforge.design.named import design_names
from macforge.emit.accelerator import generate_accelerator
from tests.macforge.emit.tools import lint
from tests.quick import some


@pytest.mark.parametrize("name", some(design_names(), lambda name: name == "mixpe_w4a8"))
def test_accelerator_is_clean_under_lint(name, tmp_path):
    files = generate_accelerator(load_design(name).resized(4))
    files.write(tmp_path)
    assert lint(files.top, tmp_path, f"{files.name}.v") == (0, "")
