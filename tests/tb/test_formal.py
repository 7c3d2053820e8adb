"""Proofs of AXI's rules hold, and find what is wrong where something is."""

import re

import pytest

from hw.axi.lite import LiteSlave
from hw.emit.verilog import emit_verilog
from hw.stream.gearbox import Gearbox
from tb.formal.prove import PROOFS, prove
from tb.formal.through import through_paths
from tests.dataflow.accelerator.driven import accelerator
from tests.quick import some

QUICK = ("lite_slave", "read_master", "write_master", "gearbox_8", "region_reader", "weight_cache_3")
# Of each unit, something that breaks a rule: an assignment, and what stands there instead.
BROKEN = {
    "lite_slave": (r"assign s_axi_awready = ~ has_address", "assign s_axi_awready = 1'h1"),
    "read_master": (r"assign m_axi_rready = 1'h1", "assign m_axi_rready = 1'h0"),
    "write_master": (r"assign m_axi_bready = 1'h1", "assign m_axi_bready = 1'h0"),
    "region_reader": (r"room >= 3'h4", "room >= 3'h2"),
    "region_reader_beats": (r"payload = words__payload", "payload = beats__ready ? words__payload : 32'h0"),
    "frame_sender": (r"assign _043_ = bytes__ready \? 3'h0 : part_state", "assign _043_ = 3'h0"),
    "result_writer_1": (r"assign last = ", "assign last = ~ "),
    "result_writer_6": (r"place_in_burst == 2'h3", "place_in_burst == 2'h2"),
    "weight_cache_2": (r"assign kept_write = _", "assign kept_write = ~_"),
    "weight_cache_3": (r"assign kept_read = replay_goes_on & ", "assign kept_read = replay_goes_on | "),
    "gearbox_8": (r"assign beats__payload = beat_place", "assign beats__payload = ~beat_place"),
    "gearbox_16": (r"assign words__ready = beats__ready", "assign words__ready = 1'h1"),
    "gearbox_24": (r"assign beats__payload = beat_place", "assign beats__payload = ~beat_place"),
    "gearbox_32": (r"assign empty = words_held == 1'h0", "assign empty = 1'h1"),
}


@pytest.mark.parametrize("name", some(PROOFS, QUICK.__contains__))
def test_rules_are_proven(name):
    assert not prove(PROOFS[name]).line


@pytest.mark.parametrize("name", some(PROOFS, QUICK.__contains__))
def test_broken_unit_breaks_a_rule(name):
    verilog = emit_verilog(PROOFS[name].unit, name="unit", prefix="unit_")
    broken, count = re.subn(*BROKEN[name], verilog)
    assert count == 1
    assert re.fullmatch(r"rules\.sv:\d+", prove(PROOFS[name], verilog=broken).line)


def test_no_logic_leads_through_an_accelerator():
    """From any input of its buses to any output of them."""
    unit = accelerator("mixpe_w4a8")
    assert through_paths(emit_verilog(unit), unit.name) == set()


def test_logic_that_leads_through_is_found():
    unit = Gearbox(word=16, beat=16)
    assert through_paths(emit_verilog(unit), unit.name) == {
        ("words__payload", "beats__payload"),
        ("words__valid", "beats__valid"),
        ("beats__ready", "words__ready"),
    }
    lite = LiteSlave(address_bits=8)
    assert ("s_axi_rready", "s_axi_rvalid") not in through_paths(emit_verilog(lite), lite.name)
