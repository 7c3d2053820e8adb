"""The page of proofs says what was found, and of which commit."""

from docs.figures.proofs import MARKS, PATH, cells_section, control_section, streams_section
from macforge.design.design import load_design
from macforge.prove.control import control_statements

ROW = {"design": "w2a8_ws", "part": "cell", "statement": "sum = addend + products of int8 x int2, 1 lane"}
ROW |= {"result": "proven", "depth": None, "instances": 1234, "seconds": 0.26, "note": ""}


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_cells():
    other = {**ROW, "result": "not tried", "note": "sums are floats"}
    text = cells_section([ROW, other, ROW], "0123abc")
    assert "commit 0123abc" in text and "of 3 cells" in text and "2 proven, 1 not tried" in text
    assert cells(text.splitlines()[-1]) == ["`w2a8_ws`", "int8 x int2, 1 lane", "proven", "1,234", "0.3", ""]


def test_what_designs_share_comes_once():
    engine = {**ROW, "part": "streams", "statement": "no logic leads through the engine"}
    unit = {**ROW, "part": "streams", "statement": "lite_slave: it keeps", "depth": 12}
    lines = streams_section([engine, unit, {**engine, "design": "b"}, unit], "0123abc").splitlines()
    assert [cells(line)[:2] for line in lines[-3:]] == [
        ["`w2a8_ws`", "no logic leads through the engine"],
        ["`b`", "no logic leads through the engine"],
        ["`lite_slave`", "it keeps"],
    ]
    assert cells(lines[-1])[2:] == ["proven", "12", "0.3"]


def test_control():
    """Of the very statements that are made of a design."""
    design = load_design("mixpe_w4a8")
    row = {**ROW, "design": design.name, "part": "control", "depth": 27, "note": "10753 states"}
    rows = [{**row, "statement": each.text} for each in control_statements(design)]
    text = control_section(rows, "0123abc")
    assert "of 4 engines" in text and "4 proven" in text
    assert [cells(line)[1:3] for line in text.splitlines()[-4:]] == [
        ["one cell", "command, act, weight, result"],
        ["one cell, two products one right behind the other", "command, act, weight, result"],
        ["2 x 2 cells", "command, act, weight, result"],
        ["one cell", "column, row, result"],
    ]
    assert cells(text.splitlines()[-1])[3:] == ["proven", "1,234", "27", "0.3", "10753 states"]


def test_page_has_places_for_them():
    text = PATH.read_text(encoding="utf-8")
    assert all(mark in text for marks in MARKS.values() for mark in marks)
