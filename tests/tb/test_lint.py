"""Verilator's lint: nothing of what is clean, and what it says of the rest."""

from tb.lint import lint

CLEAN = "module m(input a, output y);\n  assign y = !a;\nendmodule\n"


def test_what_is_clean_has_no_complaints():
    assert lint(CLEAN, "m") == ""


def test_complaints_are_those_of_the_linter():
    assert "%Warning-UNUSEDSIGNAL: m.v:1:16: Signal is not used: 'a'" in lint(CLEAN.replace("!a", "1'b1"), "m")
    assert "%Error: m.v:2:" in lint(CLEAN.replace("assign", "asign"), "m")
