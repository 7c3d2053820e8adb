"""Tables are made of the code, and hold what it says."""

import tomllib
from itertools import pairwise

import pytest
from markdown_it import MarkdownIt

from docs.tables import TABLES, plain
from macforge import load_design
from macforge.design.plain import to_toml
from sw_ref.drain.steps import STEPS
from sw_ref.formats import catalog
from tests.typed import present


def cells_of(markdown):
    """Text of each cell, row by row, as Markdown's reader has it."""
    tokens = MarkdownIt().enable("table").parse(markdown)
    rows = []
    for token, following in pairwise(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("td_open", "th_open"):
            rows[-1].append("".join(child.content for child in present(following.children)))
    return rows


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_whole(name):
    titles, *rows = cells_of(TABLES[name]())
    assert rows
    assert {len(row) for row in rows} == {len(titles)}
    assert all(row[0] for row in rows)


def test_steps_are_in_their_order_with_their_keys():
    rows = cells_of(TABLES["drain_steps"]())[1:]
    assert [row[0] for row in rows] == [step.__name__ for step in STEPS]
    assert [row[1].split(", ") for row in rows] == [[key.name for key in step.keys] for step in STEPS]
    assert all(row[3] for row in rows)


def test_every_key_has_a_meaning():
    assert [key for key, _default, meaning in cells_of(TABLES["keys"]())[1:] if not meaning] == []


def test_names_of_formats_are_shown_as_they_are_spelled():
    assert [row[0] for row in cells_of(TABLES["formats"]())[1:]] == [each.spelling for each in catalog.FAMILIES]


def test_keys_are_those_of_a_design():
    shown = {key: default for key, default, _meaning in cells_of(TABLES["keys"]())[1:]}
    keys = flattened(load_design("w8a8_ws").to_table())
    assert {key for key in shown if not key.startswith("options")} == {
        key for key in keys if not key.startswith("options")
    }
    written = flattened(tomllib.loads(to_toml(load_design("w8a8_ws").to_table())))
    for key, default in shown.items():
        if default != "required" and key not in ("options", "headline", "dataflow", "summary", "source"):
            assert tomllib.loads(f"x = {default}")["x"] == written[key], key


def flattened(table, prefix=""):
    found = {}
    for key, value in table.items():
        found |= flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


@pytest.mark.parametrize("text", ["a*b_c", "x | y", "<b>", "[1] `code` $m$", "2**k \\ ~n~"])
def test_plain_text_is_shown_as_it_is(text):
    assert cells_of(f"| a |\n| --- |\n| {plain(text)} |\n")[1] == [text]
