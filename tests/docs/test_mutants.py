"""The page of mutants says what was found, and of which commit."""

from docs.figures.mutants import CELLS, MARKS, PATH, section
from pe import FAMILIES
from tests.quick import named

ROW = {"design": "w2a8_ws", "part": "cell", "mutants": 200, "killed": 150, "equivalent": 40, "survived": 4}
ROW |= {"not decided": 6, "score": 0.9375, "seconds": 2.51}


def test_section():
    text = section([ROW, {**ROW, "score": None}], "0123abc")
    assert "commit 0123abc" in text
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[-2:]]
    assert lines[0] == ["`w2a8_ws`", "cell", "200", "150", "40", "4", "6", "93.8%", "2.5"]
    assert lines[1][-2] == "-"


def test_every_family_has_a_cell():
    assert {named(name).family for name in CELLS} == set(FAMILIES)


def test_page_has_a_place_for_them():
    assert all(mark in PATH.read_text(encoding="utf-8") for mark in MARKS)
