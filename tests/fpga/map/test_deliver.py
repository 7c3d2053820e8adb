"""Modules for stock synthesis: proven, and mapped to no more than macforge counts."""

import re

import numpy as np
import pytest

from dataflow.array.output_stationary import OutputStationaryArray
from dataflow.array.shape import Shape
from fpga import families
from fpga.count import count
from fpga.map import deliver as module
from fpga.map.deliver import deliver
from fpga.map.equal import UnprovenError
from fpga.map.synth import map_netlist, synthesize
from hw.emit import yosys
from hw.emit.verilog import emit_verilog
from pe.mac import IntegerMac
from pe.packed.family import Packed
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from tb.array import Tile, simulate_array
from tests.quick import few

SHAPE = Shape(rows=2, cols=2)
GATED = IntegerMac(act=Int(4), weight=Int(4), lut=4)
THREES = IntegerMac(act=Int(4), weight=Int(4), lanes=3, structure="triples")
ARRAYS = {"ecp5": GATED, "nexus": GATED, "xc7": THREES, "xcup": THREES}


def array_of(pe, shape=SHAPE):
    return OutputStationaryArray(pe=pe, shape=shape, accumulator=Accumulator(16))


def delivered(unit, family, *, dsp=False):
    """What a family's Verilog of an array has of its own, and all of its text."""
    top = unit.module_name
    parts = deliver(emit_verilog(unit, name=top), top=top, family=family, dsp=dsp)
    return parts, emit_verilog(unit, name=top, replaced=parts.texts)


@pytest.mark.parametrize("family", few(ARRAYS, 4))
def test_stock_synthesis_makes_what_is_counted(family):
    unit, target = array_of(ARRAYS[family]), families.find(family)
    top = unit.module_name
    parts, text = delivered(unit, family)
    assert parts.proven and parts.kept and not parts.blocks
    printed = synthesize(emit_verilog(unit, name=top), top=top, family=family).resources
    flow = target.synth(flatten=True)
    assert "noflatten" not in flow and "run" not in flow
    stock, before = (
        count(map_netlist(each, top=top, flow=flow, absorbing=False), target, top=top)
        for each in (text, emit_verilog(unit, name=top))
    )
    assert stock.lut <= printed.lut < before.lut
    assert stock.ff <= printed.ff


def test_the_cells_compute_what_the_model_does(tmp_path):
    unit = array_of(GATED)
    parts, _text = delivered(unit, "ecp5")
    (tmp_path / "design.v").write_text(emit_verilog(unit, replaced=parts.texts))
    models = families.find("ecp5").models
    script = f"""
        read_verilog -nowb -overwrite {models}
        read_verilog -overwrite design.v
        hierarchy -check -top {unit.name}
        proc
        flatten
        opt_clean
        write_verilog -noattr flat.v
    """
    yosys.run(script, cwd=tmp_path)
    random = np.random.default_rng(0)
    tiles = [
        Tile(act=random.integers(0, 16, (2, depth)), weight=random.integers(0, 16, (depth, 2))) for depth in (1, 9, 60)
    ]
    verilog = (tmp_path / "flat.v").read_text()
    assert simulate_array(unit, tiles, gaps=0.2, seed=1, verilog=verilog).failure is None


def test_text_is_the_same_again():
    assert delivered(array_of(GATED), "ecp5") == delivered(array_of(GATED), "ecp5")


def test_every_module_says_what_it_is():
    parts, text = delivered(array_of(GATED), "ecp5")
    said = "// Lattice ECP5. The portable module of this name as cells of the family, proven equal to it by Yosys.\n"
    for name in parts.proven:
        assert f"{said}module {name}(" in text
    for name in parts.kept:
        assert f'(* keep_hierarchy = "yes" *)\nmodule {name}(' in text
    assert "\\" not in text and "`" not in text


@pytest.mark.parametrize("family", few(["xc7", "xcup"], 2))
def test_dsp_blocks_are_instantiated(family):
    multiplier = families.find(family).multiplier
    shape = Shape(rows=2, cols=2, tile_rows=2, tile_cols=2)
    unit = array_of(Packed(act=Int(4), weight=Int(4), multiplier=multiplier, pipeline=2), shape)
    parts, text = delivered(unit, family, dsp=True)
    found = parts.proven if family == "xc7" else parts.blocks
    assert [re.sub(r"_[0-9a-f]{8}$", "", name) for name in found] == [f"multiply_accumulate_{multiplier}_48_r2"]
    assert text.count("DSP48E") == 1


@pytest.mark.parametrize("family", few(["ecp5", "nexus"], 2))
def test_a_multiplier_stays_portable_and_its_sum_is_in_cells(family):
    unit = array_of(
        Packed(act=Int(4), weight=Int(4), multiplier="18x18", pipeline=2), Shape(rows=2, cols=2, tile_cols=2)
    )
    parts, text = delivered(unit, family, dsp=True)
    assert [re.sub(r"_[0-9a-f]{8}$", "", name) for name in parts.proven] == ["add_again_36_29"]
    assert " * " in text and "MULT" not in text


def test_a_mapping_that_is_wrong_is_refused(monkeypatch):
    def swapped(netlist, portable):
        text = structural(netlist, portable)
        # the gate of the lowest bit is the one above
        return re.sub(r"\.A0\((\w+)\[0\]\)", r".A0(\1[1])", text, count=1)

    structural = module.structural
    unit = array_of(GATED)
    monkeypatch.setattr(module, "structural", swapped)
    with pytest.raises(UnprovenError, match=r"^\w+ in cells of Lattice ECP5: \d+ of \d+ bits are not proven equal to"):
        delivered(unit, "ecp5")


def test_a_family_without_models_is_refused():
    with pytest.raises(
        ValueError, match=r"^Family must be one of ecp5, nexus, xc7, xcup to have Verilog of its own, not"
    ):
        deliver("module m(); endmodule\n", top="m", family="ice40")
