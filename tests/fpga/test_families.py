"""Every family synthesizes with the stated flow and refuses to guess what a primitive costs."""

import pytest

from fpga import families
from fpga.families import FAMILIES, Cost


@pytest.mark.parametrize(
    ("name", "dsp", "flatten", "flow"),
    [
        ("xc7", False, True, "synth_xilinx -family xc7 -flatten -nodsp"),
        ("xc7", True, True, "synth_xilinx -family xc7 -flatten"),
        ("xc7", False, False, "synth_xilinx -family xc7 -noiopad -noclkbuf -nodsp"),
        ("xc7", True, False, "synth_xilinx -family xc7 -noiopad -noclkbuf"),
        ("ecp5", False, True, "synth_ecp5 -nodsp"),
        ("ecp5", True, True, "synth_ecp5"),
        ("ecp5", False, False, "synth_ecp5 -noflatten -nodsp"),
        ("ecp5", True, False, "synth_ecp5 -noflatten"),
    ],
)
def test_flow(name, dsp, flatten, flow):
    assert families.find(name).synth(dsp=dsp, flatten=flatten) == flow


@pytest.mark.parametrize(
    ("name", "primitive", "cost"),
    [
        ("xc7", "LUT6", Cost(lut=1)),
        ("xc7", "INV", Cost(lut=1)),
        ("xc7", "CARRY4", Cost()),
        ("xc7", "RAM32M", Cost(lut=4)),
        ("xc7", "RAM64X1D", Cost(lut=2)),
        ("xc7", "SRL16E", Cost(lut=1)),
        ("xc7", "RAMB18E1", Cost(bram=0.5)),
        ("xc7", "DSP48E1", Cost(dsp=1)),
        ("xc7", "FDRE", Cost(ff=1)),
        ("ecp5", "CCU2C", Cost(lut=2)),
        ("ecp5", "PFUMX", Cost()),
        ("ecp5", "TRELLIS_DPR16X4", Cost(lut=6)),
        ("ecp5", "DP16KD", Cost(bram=1)),
        ("ecp5", "MULT18X18D", Cost(dsp=1)),
    ],
)
def test_cost(name, primitive, cost):
    assert families.find(name).cost(primitive) == cost


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("primitive", ["$_AND_", "DSP58", "lut4", ""])
def test_unknown_primitive_is_refused(name, primitive):
    message = rf"^Primitive must be one with a counting rule for {name}, not '{primitive.replace('$', '[$]')}'$"
    with pytest.raises(ValueError, match=message):
        families.find(name).cost(primitive)


def test_unknown_family_is_refused():
    with pytest.raises(ValueError, match=r"^Family must be one of ecp5, xc7, not 'xc8'$"):
        families.find("xc8")


def test_families_are_filed_under_their_names():
    assert all(family.name == name for name, family in FAMILIES.items())
    assert [name for name, family in FAMILIES.items() if family.has_pnr] == ["ecp5"]
