"""macforge prove: statements about designs, and what is found of them."""

import dataclasses
import json

import pytest

from hw.emit.tools import ToolError
from macforge.design.design import load_design
from macforge.prove import control, parts
from macforge.prove import design as prove_module
from macforge.prove.cell import cell_statements
from macforge.prove.control import control_statements, schedules, small_engine, told
from macforge.prove.design import prove_design
from macforge.prove.statement import Statement, Verdict
from tb.formal.reach import explore
from tb.runner import Outcome
from tests.quick import named_designs

FIRST = "sum = addend + products of int8 x int2, 1 lane"


def test_cell_in_a_table_and_as_json(macforge):
    code, out, err = macforge("prove", "w2a8_ws", "--part", "cell", "--json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    assert (row["design"], row["part"], row["statement"]) == ("w2a8_ws", "cell", FIRST)
    assert (row["result"], row["instances"], row["example"]) == ("proven", 2, None)
    code, out, err = macforge("prove", "w2a8_ws", "--part", "cell")
    assert (code, "proven" in out) == (0, True)


def test_what_is_out_of_reach_is_said(macforge):
    code, out, _err = macforge("prove", "w4a4_packed", "--part", "cell", "--json")
    (row,) = json.loads(out)
    assert (code, row["result"], row["note"]) == (0, "not tried", "a block of cells keeps its sums itself")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--part", "cells"), "Part must be one of cell, streams, control, mapping, not 'cells'; did you mean cell?"),
        (("--waves", "x.png"), "Ending of waves must be .fst or .vcd, not '.png'"),
    ],
)
def test_bad_requests(macforge, arguments, says):
    code, out, err = macforge("prove", "w2a8_ws", *arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_accumulators_of_users_are_proven():
    design = load_design("w2a8_ws", ("accumulator.overflow=wrap", "accumulator.bits=12"))
    (row,) = prove_design(design, ["cell"])
    assert row["result"] == "proven"


def simulated(failure):
    """A part with a statement that is called broken, and what the simulator says of the example."""
    outcome = Outcome(failure=failure, figures={}, arrays={}, waves=b"waves", seconds=0.0)
    verdict = Verdict(result="broken", note="lane 0", example={"act": 1})
    statement = Statement(
        part="cell", text="nothing is added", decide=lambda _seconds: verdict, replay=lambda _example, _waves: outcome
    )
    return {"cell": lambda _design: [statement]}


def test_what_is_broken_ends_with_waves_and_an_exit_code(macforge, monkeypatch, tmp_path):
    monkeypatch.setattr(parts, "PARTS", simulated("sum differs"))
    monkeypatch.setattr(prove_module, "PARTS", simulated("sum differs"))
    code, out, err = macforge("prove", "w2a8_ws", "--part", "cell", "--waves", tmp_path / "x.vcd", "--json")
    assert code == 1
    assert json.loads(out)[0]["example"] == {"act": 1}
    assert "w2a8_ws: nothing is added (lane 0)" in err
    assert (tmp_path / "x.vcd").read_bytes() == b"waves"


def test_a_proof_that_the_simulator_contradicts_is_no_proof(monkeypatch):
    monkeypatch.setattr(prove_module, "PARTS", simulated(None))
    with pytest.raises(ToolError, match="right in the simulator"):
        prove_design(load_design("w2a8_ws"), ["cell"])


@pytest.mark.parametrize("name", named_designs())
def test_named_designs_have_a_statement_for_each_mode(name):
    design = load_design(name)
    assert len(cell_statements(design)) == len(design.pe.modes)


def test_control_is_proven_and_a_wrong_prediction_found():
    """Of single products and pairs, in every state; cycles that the schedule does not say are told with the sizes."""
    design = load_design("w2a8_ws")
    rows = prove_design(design, ["control"])
    assert [row["result"] for row in rows] == ["proven"] * 3
    assert [row["instances"] for row in rows] == [8, 64, 64]
    engine = small_engine(design, 1)
    cases = [(each,) for each in schedules(engine)]
    found = explore(engine, cases, stalling=())
    wrong = dataclasses.replace(found, cycles=(found.cycles[0] + 1, *found.cycles[1:]))
    row = told(wrong, cases)
    assert row["note"] == f"takes {found.cycles[0] + 1} cycles, not {found.cycles[0]}"
    assert row["example"]["products"] == [{"m": 1, "n": 1, "k": 1, "group": 1, "passes": 1, "mode": 0}]


def test_control_with_too_many_states_stays_open(monkeypatch):
    monkeypatch.setattr(control, "_MOST", 50)
    assert {row["result"] for row in prove_design(load_design("w2a8_ws"), ["control"])} == {"open"}


@pytest.mark.parametrize("name", named_designs())
def test_named_designs_have_statements_of_control(name):
    """Of as few cells as they can have; where there are parameters, also of their stalls."""
    design = load_design(name)
    least = max(design.array.tile_rows, design.array.tile_cols)
    assert len(control_statements(design)) == (3 if least == 1 else 1) + bool(design.engine.parameter_bits)
    engine = small_engine(design, least)
    assert len(schedules(engine)) >= 8
