"""The whole engine: all of it is counted, once, and it is what a user gets."""

import pytest

from fpga.map.synth import synthesize
from fpga.time.timing import logic_levels
from hw.emit.verilog import emit_verilog
from macforge.design.design import load_design
from macforge.measure.area import area, fitted
from macforge.measure.whole import whole

SMALL = ("array.rows=2", "array.cols=2", "tiling.max_k=64")


REQUANTIZED = ("drain.bias=true", "drain.requantize=int8", "drain.accumulator.bits=32")


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "more", "family"),
    [
        ("w4a8_ws", REQUANTIZED, "ecp5"),
        # whose drain edge is of floats
        ("mixpe_w4a8", ("tiling.group_size=16",), "ecp5"),
        ("w4a8_ws", (), "xc7"),
    ],
)
def test_parts_add_up_to_the_whole(name, more, family):
    design = load_design(name, (*SMALL, *more))
    report = whole(design, family=family, seeds=())
    parts = list(report.parts.values())
    assert sum(part.lut for part in parts) == report.resources.lut
    assert sum(part.bram for part in parts) == report.resources.bram > 0
    alone = area(design, family=family, seeds=())
    engine = fitted(design, family).engine
    array = next(part for key, part in report.parts.items() if engine.array.name.startswith(key))
    assert array.lut == alone.resources.lut < report.resources.lut
    assert report.timing.levels == logic_levels(emit_verilog(engine), top=engine.name, family=family).levels


def test_table_is_of_the_engine():
    design = load_design("w4a8_ws", (*SMALL, *REQUANTIZED))
    table = whole(design, family="ecp5", seeds=()).to_table()
    engine = fitted(design, "ecp5").engine
    mapped = synthesize(emit_verilog(engine), top=engine.name, family="ecp5").resources
    assert (table["engine_lut"], table["engine_ff"], table["engine_bram"]) == (mapped.lut, mapped.ff, mapped.bram)
    assert (table["design"], table["rows"], table["cols"]) == ("w4a8_ws", 2, 2)
    assert table["engine_fmax_mhz"] is None and table["engine_levels"] > 0


@pytest.mark.long
def test_accelerator_is_the_engine_and_what_is_around_it():
    design = load_design("w4a8_ws", SMALL)
    engine = whole(design, family="ecp5", seeds=())
    report = whole(design, family="ecp5", seeds=(), unit="accelerator")
    assert sum(part.lut for part in report.parts.values()) == report.resources.lut
    inside = next(part for key, part in report.parts.items() if key.endswith("_engine"))
    # but for what synthesis makes of ports that lead elsewhere
    assert abs(inside.lut - engine.resources.lut) < 0.02 * engine.resources.lut
    table = report.to_table()
    assert table["accelerator_lut"] == report.resources.lut > engine.resources.lut
    assert table["accelerator_levels"] > 0
