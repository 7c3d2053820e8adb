"""Verilog of accelerators, as it is written."""

import pytest

from macforge.design.design import load_design
from macforge.emit.accelerator import generate_accelerator
from tests.macforge.emit.tools import lint
from tests.quick import named


@pytest.mark.parametrize("name", named(["mixpe_w4a8", "hawqv3_w4a4"]))
@pytest.mark.parametrize("cells", [2, 4])
def test_accelerator_is_clean_under_lint(name, cells, tmp_path):
    files = generate_accelerator(load_design(name).resized(cells))
    files.write(tmp_path)
    assert lint(files.top, tmp_path, f"{files.name}.v") == (0, "")
