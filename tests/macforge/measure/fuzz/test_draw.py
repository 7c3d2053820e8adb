"""Random designs: drawn from what the registries say, most of them such as can be built."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from macforge.design.design import design_of
from macforge.design.plain import parse_toml, to_toml
from macforge.measure.fuzz.draw import NAME, is_taken
from macforge.measure.fuzz.formats import POOL, operands_of
from macforge.measure.fuzz.run import drawn_design
from pe import FAMILIES
from pe.mac import IntegerMac
from sw_ref.formats.catalog import FAMILIES as GRAMMAR
from sw_ref.formats.catalog import parse_format

COUNT = 30


@pytest.fixture(scope="module")
def tables():
    return [drawn_design(1, number) for number in range(COUNT)]


def test_more_than_half_are_taken(tables):
    assert COUNT / 2 < sum(map(is_taken, tables)) < COUNT
    taken = [table for table in tables if is_taken(table)]
    assert len({table["family"] for table in taken}) > len(FAMILIES) / 2
    assert any(table.get("drain") for table in taken) and any(table.get("options") for table in taken)
    checked = [table["array"].get("checksum", "none") != "none" for table in taken]
    assert 0 < sum(checked) < len(taken) / 2


def test_they_are_small_and_plain_data(tables):
    for table in tables:
        array = table["array"]
        assert 1 <= array["rows"] <= 4 and 1 <= array["cols"] <= 4
        assert parse_toml(to_toml(table), "Design") == table


def test_a_number_is_always_the_same_design(tables):
    assert [drawn_design(1, number) for number in (7, 3)] == [tables[7], tables[3]]
    assert drawn_design(2, 7) != tables[7]


def test_formats_are_of_every_spelling():
    for family in GRAMMAR:
        assert any(parse_format(name) == parse_format(example) for name in POOL for example in family.examples[:1])
    assert operands_of("bit_serial") == {"uint1": ["uint1"], "bipolar1": ["bipolar1"]}
    assert operands_of("sub_word") == {"int8": ["int8"]}


@dataclass(frozen=True, kw_only=True)
class Narrow(IntegerMac):
    """A family that macforge has not heard of, with an option of its own."""

    spare: bool = False

    family: ClassVar[str] = "narrow"

    def check(self) -> None:
        super().check()
        if self.act.bits > 3 or self.weight.bits > 2 or self.lanes != 2:
            raise ValueError("Family narrow takes two lanes of few bits")


def test_a_new_family_is_drawn_without_a_word(monkeypatch):
    monkeypatch.setitem(FAMILIES.__dict__["_own"], "narrow", "")
    monkeypatch.setitem(FAMILIES.__dict__["_loaded"], "narrow", Narrow)
    tables = [drawn_design(0, number, ("narrow",)) for number in range(20)]
    taken = [design_of(NAME, table) for table in tables if is_taken(table)]
    assert len(taken) > 10
    assert {design.family for design in taken} == {"narrow"} and {design.lanes for design in taken} == {2}
    assert any("spare" in design.options for design in taken)
