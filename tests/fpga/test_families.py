"""Every family is a data file, synthesizes with the stated flow, and refuses to guess what a primitive costs."""

import json
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from fpga import families
from fpga.count import Resources
from fpga.families import FAMILIES, Cost, Family
from fpga.map.synth import synthesize
from hw.emit import yosys

DATA = sorted(Path(families.__file__).parent.glob("*.toml"))

# An adder of 8 bits, its sum in registers with enable and reset, and a function of 4 bits.
TINY = """
module tiny(input clk, input rst, input en, input [7:0] a, input [7:0] b, input [3:0] x,
  output reg [7:0] sum, output any);
  assign any = (x[0] & x[1]) ^ (x[2] | x[3]);
  always @(posedge clk) if (rst) sum <= 0; else if (en) sum <= a + b;
endmodule
"""

# The same beside every sort of memory and shift register that the flows can infer.
BOTH = (
    TINY
    + """
module storage(
  input clk, input we, input [8:0] address, input [3:0] read, input [15:0] data,
  output reg [15:0] small, output reg [15:0] large, output delayed
);
  reg [15:0] shallow [0:15];
  reg [15:0] deep [0:511];
  reg [19:0] line;
  assign delayed = line[19];
  always @(posedge clk) begin
    if (we) shallow[address[3:0]] <= data;
    if (we) deep[address] <= data;
    small <= shallow[read];
    large <= deep[address];
    line <= {line[18:0], data[0]};
  end
endmodule
module both(
  input clk, input rst, input en, input [7:0] a, input [7:0] b, input [3:0] x,
  input [8:0] address, input [15:0] data,
  output [7:0] sum, output any, output [15:0] small, output [15:0] large, output delayed
);
  tiny tiny_0 (.clk(clk), .rst(rst), .en(en), .a(a), .b(b), .x(x), .sum(sum), .any(any));
  storage storage_0 (.clk(clk), .we(en), .address(address), .read(x), .data(data),
    .small(small), .large(large), .delayed(delayed));
endmodule
"""
)


@pytest.mark.parametrize(
    ("name", "dsp", "flatten", "flow"),
    [
        ("xc7", False, True, "synth_xilinx -family xc7 -flatten -nodsp"),
        ("xc7", True, True, "synth_xilinx -family xc7 -flatten"),
        ("xc7", False, False, "synth_xilinx -family xc7 -noiopad -noclkbuf -nodsp"),
        ("xc7", True, False, "synth_xilinx -family xc7 -noiopad -noclkbuf"),
        ("xcup", False, False, "synth_xilinx -family xcup -noiopad -noclkbuf -nodsp"),
        ("ecp5", False, True, "synth_ecp5 -nodsp"),
        ("ecp5", True, True, "synth_ecp5"),
        ("ecp5", False, False, "synth_ecp5 -noflatten -nodsp"),
        ("ecp5", True, False, "synth_ecp5 -noflatten"),
        ("nexus", False, False, "synth_nexus -noflatten -noiopad -nodsp"),
        ("ice40", False, False, "synth_ice40 -noflatten"),
        ("ice40", True, True, "synth_ice40 -dsp"),
        ("gowin", False, False, "synth_gowin -family gw2a -noflatten -noiopads -nodsp"),
        (
            "cmos",
            False,
            True,
            "synth -noabc -flatten; dfflegalize -cell $_DFF_P_ 01; opt -nodffe -nosdff; abc -g cmos; opt_clean",
        ),
    ],
)
def test_flow(name, dsp, flatten, flow):
    assert families.find(name).synth(dsp=dsp, flatten=flatten) == flow


