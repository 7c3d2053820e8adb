"""Mapped modules as Verilog: what it is made of, its names, and its registers."""

import json
import re

import pytest

from fpga import families
from fpga.map.absorb import absorb
from fpga.map.equal import UnprovenError, prove_equal
from fpga.map.structural import structural
from fpga.map.synth import map_netlist
from hw.emit.verilog import modules_of
from tests.quick import few

FAMILIES = ["ecp5", "nexus"]

MODULE = """\
module sums(clk, rst, enable, gate, x, a, total, ones, same, low);
  input clk;
  input rst;
  input enable;
  input gate;
  input [7:0] x;
  input [7:0] a;
  output reg [8:0] total;
  output reg [3:0] ones;
  output [1:0] same;
  output [3:0] low;
  wire [7:0] gated;
  reg [9:0] longer;
  assign gated = gate ? a : 8'h00;
  assign same = {1'b1, x[3]};
  assign low = longer[7:4] ^ {4{gate}};
  always @(posedge clk)
    if (rst) total <= 0; else if (enable) total <= x + gated;
  always @(posedge clk)
    if (rst) ones <= 4'b1010; else ones <= x[3:0];
  always @(posedge clk)
    longer <= total + (gate ? x : 8'h00);
endmodule
"""


def mapped(family, module=MODULE):
    """The text of a module with gates moved into its carry cells."""
    flow = families.find(family).synth()
    netlist = map_netlist(module, top="sums", flow=flow, absorbing=False)["modules"]["sums"]
    return structural(absorb(netlist), module)


@pytest.mark.parametrize("family", few(FAMILIES, 2))
def test_text_is_the_module(family):
    text = mapped(family)
    prove_equal(MODULE, text, top="sums", family=families.find(family))
    assert mapped(family) == text


@pytest.mark.parametrize("family", few(FAMILIES, 2))
def test_text_reads_like_the_module(family):
    text = mapped(family)
    assert text.startswith("module sums(clk, rst, enable, gate, x, a, total, ones, same, low);\n  input clk;\n")
    assert "\\" not in text and "$" not in text
    assert max(map(len, text.splitlines())) <= 120
    assert "  output reg [8:0] total;\n" in text
    assert "  assign same = {1'b1, x[3]};\n" in text
    # what is not read of a word is not there
    assert "  reg [7:4] longer;\n" in text
    assert re.search(r"if \(rst\) ones <= 4'b1010; else ones <= x\[3:0\];", text)
    assert re.search(r"if \(rst\) total <= 9'b0;\s+else\s+if \(enable\)\s+total\s+<=", text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"INIT\(16'h0ff0", "INIT(16'h0ff1"),
        (r"ones <= 4'b1010", "ones <= 4'b1011"),
        (r"if \(enable\)", "if (gate)"),
        (r"\{1'b1, x\[3\]\}", "{1'b0, x[3]}"),
        (r"\.CIN\(c\[4\]\)", ".CIN(1'b0)"),
    ],
)
def test_what_is_broken_is_not_proven(old, new):
    broken, number = re.subn(old, new, mapped("ecp5"), count=1)
    assert number == 1
    with pytest.raises(UnprovenError, match=r"^sums in cells of Lattice ECP5: \d+ of \d+ bits are not proven equal to"):
        prove_equal(MODULE, broken, top="sums", family=families.find("ecp5"))


def test_a_register_of_another_kind_is_refused():
    module = MODULE.replace("always @(posedge clk)\n    longer", "always @(negedge clk)\n    longer")
    assert module != MODULE
    with pytest.raises(
        ValueError, match=r"^Register must be of a rising edge and a reset in step with it, not TRELLIS_FF"
    ):
        mapped("ecp5", module)


def test_instances_keep_their_names_and_the_modules_their_registers():
    text = """\
module outer(clk, a, b);
  input clk;
  input [3:0] a;
  output [3:0] b;
  inner first(.clk(clk), .a(a), .b(b));
endmodule

module inner(clk, a, b);
  input clk;
  input [3:0] a;
  output reg [3:0] b;
  always @(posedge clk)
    b <= a;
endmodule
"""
    netlist = map_netlist(text, top="outer", flow=families.find("ecp5").synth(), absorbing=False)["modules"]
    portable = modules_of(text)
    assert "  inner first(.a(a), .b(b), .clk(clk));\n" in structural(netlist["outer"], portable["outer"])
    assert "    b <= a;\n" in structural(netlist["inner"], portable["inner"])


def test_the_netlist_that_is_given_stays_as_it_is():
    netlist = map_netlist(MODULE, top="sums", flow=families.find("ecp5").synth(), absorbing=False)["modules"]["sums"]
    spelled = json.dumps(netlist)
    structural(netlist, MODULE)
    assert json.dumps(netlist) == spelled
