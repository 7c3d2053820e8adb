"""The longest path is found on hand-made netlists, and is as long as yosys finds it on real ones."""

import re

import pytest

from fpga import families
from fpga.map.synth import map_netlist
from fpga.time.levels import longest_path
from hw.emit import yosys
from tests.quick import few
from tests.typed import present

ECP5, XC7 = families.find("ecp5"), families.find("xc7")


def cell(kind, inputs, outputs):
    """A primitive, its pins given as name to bits."""
    directions = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
    return {"type": kind, "port_directions": directions, "connections": inputs | outputs}


def module(ports, *cells):
    """A module, its ports given as name to direction and bits."""
    return {
        "attributes": {},
        "ports": {name: {"direction": direction, "bits": bits} for name, (direction, bits) in ports.items()},
        "cells": {f"cell_{index}": each for index, each in enumerate(cells)},
        "netnames": {
            f"net_{index}": {"bits": bits}
            for index, bits in enumerate([bit for each in cells for bit in each["connections"].values()])
        },
    }


def lut(source, net):
    return cell("LUT4", {"A": [source], "B": ["1"]}, {"Z": [net]})


def register(source, net):
    return cell("TRELLIS_FF", {"DI": [source]}, {"Q": [net]})


def path(modules, family=ECP5):
    return longest_path({"modules": modules}, family, top="top")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([], ()),
        ([register(2, 3)], ()),
        ([lut(2, 3)], ("LUT4",)),
        ([lut(2, 3), lut(3, 4), register(4, 5)], ("LUT4", "LUT4")),
        # A register in between makes two short paths, and one may lead in a circle.
        ([lut(2, 3), register(3, 4), lut(4, 5), cell("PFUMX", {"ALUT": [5]}, {"Z": [6]})], ("LUT4", "PFUMX")),
        ([lut(2, 3), register(3, 2)], ("LUT4",)),
        # The longer of two inputs counts.
        ([lut(2, 3), lut(3, 4), cell("LUT4", {"A": [2], "B": [4]}, {"Z": [5]})], ("LUT4",) * 3),
        ([cell("MULT18X18D", {"A0": [2]}, {"P0": [3]}), lut(3, 4), cell("OB", {"I": [4]}, {"O": [5]})], ("LUT4",)),
    ],
)
def test_flat(cells, expected):
    assert path({"top": module({}, *cells)}) == expected


def test_paths_lead_through_instances():
    """Two luts in each of two instances, whose nets have the same numbers."""
    inner = module({"a": ("input", [2]), "y": ("output", [4])}, lut(2, 3), lut(3, 4))
    modules = {
        "inner": inner,
        "LUT4": {"attributes": {"blackbox": "1"}, "cells": {}, "ports": {}, "netnames": {}},
        "top": module({}, cell("inner", {"a": [2]}, {"y": [3]}), lut(3, 4), cell("inner", {"a": [4]}, {"y": [5]})),
    }
    assert path(modules) == ("LUT4",) * 5


def test_a_wire_through_a_module_is_no_level():
    through = module({"a": ("input", [2]), "y": ("output", [2]), "zero": ("output", ["0"])})
    outer = cell("through", {"a": [3]}, {"y": [4], "zero": [6]})
    assert path({"through": through, "top": module({}, lut(2, 3), outer, lut(4, 5))}) == ("LUT4", "LUT4")


def test_a_carry_only_goes_upwards():
    """What comes late to the highest bit leaves there, and not at the lowest, where another cell goes on."""

    def carry(inputs, outputs):
        return cell("CARRY4", {"S": inputs}, {"O": outputs})

    up = [carry([2, 3, 4, 5], [6, 7, 8, 9]), carry([10, 11, 9, 12], [13, 14, 15, 16])]
    down = [carry([2, 3, 4, 5], [6, 7, 8, 9]), carry([10, 11, 12, 6], [13, 14, 15, 16])]
    late = [cell("LUT6", {"I0": [17]}, {"O": [18]}), cell("LUT1", {"I0": [18]}, {"O": [5]})]
    assert path({"top": module({}, *late, *up)}, XC7) == ("LUT6", "LUT1", "CARRY4", "CARRY4")
    assert path({"top": module({}, *late, *down)}, XC7) == ("LUT6", "LUT1", "CARRY4")


def test_logic_that_feeds_back_on_itself_is_refused():
    message = r"^Logic must not feed back on itself without a register, as it does in top$"
    with pytest.raises(ValueError, match=message):
        path({"top": module({}, lut(2, 3), lut(3, 2))})


def test_unknown_primitive_is_refused():
    with pytest.raises(ValueError, match=r"^Primitive must be one with a counting rule for ecp5, not 'LUT7'$"):
        path({"top": module({}, cell("LUT7", {"A": [2]}, {"Z": [3]}))})


PRODUCTS = """
module product(input clk, input [5:0] a, input [5:0] b, output reg [5:0] a_q, output [11:0] y);
  assign y = a * b;
  always @(posedge clk) a_q <= y[9:4];
endmodule
module products(input clk, input [5:0] a, input [5:0] b, output [11:0] y);
  wire [5:0] a_q;
  wire [11:0] middle;
  product one(.clk(clk), .a(a), .b(b), .a_q(a_q), .y(middle));
  product two(.clk(clk), .a(middle[5:0] ^ middle[11:6]), .b(a_q), .a_q(), .y(y));
endmodule
"""


@pytest.mark.parametrize(
    ("name", "registers"), few([("cmos", "$_DFF_P_"), ("ecp5", "TRELLIS_FF"), ("ice40", "SB_DFF")], 2)
)
def test_yosys_finds_a_path_of_that_length(name, registers, tmp_path):
    family = families.find(name)
    flow = family.synth()
    netlist = map_netlist(PRODUCTS, top="products", flow=flow)
    (tmp_path / "design.v").write_text(PRODUCTS)
    script = f"read_verilog design.v; hierarchy -top products; {flow}; flatten; tee -o log ltp */* */t:{registers} %d"
    yosys.run(script, cwd=tmp_path)
    length = present(re.search(r"\(length=(\d+)\)", (tmp_path / "log").read_text()))
    assert len(longest_path(netlist, family, top="products")) == int(length[1])
