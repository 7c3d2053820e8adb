"""Registers behind block RAMs move into them, and others stay where they are."""

from collections import Counter

import pytest

from fpga import families
from fpga.map.output_register import move_output_registers
from fpga.map.synth import map_netlist, quick_flow
from hw.core.ram import Ram
from hw.emit.verilog import emit_verilog

ECP5 = families.find("ecp5")


def mapped(verilog, top):
    netlist = map_netlist(verilog, top=top, flow=quick_flow(ECP5, verilog), absorbing=False)
    return netlist["modules"][top]


def kinds(module):
    return Counter(cell["type"] for cell in module["cells"].values())


@pytest.mark.parametrize(("width", "depth"), [(8, 16384), (36, 512), (24, 512), (9, 2048)])
def test_register_of_every_bit_moves(width, depth):
    ram = Ram(width=width, depth=depth)
    before = mapped(emit_verilog(ram), ram.name)
    after = move_output_registers(before)
    assert kinds(before)["TRELLIS_FF"] == width
    assert kinds(after) == Counter({"DP16KD": kinds(before)["DP16KD"]})
    for cell in after["cells"].values():
        assert cell["parameters"]["REGMODE_B"] == "OUTREG" and cell["connections"]["OCEB"] == ["1"]
    # what leaves is what the registers were
    driven = {bit for cell in after["cells"].values() for bits in cell["connections"].values() for bit in bits}
    assert set(after["ports"]["read_data"]["bits"]) <= driven


BEHIND = """
module behind(input clk, input other, input write, input enable, input reset, input [8:0] a, input [17:0] d,
    output reg [17:0] q, output [17:0] extra);
  (* ram_style = "block" *) reg [17:0] words [0:511];
  reg [17:0] word;
  always @(posedge clk) begin if (write) words[a] <= d; word <= words[a]; end
  always @(posedge {clock}) begin {register} end
  assign extra = {extra};
endmodule
"""


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ({}, True),
        ({"extra": "word"}, False),
        ({"register": "if (enable) q <= word;"}, False),
        ({"register": "if (reset) q <= 0; else q <= word;"}, False),
        ({"register": "q <= ~word;"}, False),
        ({"clock": "other"}, False),
    ],
)
def test_only_plain_registers_of_all_bits_move(change, moves):
    text = BEHIND
    for name, value in {"clock": "clk", "register": "q <= word;", "extra": "0", **change}.items():
        text = text.replace(f"{{{name}}}", value)
    before = mapped(text, "behind")
    assert kinds(before)["DP16KD"] == 1
    assert (kinds(move_output_registers(before))["TRELLIS_FF"] == 0) == moves


def test_module_without_a_block_ram_stays_as_it_is():
    module = {"cells": {"one": {"type": "LUT4"}}}
    assert move_output_registers(module) is module
