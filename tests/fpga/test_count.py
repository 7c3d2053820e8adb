"""A netlist is counted module by module, times the instances, on hand-made netlists."""

import pytest

from fpga import families
from fpga.count import Resources, count, tally
from fpga.families import FAMILIES

BLACKBOX = {"attributes": {"blackbox": "00000000000000000000000000000001"}, "cells": {}}


def netlist(**modules):
    """Yosys's JSON for modules given as lists of ``(cell type, number)``."""
    return {
        "modules": {
            name: {
                "attributes": {"src": "design.v:1.1"},
                "cells": {f"{kind}_{n}": {"type": kind} for kind, number in cells for n in range(number)},
            }
            for name, cells in modules.items()
        }
        | {"LUT4": BLACKBOX, "TRELLIS_FF": BLACKBOX, "FDRE": BLACKBOX}
    }


ARRAY = netlist(
    array=[("row", 3), ("edge", 2), ("LUT4", 1)],
    row=[("cell", 4), ("LUT4", 2)],
    cell=[("LUT4", 10), ("edge", 1)],
    edge=[("LUT4", 5)],
    unused=[("NO_SUCH_PRIMITIVE", 1)],
)


@pytest.mark.parametrize(
    ("family", "cells", "expected"),
    [
        ("ecp5", [], {}),
        ("ecp5", [("LUT4", 7), ("CCU2C", 4), ("PFUMX", 3), ("L6MUX21", 1)], {"lut": 15}),
        ("ecp5", [("TRELLIS_FF", 9), ("TRELLIS_DPR16X4", 2)], {"lut": 12, "ff": 9}),
        ("ecp5", [("MULT18X18D", 2), ("DP16KD", 3), ("PDPW16KD", 1)], {"dsp": 2, "bram": 4}),
        ("xc7", [(f"LUT{inputs}", inputs) for inputs in range(1, 7)], {"lut": 21}),
        ("xc7", [("INV", 2), ("CARRY4", 5), ("MUXF7", 6), ("MUXF8", 3)], {"lut": 2}),
        ("xc7", [("SRL16E", 1), ("SRLC32E", 2), ("RAM32M", 1), ("RAM64M", 1)], {"lut": 11}),
        ("xc7", [("RAM32X1D", 1), ("RAM64X1D", 1), ("RAM128X1D", 1), ("RAM256X1S", 1)], {"lut": 12}),
        ("xc7", [("FDRE", 4), ("FDSE", 3), ("FDCE", 2), ("FDPE", 1), ("LDCE", 1)], {"ff": 11}),
        ("xc7", [("DSP48E1", 2), ("RAMB18E1", 3), ("RAMB36E1", 2)], {"dsp": 2, "bram": 3.5}),
        ("xc7", [("IBUF", 8), ("OBUF", 8), ("BUFG", 1)], {}),
        (
            "xcup",
            [("LUT6", 5), ("LUT2", 1), ("CARRY4", 2), ("CARRY8", 1), ("MUXF9", 1), ("FDRE", 3)],
            {"lut": 6, "ff": 3},
        ),
        ("xcup", [("SRL16E", 1), ("RAM64X1S", 1), ("RAM32M", 1), ("RAM32M16", 1), ("RAM64M8", 2)], {"lut": 30}),
        ("xcup", [("DSP48E2", 3), ("RAMB18E2", 1), ("RAMB36E2", 2), ("BUFG", 1)], {"dsp": 3, "bram": 2.5}),
        ("nexus", [("LUT4", 7), ("INV", 1), ("CCU2", 4), ("WIDEFN9", 3), ("DPR16X4", 1)], {"lut": 28}),
        ("nexus", [("FD1P3BX", 1), ("FD1P3DX", 2), ("FD1P3IX", 3), ("FD1P3JX", 4), ("VHI", 1), ("VLO", 1)], {"ff": 10}),
        ("nexus", [("MULT9X9", 2), ("MULT18X18", 1), ("MULTADDSUB18X18", 1), ("MULT36X36", 1)], {"dsp": 7}),
        ("nexus", [("DP16K", 1), ("PDP16K", 2), ("PDPSC16K", 1), ("IB", 8), ("OB", 8)], {"bram": 4}),
        ("ice40", [("SB_LUT4", 9), ("SB_CARRY", 8), ("SB_GB", 1), ("SB_IO", 4)], {"lut": 9}),
        ("ice40", [("SB_DFF", 1), ("SB_DFFE", 2), ("SB_DFFESR", 3), ("SB_DFFNSS", 4)], {"ff": 10}),
        ("ice40", [("SB_MAC16", 2), ("SB_RAM40_4K", 1), ("SB_RAM40_4KNW", 2)], {"dsp": 2, "bram": 3}),
        ("gowin", [(f"LUT{inputs}", inputs) for inputs in range(1, 5)], {"lut": 10}),
        ("gowin", [("ALU", 8), ("INV", 1), ("MUX2_LUT5", 2), ("MUX2_LUT8", 1), ("GND", 1), ("VCC", 1)], {"lut": 9}),
        ("gowin", [("DFF", 1), ("DFFRE", 2), ("DFFNPE", 3), ("DLCE", 1), ("RAM16SDP4", 2)], {"ff": 7, "lut": 16}),
        (
            "gowin",
            [("MULT9X9", 1), ("MULT18X18", 2), ("MULT36X36", 1), ("SDPB", 2), ("DPX9B", 1)],
            {"dsp": 6.5, "bram": 3},
        ),
        ("cmos", [("$_NOT_", 1), ("$_NAND_", 2), ("$_AOI3_", 3), ("$_OAI4_", 4), ("$_NMUX_", 5)], {"area": 110}),
        ("cmos", [("$_XOR_", 1), ("$_MUX_", 1), ("$_DFF_P_", 3)], {"area": 72, "ff": 3}),
    ],
)
def test_flat_netlist(family, cells, expected):
    result = count(netlist(top=cells), families.find(family), top="top")
    assert result == Resources(**expected, cells=dict(sorted(cells)))


