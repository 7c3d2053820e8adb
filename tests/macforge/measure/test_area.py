"""Area of generated arrays: mapped module by module, and counted as if every cell had been."""

import itertools
import json

import pytest

from dataflow import ENGINES
from fpga import families
from fpga.baseline import baseline
from fpga.count import count
from fpga.map.synth import map_netlist, quick_flow, synthesize
from hw.emit import yosys
from hw.emit.verilog import emit_verilog
from macforge.design.design import load_design
from macforge.measure.area import area, fitted, plain_integer
from pe.packed.family import Packed
from sw_ref.formats.catalog import parse_format
from tests.quick import few
from tests.typed import present


@pytest.mark.parametrize(
    ("family", "dataflow"), few([*itertools.product(["ecp5", "cmos"], ENGINES), ("xc7", "output_stationary")], 5)
)
def test_hierarchical_count_is_that_of_the_flattened_netlist(family, dataflow, tmp_path):
    design = load_design("w4a4_os", [f"dataflow={dataflow}", "array.rows=3", "array.cols=5"])
    array = design.engine.array
    verilog = emit_verilog(array)
    mapped = synthesize(verilog, top=array.name, family=family)
    netlist = map_netlist(verilog, top=array.name, flow=quick_flow(families.find(family), verilog))
    (tmp_path / "mapped.json").write_text(json.dumps(netlist))
    yosys.run("read_json mapped.json\nflatten\nwrite_json -noscopeinfo flat.json", cwd=tmp_path)
    flat = json.loads((tmp_path / "flat.json").read_bytes())
    assert list(flat["modules"]).count(array.name) == 1
    flattened = count(flat, families.find(family), top=array.name)
    assert mapped.resources == flattened
    assert flattened.size > 15 * 20


@pytest.mark.long
def test_per_mac_figures_count_lanes():
    one, two = (
        area(load_design("w4a8_os", ["array.rows=2", "array.cols=2", f"lanes={lanes}"]), family="ecp5", seeds=())
        for lanes in (1, 2)
    )
    assert (one.macs, two.macs) == (4, 8)
    assert two.lut_per_mac == two.resources.lut / 8
    assert one.resources.lut < two.resources.lut < 3 * one.resources.lut


def test_cells_leave_the_edges_out():
    one, two = (
        area(load_design("w4a8_os", ["array.rows=2", f"array.cols={cols}"]), family="ecp5", seeds=()) for cols in (2, 4)
    )
    assert two.cells == 2 * one.cells
    assert 0.5 < one.cells.lut / one.resources.lut < 1
    assert one.to_table()["cells_size_per_mac"] == one.cells.lut / 4


@pytest.mark.parametrize(
    ("name", "family", "multiplier", "dsp"),
    [
        ("w8a8_packed", "xc7", "25x18", 8),
        pytest.param("w4a4_packed", "xcup", "27x18", 4, marks=pytest.mark.long),
        # pairs share a multiplier of 18 x 18 bits
        pytest.param("w4a4_packed", "ecp5", "18x18", 8, marks=pytest.mark.long),
        # two products do not fit one, so that the block takes two
        ("w8a8_packed", "ecp5", None, 16),
    ],
)
def test_packed_products_are_for_the_multiplier_of_the_family(name, family, multiplier, dsp):
    design = load_design(name).resized(4)
    assert fitted(design, family).options.get("multiplier") == multiplier
    report = area(design, family=family, seeds=())
    assert (report.macs, report.resources.dsp) == (16, dsp)
    # the accumulators are in DSP blocks, or part of their cells
    assert report.cells.dsp == dsp


def test_a_multiplier_that_is_said_stays():
    design = load_design("w4a4_packed", ["options.multiplier=18x18"])
    pe = fitted(design, "xc7").pe
    assert isinstance(pe, Packed) and pe.multiplier == "18x18"


SMALL = ["array.rows=2", "array.cols=3", "tiling.panel_rows=4"]


@pytest.mark.long
def test_each_mode_is_held_against_its_own_baseline():
    design = load_design("w8a8_ws", ["family=sub_word", "lanes=4", *SMALL])
    report = area(design, family="ecp5", seeds=())
    assert {each.mode for each in report.modes} == set(design.pe.modes)
    assert (report.macs, report.products) == (2 * 3 * 4, 4)
    assert [each.macs for each in report.modes] == sorted((6 * mode.lanes for mode in design.pe.modes), reverse=True)
    for each in report.modes:
        plain = baseline(each.mode.act.bits, each.mode.weight.bits, design.sums.bits, family="ecp5")
        assert each.baseline == plain
        assert each.lut_per_mac == report.resources.lut / each.macs
        assert each.to_table()["ff_per_mac"] == report.resources.ff / each.macs
        assert each.ratio == each.lut_per_mac / plain.lut
    table = report.to_table()
    assert table["product"] == table["modes"][0]["product"] == "int4 x int4"
    assert table["lut_ratio"] == table["modes"][0]["lut_ratio"] == report.ratio


@pytest.mark.parametrize("drain", [False, True])
def test_drain_edge_is_counted_by_itself(drain):
    settings = ["drain.bias=true", "drain.requantize=int8", "drain.accumulator.bits=32"] if drain else []
    design = load_design("w4a8_ws", [*SMALL, *settings])
    report = area(design, family="ecp5", seeds=())
    table = report.to_table()
    assert report.resources == area(load_design("w4a8_ws", SMALL), family="ecp5", seeds=()).resources
    if not drain:
        assert (report.drain, report.drain_lut_per_mac, table["drain_lut"]) == (None, None, None)
        return
    edge, counted = present(design.engine.edge), present(report.drain)
    assert counted == synthesize(emit_verilog(edge), top=edge.name, family="ecp5").resources
    assert counted.lut > 3 * 8
    assert present(report.drain_lut_per_mac) * 6 == present(report.drain_lut_per_col) * 3 == counted.lut
    assert table["drain_lut"] == counted.lut


def test_products_of_planes_are_of_bits():
    bits = ["family=bit_serial", "act=uint1", "weight=uint1", "lanes=4"]
    design = load_design("w8a8_ws", [*bits, *SMALL])
    report = area(design, family="ecp5", seeds=())
    plain = baseline(1, 1, design.sums.bits, act_signed=False, weight_signed=False, family="ecp5")
    assert report.to_table()["product"] == "uint1 x uint1"
    assert (report.macs, report.baseline) == (6 * 4, plain)


@pytest.mark.parametrize(
    "form, plain",
    [
        ("int8", "int8"),
        ("uint4", "uint4"),
        ("uint1", "uint1"),
        ("bipolar1", "int2"),
        ("bipolar2", "int2"),
        ("bipolar3", "int3"),
        ("ternary", "int2"),
        ("nf4", "int4"),
        ("codebook[-1,1]", "int2"),
        ("pot4", "int4"),
        ("apot5", "int5"),
    ],
)
def test_plain_operand_has_as_many_bits(form, plain):
    assert plain_integer(parse_format(form)).name == plain
