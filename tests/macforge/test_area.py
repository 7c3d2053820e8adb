"""Area of generated arrays: mapped module by module, and counted as if every cell had been."""

import json

import pytest

from dataflow import ENGINES
from fpga import families
from fpga.count import count
from fpga.families import FAMILIES
from fpga.synth import map_netlist, synthesize
from hw import yosys
from hw.verilog import emit_verilog
from macforge.area import area
from macforge.design import load_design


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dataflow", ENGINES)
def test_hierarchical_count_is_that_of_the_flattened_netlist(family, dataflow, tmp_path):
    design = load_design("w4a4_os", [f"dataflow={dataflow}", "array.rows=3", "array.cols=5"])
    array = design.engine.array
    verilog = emit_verilog(array)
    mapped = synthesize(verilog, top=array.name, family=family)
    netlist = map_netlist(verilog, top=array.name, flow=mapped.flow)
    (tmp_path / "mapped.json").write_bytes(netlist.read_bytes())
    yosys.run("read_json mapped.json\nflatten\nwrite_json -noscopeinfo flat.json", cwd=tmp_path)
    flat = json.loads((tmp_path / "flat.json").read_bytes())
    assert list(flat["modules"]).count(array.name) == 1
    flattened = count(flat, families.find(family), top=array.name)
    assert mapped.resources == flattened
    assert flattened.lut > 15 * 20


def test_per_mac_figures_count_lanes():
    one, two = (
        area(load_design("w4a8_os", ["array.rows=2", "array.cols=2", f"lanes={lanes}"]), family="ecp5", seeds=())
        for lanes in (1, 2)
    )
    assert (one.macs, two.macs) == (4, 8)
    assert two.lut_per_mac == two.resources.lut / 8
    assert one.resources.lut < two.resources.lut < 3 * one.resources.lut