def test_hierarchy_multiplies():
    # 3 rows of 4 cells, each with an edge, and 2 edges more.
    assert tally(ARRAY, top="array") == {
        "array": {"instances": 1, "cells": {"LUT4": 1}, "children": {"edge": 2, "row": 3}},
        "row": {"instances": 3, "cells": {"LUT4": 2}, "children": {"cell": 4}},
        "cell": {"instances": 12, "cells": {"LUT4": 10}, "children": {"edge": 1}},
        "edge": {"instances": 14, "cells": {"LUT4": 5}, "children": {}},
    }
    luts = 1 + 3 * 2 + 12 * 10 + 14 * 5
    assert count(ARRAY, families.find("ecp5"), top="array") == Resources(lut=luts, cells={"LUT4": luts})


def test_tally_puts_parents_first():
    assert list(tally(ARRAY, top="array")) == ["array", "row", "cell", "edge"]


def test_count_starts_at_any_module():
    assert count(ARRAY, families.find("ecp5"), top="row").lut == 2 + 4 * (10 + 5)


@pytest.mark.parametrize(
    ("resources", "size"), [(Resources(lut=3, ff=9), 3), (Resources(area=2.5, ff=1), 2.5), (Resources(), 0)]
)
def test_size_is_in_luts_or_else_an_area(resources, size):
    assert resources.size == size


@pytest.mark.parametrize("family", FAMILIES)
def test_unknown_primitive_below_the_top_is_refused(family):
    design = netlist(top=[("inner", 1)], inner=[("$print", 1)])
    message = rf"^Primitive must be one with a counting rule for {family}, not '[$]print'$"
    with pytest.raises(ValueError, match=message):
        count(design, families.find(family), top="top")


def test_missing_top_is_refused():
    message = r"^Top must be one of the netlist's modules \(array, cell, edge, row, unused\), not 'LUT4'$"
    with pytest.raises(ValueError, match=message):
        tally(ARRAY, top="LUT4")


def test_recursion_is_refused():
    with pytest.raises(ValueError, match=r"^Modules must not instantiate themselves, as a, b, a do$"):
        tally(netlist(a=[("b", 1)], b=[("a", 1)]), top="a")


def test_resources_add_and_multiply():
    one = Resources(lut=2, area=1.5, ff=1, bram=0.5, cells={"LUT4": 2, "RAMB18E1": 1})
    other = Resources(dsp=1, cells={"DSP48E1": 1})
    cells = {"DSP48E1": 1, "LUT4": 2, "RAMB18E1": 1}
    assert one + other == Resources(lut=2, area=1.5, ff=1, dsp=1, bram=0.5, cells=cells)
    assert 3 * one == one * 3 == one + one + one
    assert sum([one, other], Resources()) == one + other


@pytest.mark.parametrize("operation", [lambda one: one + 1, lambda one: one * 0.5, lambda one: one * one])
def test_resources_mix_with_nothing_else(operation):
    with pytest.raises(TypeError, match=r"^unsupported operand type"):
        operation(Resources(lut=1))
