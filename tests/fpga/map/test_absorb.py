"""Look-up tables that move into carry cells: fewer, and proven to leave the function as it was."""

import functools
import json
import re
import tempfile
from pathlib import Path

import pytest

from fpga.map.absorb import absorb
from hw.emit import yosys
from hw.emit.tools import ToolError
from hw.emit.verilog import emit_verilog
from pe.mac import IntegerMac
from pe.shift_add import ShiftAdd
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from tests.quick import few

# Yosys's command, and its models of the cells
FLOWS = {
    "ecp5": ("synth_ecp5 -noflatten -nodsp", "+/lattice/cells_sim_ecp5.v"),
    "nexus": ("synth_nexus -noflatten -nodsp -noiopad", "+/nexus/cells_sim.v"),
}

PORTS = "input signed [7:0] x, a, b, input one, two, negative, output signed [9:0] sum"
# Each sum, and how many look-up tables it keeps.
ROWS = {
    "gated": ("x + (one ? a : 8'sd0)", 0),
    "gated_minus": ("x - (one ? a : 8'sd0)", 0),
    "pair": ("(one ? a >>> 1 : 8'sd0) + (two ? a : 8'sd0)", 0),
    "pair_minus": ("(one ? a >>> 1 : 8'sd0) - (two ? a : 8'sd0)", 0),
    "selected": ("x + (one ? a : b)", 0),
    "signed_digit": ("$signed({x, 1'b1}) + $signed({(one ? a : 8'sd0) ^ {8{negative}}, negative}) >>> 1", 0),
    # what is chosen stays outside, its sign does not
    "booth_digit": ("x + (((one ? a : 9'sd0) | (two ? a <<< 1 : 9'sd0)) ^ $signed({9{negative}}))", 8),
}


@functools.cache
def mapped(verilog, top, family):
    """The modules that the flow of a family makes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "design.v").write_text(verilog)
        script = f"read_verilog design.v\n{FLOWS[family][0]} -top {top}\nwrite_json -noscopeinfo netlist.json"
        yosys.run(script, cwd=folder)
        return json.loads(Path(folder, "netlist.json").read_text())["modules"]


def absorbed(modules):
    """Without those of the library."""
    own = {name: module for name, module in modules.items() if "blackbox" not in module["attributes"]}
    return {name: absorb(module) for name, module in own.items()}


def prove(verilog, modules, top, family):
    """Raise unless ``modules``, of the family's cells, compute what the Verilog says."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "gold.v").write_text(verilog)
        Path(folder, "gate.json").write_text(json.dumps({"creator": "", "modules": modules}))
        script = f"""
            read_verilog gold.v
            prep -flatten -top {top}
            design -stash gold
            read_json gate.json
            read_verilog -overwrite {FLOWS[family][1]}
            prep -flatten -top {top}
            design -stash gate
            design -copy-from gold -as gold {top}
            design -copy-from gate -as gate {top}
            miter -equiv -flatten gold gate miter
            sat -verify -set-def-inputs -prove trigger 0 miter
        """
        assert "no model found: SUCCESS!" in yosys.run(script, cwd=folder)


def tables(module):
    """How many look-up tables it has, but for those of carry cells."""
    return sum({"LUT4": 1, "WIDEFN9": 2}.get(cell["type"], 0) for cell in module["cells"].values())


def every_row():
    """A module for each row, and ``rows``, which has them all."""
    lines = [f"module {name}({PORTS});\n  assign sum = {total};\nendmodule" for name, (total, _kept) in ROWS.items()]
    shared = ", ".join(f".{port}({port})" for port in ("x", "a", "b", "one", "two", "negative"))
    lines.append(f"module rows({PORTS.replace('[9:0] sum', f'[{10 * len(ROWS) - 1}:0] sum')});")
    lines += [f"  {name} of_{name}({shared}, .sum(sum[{10 * index} +: 10]));" for index, name in enumerate(ROWS)]
    return "\n".join([*lines, "endmodule\n"])


@pytest.mark.parametrize("family", few(FLOWS, 2))
def test_rows_take_what_is_in_front_of_them(family):
    before = mapped(every_row(), "rows", family)
    after = absorbed(before)
    for name, (_total, kept) in ROWS.items():
        assert tables(after[name]) == kept < tables(before[name])
    prove(every_row(), after, "rows", family)


@pytest.mark.parametrize(
    ("pe", "family"),
    [
        (IntegerMac(act=Int(4), weight=Int(4), lut=4), "ecp5"),
        (IntegerMac(act=Int(4), weight=Int(4, signed=False)), "ecp5"),
        (ShiftAdd(act=Int(4), weight=Int(4)), "ecp5"),
        pytest.param(ShiftAdd(act=Int(4), weight=Int(4)), "nexus", marks=pytest.mark.long),
    ],
    ids=lambda given: getattr(given, "name", given),
)
def test_cores_are_what_they_were(pe, family):
    core = pe.core(Accumulator(16))
    verilog = emit_verilog(core)
    before = mapped(verilog, core.name, family)
    after = absorbed(before)
    counts = [sum(tables(modules[name]) for name in after) for modules in (before, after)]
    assert counts[1] < counts[0]
    prove(verilog, after, core.name, family)


@pytest.mark.parametrize(
    ("what", "ports", "body"),
    [
        (
            "goes elsewhere too",
            "output signed [7:0] seen, output signed [8:0] sum",
            "assign seen = gate ? a : 8'sd0; assign sum = x + seen;",
        ),
        ("is the carry", "output signed [8:0] sum", "assign sum = x + a + (gate & x[0]);"),
    ],
)
def test_tables_that_are_needed_stay(what, ports, body):
    verilog = f"module needed(input signed [7:0] x, a, input gate, {ports});\n{body}\nendmodule\n"
    before = mapped(verilog, "needed", "ecp5")
    after = absorbed(before)
    assert tables(after["needed"]), what
    prove(verilog, after, "needed", "ecp5")


def test_a_module_without_carry_cells_stays_as_it_is():
    module = mapped("module wires(input a, b, output c); assign c = a & b; endmodule\n", "wires", "ecp5")["wires"]
    assert tables(module)
    assert absorb(module) is module


def test_the_module_that_is_given_stays_as_it_is():
    module = mapped(every_row(), "rows", "ecp5")["gated"]
    spelled = json.dumps(module)
    assert absorb(module) != module
    assert json.dumps(module) == spelled


def test_a_wrong_netlist_is_not_proven():
    modules = absorbed(mapped(every_row(), "rows", "ecp5"))
    lowest = next(cell for cell in modules["gated"]["cells"].values() if cell["connections"]["CIN"] == ["0"])
    lowest["parameters"]["INIT0"] = lowest["parameters"]["INIT0"].translate(str.maketrans("01", "10"))
    with pytest.raises(ToolError, match=re.escape("Called with -verify and proof did fail!")):
        prove(every_row(), modules, "rows", "ecp5")
