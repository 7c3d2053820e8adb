"""macforge mutate: faults in designs, and how many of them the benches find."""

import json

import pytest

from hw.emit.tools import ToolError
from macforge.design.design import load_design
from macforge.mutate import design as mutate_module
from macforge.mutate.design import RESULTS, mutate_design
from macforge.mutate.parts import PARTS, parts_of
from macforge.mutate.subject import Subject
from tests.quick import some

# The least score, of a design of each family of cells, and of the other parts.
BARS = {
    **{(name, "cell"): 0.95 for name in ("w4a8_ws", "w8a8_os", "pot_w4a8", "flute_nf4a8", "fp8_e4m3_exact", "mxfp4")},
    **{(name, "cell"): 0.95 for name in ("abq_w2a8", "subword_int8_int4", "tmac_w2a8", "ternary_lut_a8", "xr_npe")},
    **{(name, "cell"): 0.95 for name in ("bf16_fp32", "w8a8_packed")},
}


def test_cell_in_a_table_and_as_json(macforge):
    asked = ("mutate", "w2a8_ws", "--part", "cell", "--count", 10)
    code, out, err = macforge(*asked, "--json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    assert (row["design"], row["part"], row["mutants"]) == ("w2a8_ws", "cell", 10)
    assert sum(row[result] for result in RESULTS) == 10
    assert row["killed"] == 10 - row["equivalent"] and row["score"] == 1 and row["survivors"] == []
    code, out, err = macforge(*asked)
    assert (code, "equivalent" in out) == (0, True)
    code, out, err = macforge(*asked, "--only", 3)
    assert (code, "w2a8_ws cell 3 " in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--part", "cells"), "Part must be one of cell, drain, control, dma, not 'cells'; did you mean cell?"),
        (("--part", "drain"), "Part must be cell, control or dma for w2a8_ws, which has no drain edge, not drain"),
        (("--only", "3"), "Option --only is of one design and one --part, not of 3"),
        (
            ("--part", "cell", "--count", "5", "--only", "6"),
            "Number of a mutant must be from 1 to 5 for cell, not 6",
        ),
    ],
)
def test_bad_requests(macforge, arguments, says):
    code, out, err = macforge("mutate", "w2a8_ws", *arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_parts_are_those_that_a_design_has():
    assert parts_of(load_design("w2a8_ws")) == ("cell", "control", "dma")
    assert parts_of(load_design("mixpe_w4a8")) == tuple(PARTS)


def test_a_bench_that_finds_something_without_a_fault_is_no_bench(monkeypatch):
    class Wrong:
        def build(self):
            pass

        def failure(self, number):
            return "a sum differs"

    real = PARTS["cell"](load_design("w2a8_ws"))
    subject = Subject(unit=real.unit, modules=real.modules, bench=lambda _mutants: Wrong())
    monkeypatch.setattr(mutate_module, "PARTS", {"other": lambda _design: subject})
    with pytest.raises(ToolError, match=r"^Bench must find nothing where there is no fault, not: a sum differs$"):
        mutate_design(load_design("w2a8_ws"), "other", count=3)


@pytest.mark.parametrize(("name", "part"), some(BARS, lambda _each: False))
def test_benches_find_what_can_be_found(name, part):
    assert mutate_design(load_design(name), part)["score"] >= BARS[name, part]
