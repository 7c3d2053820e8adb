"""Additions of three words: one carry chain on Xilinx, and the sum that the portable module has."""

import pytest

from fpga import families
from fpga.map.synth import map_netlist, synthesize
from fpga.map.three import files_for
from fpga.time.levels import longest_path
from hw.emit import yosys
from hw.emit.verilog import emit_verilog
from hw.integer.compress import AddThree

XC7, ECP5 = families.find("xc7"), families.find("ecp5")
# of three words, and of the sum; the last but one wraps around
FORMATS = [
    ((1, False), (1, False), (1, False), (2, False)),
    ((3, True), (4, False), (2, True), (6, True)),
    ((8, True), (8, True), (8, True), (10, True)),
    ((7, False), (7, True), (9, True), (8, False)),
    ((16, True), (17, True), (16, False), (19, True)),
]


def adder(formats):
    return AddThree(**dict(zip(("a", "b", "c", "sum"), formats, strict=True)))


def unproven(tmp_path, formats, spoil=lambda text: text):
    """How many of the adders are not proven equal to their modules, with yosys' models of the primitives."""
    script = ["read_verilog -nowb +/xilinx/cells_sim.v", "design -stash cells"]
    for index, each in enumerate(formats):
        unit = adder(each)
        verilog = emit_verilog(unit)
        (tmp_path / f"gold_{index}.v").write_text(verilog)
        (tmp_path / f"gate_{index}.v").write_text(spoil(files_for(XC7, verilog)["add_three.v"]))
        script += [
            f"read_verilog gold_{index}.v",
            f"prep -top {unit.name}",
            f"design -stash gold_{index}",
            "design -load cells",
            f"read_verilog gate_{index}.v",
            f"prep -flatten -top {unit.name}",
            f"design -stash gate_{index}",
            f"design -copy-from gold_{index} -as gold {unit.name}",
            f"design -copy-from gate_{index} -as gate {unit.name}",
            "miter -equiv -flatten gold gate miter",
            "hierarchy -top miter",
            "sat -set-def-inputs -prove trigger 0 miter",
            "design -reset",
        ]
    log = yosys.run("\n".join(script), cwd=tmp_path)
    assert log.count("no model found: SUCCESS!") + log.count("model found: FAIL!") >= len(formats)
    return len(formats) - log.count("no model found: SUCCESS!")


def test_mapped_adders_are_proven(tmp_path):
    assert unproven(tmp_path, FORMATS) == 0


@pytest.mark.parametrize(
    ("old", "new"), [("64'h69966996e8e8e8e8", "64'h69966996e8e8e8e0"), ("saved[0] = 1'b0", "saved[0] = 1'b1")]
)
def test_spoilt_adders_are_found(old, new, tmp_path):
    assert unproven(tmp_path, FORMATS[1:3], lambda text: text.replace(old, new)) == 2


@pytest.mark.parametrize("family", ["xc7", "xcup"])
def test_a_bit_takes_one_look_up_table(family):
    unit = adder(FORMATS[-1])
    found = synthesize(emit_verilog(unit), top=unit.name, family=family).resources
    assert (found.lut, found.cells) == (19, {"CARRY4": 5, "LUT6_2": 19})


@pytest.mark.long
def test_no_path_leads_along_the_look_up_tables():
    unit = adder(FORMATS[-1])
    verilog = emit_verilog(unit)
    netlist = map_netlist(verilog, top=unit.name, flow=XC7.synth(), files=files_for(XC7, verilog))
    found = longest_path(netlist, XC7, top=unit.name)
    assert found == ("LUT6_2", "LUT6_2", *["CARRY4"] * 5)


def test_other_families_and_designs_have_no_such_adders():
    verilog = emit_verilog(adder(FORMATS[0]))
    assert files_for(ECP5, verilog) == ECP5.files
    assert files_for(XC7, "module add_two(); endmodule") == XC7.files
    assert {*files_for(XC7, verilog)} == {"xc7.v", "add_three.v"}
