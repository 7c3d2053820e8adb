"""Proofs of AXI's rules hold, and find what is wrong where something is."""

import re

import pytest

from hw.emit.verilog import emit_verilog
from tb.formal.prove import PROOFS, prove

# Of each unit, something that breaks a rule: an assignment, and what stands there instead.
BROKEN = {
    "lite_slave": (r"assign s_axi_awready = ~ has_address", "assign s_axi_awready = 1'h1"),
    "read_master": (r"assign m_axi_rready = 1'h1", "assign m_axi_rready = 1'h0"),
    "write_master": (r"assign m_axi_bready = 1'h1", "assign m_axi_bready = 1'h0"),
}


@pytest.mark.parametrize("name", PROOFS)
def test_rules_are_proven(name):
    assert prove(PROOFS[name]) == "pass"


@pytest.mark.parametrize("name", PROOFS)
def test_broken_unit_breaks_a_rule(name):
    verilog = emit_verilog(PROOFS[name].unit, name="unit", prefix="unit_")
    broken, count = re.subn(*BROKEN[name], verilog)
    assert count == 1
    assert re.fullmatch(r"rules\.sv:\d+", prove(PROOFS[name], verilog=broken))
