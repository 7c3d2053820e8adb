"""Standard cells of a Liberty file are a family, whose areas are those that yosys reads."""

import json
from pathlib import Path

import pytest

from fpga import families
from fpga.count import Resources
from fpga.families import Cost
from fpga.map.synth import synthesize
from fpga.time.timing import measure_timing
from hw.emit import yosys
from hw.emit.tools import ToolError

TINY = Path(__file__).with_name("tiny.lib")
DESIGN = """
module accumulate(input clk, input rst, input en, input [3:0] a, output reg [5:0] sum);
  always @(posedge clk) if (rst) sum <= 0; else if (en) sum <= sum + a;
endmodule
module twice(input clk, input rst, input en, input [3:0] a, output [5:0] one, output [5:0] two);
  accumulate first(.clk(clk), .rst(rst), .en(en), .a(a), .sum(one));
  accumulate second(.clk(clk), .rst(rst), .en(en), .a(~a), .sum(two));
endmodule
"""


def test_cells_and_their_areas():
    family = families.find(str(TINY))
    assert (family.name, family.title, family.unit, family.has_pnr) == ("tiny", "standard cells tiny", "area", False)
    assert family.cost("NAND2") == Cost(area=1.5, is_logic=True)
    assert family.cost("DFF") == Cost(area=10, ff=1)
    # a cell without an area is none that counts
    with pytest.raises(ValueError, match=r"^Primitive must be one with a counting rule for tiny, not 'TIE'$"):
        family.cost("TIE")


@pytest.mark.parametrize("flatten", [False, True])
def test_area_is_that_of_yosys(flatten, tmp_path):
    result = synthesize(DESIGN, top="twice", family=str(TINY), flatten=flatten)
    (tmp_path / "design.v").write_text(DESIGN)
    (tmp_path / "cells.lib").write_bytes(TINY.read_bytes())
    script = (
        f"read_verilog design.v; hierarchy -top twice; {result.flow}; tee -o stat.json stat -liberty cells.lib -json"
    )
    yosys.run(script, cwd=tmp_path)
    stat = json.loads((tmp_path / "stat.json").read_text())["design"]
    assert (result.resources.area, result.resources.size) == (stat["area"], stat["area"])
    assert (result.resources.ff, result.resources.lut) == (12, 0)
    assert ("accumulate" in result.modules) == (not flatten)


def test_paths_lead_through_the_cells():
    timing = measure_timing(DESIGN, top="twice", family=str(TINY))
    assert timing.kind == "logic levels"
    assert set(timing.path_cells) <= {"INV", "BUF", "NAND2", "NOR2", "XOR2"}
    assert 4 < timing.levels < 40


def test_what_a_file_says_counts_not_where_it_lies(tmp_path):
    elsewhere = tmp_path / "large.lib"
    elsewhere.write_text(TINY.read_text().replace("area : 10;", "area : 10.5;"))
    before = synthesize(DESIGN, top="twice", family=str(TINY)).resources
    after = synthesize(DESIGN, top="twice", family=str(elsewhere)).resources
    assert after == before + Resources(area=12 * 0.5)


def test_no_file_is_refused():
    with pytest.raises(ValueError, match=r"^Liberty file must be one that exists, not 'nowhere\.lib'$"):
        families.find("nowhere.lib")


def test_a_file_without_areas_is_refused(tmp_path):
    empty = tmp_path / "empty.lib"
    empty.write_text("library(empty) { }\n")
    with pytest.raises(ValueError, match=r"^Liberty file must hold cells that have an area, but empty has none$"):
        families.find(str(empty))


def test_a_file_that_yosys_cannot_read_is_refused(tmp_path):
    broken = tmp_path / "broken.lib"
    broken.write_text("library(broken) { cell( }\n")
    with pytest.raises(ToolError, match=r"^(yowasp-)?yosys: "):
        families.find(str(broken))