@pytest.mark.parametrize(
    ("name", "primitive", "cost"),
    [
        ("xc7", "LUT6", Cost(lut=1, is_logic=True)),
        ("xc7", "INV", Cost(lut=1, is_logic=True)),
        ("xc7", "CARRY4", Cost(is_logic=True)),
        ("xc7", "RAM32M", Cost(lut=4)),
        ("xc7", "RAMB18E1", Cost(bram=0.5)),
        ("xc7", "DSP48E1", Cost(dsp=1)),
        ("xc7", "FDRE", Cost(ff=1)),
        ("xcup", "RAM32M16", Cost(lut=8)),
        ("ecp5", "CCU2C", Cost(lut=2, is_logic=True)),
        ("ecp5", "PFUMX", Cost(is_logic=True)),
        ("ecp5", "TRELLIS_DPR16X4", Cost(lut=6)),
        ("nexus", "WIDEFN9", Cost(lut=2, is_logic=True)),
        ("ice40", "SB_CARRY", Cost(is_logic=True)),
        ("gowin", "ALU", Cost(lut=1, is_logic=True)),
        ("gowin", "MULT9X9", Cost(dsp=0.5)),
        ("cmos", "$_NAND_", Cost(area=4, is_logic=True)),
        ("cmos", "$_DFF_P_", Cost(area=16, ff=1)),
    ],
)
def test_cost(name, primitive, cost):
    assert families.find(name).cost(primitive) == cost


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("primitive", ["$_DFF_N_", "DSP58", "lut4", ""])
def test_unknown_primitive_is_refused(name, primitive):
    message = rf"^Primitive must be one with a counting rule for {name}, not '{primitive.replace('$', '[$]')}'$"
    with pytest.raises(ValueError, match=message):
        families.find(name).cost(primitive)


def test_unknown_family_is_refused():
    message = (
        r"^Family must be one of cmos, ecp5, gowin, ice40, nexus, xc7, xcup, or a Liberty file \(\.lib\), not 'xc8'$"
    )
    with pytest.raises(ValueError, match=message):
        families.find("xc8")


def test_each_data_file_is_a_family():
    assert list(FAMILIES) == [path.stem for path in DATA]
    assert all(family.name == name for name, family in FAMILIES.items())
    assert {name: family.unit for name, family in FAMILIES.items()} == {
        "cmos": "transistor",
        "ecp5": "LUT4",
        "gowin": "LUT4",
        "ice40": "LUT4",
        "nexus": "LUT4",
        "xc7": "LUT6",
        "xcup": "LUT6",
    }
    assert [name for name, family in FAMILIES.items() if family.has_pnr] == ["ecp5", "gowin", "ice40", "nexus"]


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.stem)
def test_a_data_file_names_each_primitive_once(path):
    groups = tomllib.loads(path.read_text())["primitives"]
    names = Counter(name for group in groups for name in group["names"])
    assert [name for name, times in names.items() if times > 1] == []
    assert set(names) == set(FAMILIES[path.stem].costs)


def test_what_a_data_file_cannot_say_is_refused():
    table = {"title": "T", "unit": "LUT4", "synthesis": {"flow": "synth"}, "primitives": [{"names": ["A"], "luts": 1}]}
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'luts'$"):
        Family.from_table("t", table)


@pytest.mark.parametrize(
    ("family", "lut", "memories"),
    [
        ("xc7", 8 + 1, {"RAM32M": 3, "RAMB18E1": 1, "SRLC32E": 1}),
        pytest.param("xcup", 8 + 1, {"RAM32M16": 2, "RAMB18E2": 1, "SRLC32E": 1}, marks=pytest.mark.long),
        ("ecp5", 2 * 4 + 1, {"TRELLIS_DPR16X4": 4, "DP16KD": 1}),
        # a carry chain starts in a cell of its own
        pytest.param("nexus", 2 * 5 + 1, {"DPR16X4": 4, "PDPSC16K": 1}, marks=pytest.mark.long),
        # registers are only reset when enabled, so that one LUT more enables them
        pytest.param("ice40", 8 + 1 + 1, {"SB_RAM40_4K": 3}, marks=pytest.mark.long),
        ("gowin", 8 + 1, {"RAM16SDP4": 4, "SPX9": 1}),
    ],
)
def test_every_sort_of_primitive_counts(family, lut, memories):
    modules = synthesize(BOTH, top="both", family=family).modules
    tiny, storage = modules["tiny"].resources, modules["storage"].resources
    assert tiny == Resources(lut=lut, ff=8, cells=tiny.cells)
    assert {primitive: storage.cells.get(primitive) for primitive in memories} == memories


def test_transistors_are_those_of_yosys(tmp_path):
    result = synthesize(TINY, top="tiny", family="cmos")
    (tmp_path / "tiny.v").write_text(TINY)
    script = f"read_verilog tiny.v; hierarchy -top tiny; {result.flow}; tee -o stat.json stat -tech cmos -json"
    yosys.run(script, cwd=tmp_path)
    stat = json.loads((tmp_path / "stat.json").read_text())["design"]
    assert stat["estimated_num_transistors"] == str(result.resources.area)
    assert stat["num_cells_by_type"] == result.resources.cells
    assert (result.resources.ff, result.resources.lut) == (8, 0)
