"""Names of modules: stable, told apart by everything that a circuit is made of, and fit for Verilog."""

import re
from dataclasses import dataclass, field

import numpy as np
import pytest
from amaranth.hdl import signed
from amaranth.lib import data

import tb.core
import tb.cycles
import tb.units
from dataflow import ENGINES
from dataflow.engine.base import Engine
from hw.core.naming import DIGEST, MOST_LETTERS, identifier, module_name, plain
from hw.core.rows import Add
from hw.core.unit import Unit
from macforge import load_design
from pe import FAMILIES

PACKAGES = {"hw", "pe", "dataflow", "fpga", "tb", "macforge"}
# Whoever imports these has all units of ours.
assert {tb.core, tb.cycles, tb.units, load_design}


@dataclass(frozen=True, kw_only=True)
class Point:
    """What an argument may be."""

    x: int
    y: float = 0.5
    note: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class OtherPoint(Point):
    """Equal in all fields, and another thing."""


def name_of(**arguments):
    return module_name("stem", Unit, arguments)


def test_name_is_the_stem_with_a_digest_that_stays():
    # this digest may change with the class's place and the rules, but never with the machine
    assert name_of(width=8, kind=None) == "stem_762add15"
    assert re.fullmatch(rf"stem{DIGEST}", name_of(kind=None, width=8))
    assert name_of(kind=None, width=8) == name_of(width=8, kind=None)


DIFFERENT = [
    {},
    {"a": None},
    {"a": 0},
    {"b": 0},
    {"a": "0"},
    {"a": 1},
    {"a": -1},
    {"a": 0.5},
    {"a": "0.5"},
    {"a": float("inf")},
    {"a": ()},
    {"a": (0,)},
    {"a": (0, 1)},
    {"a": (1, 0)},
    {"a": ((0,), 1)},
    {"a": ((0, 1),)},
    {"a": int},
    {"a": "builtins.int"},
    {"a": Point(x=1)},
    {"a": Point(x=2)},
    {"a": Point(x=1, y=0.25)},
    {"a": OtherPoint(x=1)},
    {"a": signed(4)},
    {"a": data.StructLayout({"x": 4})},
    {"a": data.StructLayout({"x": signed(4)})},
    {"a": data.StructLayout({"y": 4})},
    {"a": data.StructLayout({"x": 2, "y": 2})},
    {"a": Add(x=(4, True), y=(4, True), sum=(4, True))},
    {"a": Add(x=(4, True), y=(4, True), sum=(5, True))},
]


def test_whatever_differs_has_another_name():
    names = [name_of(**arguments) for arguments in DIFFERENT]
    names += [module_name("stem", int, {}), module_name("other", Unit, {})]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (3, np.int64(3)),
        (0.5, np.float64(0.5)),
        (Point(x=1), Point(x=1, note="a note")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (data.StructLayout({"x": 4}), data.StructLayout({"x": 4})),
        (Add(x=(4, True), y=(4, True), sum=(4, True)), Add(sum=(4, True), y=(4, True), x=(4, True))),
    ],
)
def test_what_is_equal_has_one_name(one, other):
    assert plain(one) == plain(other)
    assert name_of(a=one) == name_of(a=other)


@pytest.mark.parametrize("value", [object(), len, {1, 2}, np.arange(2), 1j])
def test_what_is_not_understood_is_refused(value):
    message = f"Arguments of units must be plain values, dataclasses, layouts or units, not {value!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        name_of(a=(1, value))


@pytest.mark.parametrize("letters", [MOST_LETTERS, MOST_LETTERS + 1, 1000])
def test_long_stems_lose_their_middle(letters):
    stem = "begin" + "x" * (letters - 8) + "end"
    name = module_name(stem, Unit, {})
    assert name.startswith("begin")
    assert re.search(rf"end{DIGEST}$", name)
    assert len(name) == MOST_LETTERS + 9


def units():
    """All classes of units in the packages."""
    found = [Unit]
    for kind in found:
        found += [each for each in kind.__subclasses__() if each.__module__.split(".")[0] in PACKAGES]
    return found[1:]


def test_no_unit_makes_up_its_module_name_by_itself():
    # families and dataflows are loaded when they are looked up
    assert [*FAMILIES.values(), *ENGINES.values()]
    assert len(units()) > 60
    assert [kind for kind in units() if "module_name" in vars(kind)] == [Engine]
    for name in ("w4a4_os", "w4a4_ws"):
        engine = load_design(name).engine
        assert engine.module_name == engine.name == module_name(engine.name[:-9], type(engine), engine.arguments)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mixpe_w4a8", "mixpe_w4a8"),
        ("My-Design.v2", "My_Design_v2"),
        ("größe", "gr__e"),
        ("4bit", "design_4bit"),
        ("_hidden", "design__hidden"),
        ("-", "design__"),
        ("module", "design_module"),
        ("design", "design_design"),
        ("logic", "design_logic"),
        ("Module", "Module"),
    ],
)
def test_identifier_is_what_verilog_takes(text, name):
    assert identifier(text) == name
    assert identifier(name) == name
