"""Memories whose module is written down directly: the same as what Amaranth writes."""

import pytest

from hw.core.ram import Ram
from hw.core.unit import Unit
from hw.emit.verilog import emit_verilog


class Elaborated(Ram):
    """The same memory, as Amaranth writes it."""

    rtlil = Unit.rtlil


@pytest.mark.parametrize(("width", "depth"), [(1, 2), (4, 8), (13, 5), (64, 512)])
def test_module_is_that_of_its_circuit(width, depth):
    text = emit_verilog(Ram(width=width, depth=depth))
    assert text == emit_verilog(Elaborated(width=width, depth=depth))
    assert f"words [{depth - 1}:0]" in text
