"""Fields of dataclasses: what they take, what has no effect, and what is said of anything else."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest

from sw_ref.fields import FieldError, Length, OneOf, Only, Range, check_fields, one_of, only_with, shown


@dataclass(frozen=True, kw_only=True)
class Inner:
    kind: Literal["plain", "fancy"] = "plain"
    frills: Annotated[int, Range(0, 9), only_with(kind="fancy")] = 3
    ribbon: Annotated[str, Only(lambda inner: inner.frills > 3, " unless {}frills is above 3")] = ""

    def __post_init__(self):
        check_fields(self, "Inner")


@dataclass(frozen=True, kw_only=True)
class Thing:
    count: Annotated[int, Range(1, 8)] = 1
    share: Annotated[float, Range(0, 1)] = 0.5
    real: float = 0.0
    whether: bool = False
    text: str = ""
    lut: Literal[4, 6] = 6
    color: Annotated[str, OneOf(("red", "green", "blue"))] = "red"
    places: Annotated[Sequence[int], Length(0, 2), Range(1, 8)] = ()
    table: Mapping[str, object] = field(default_factory=dict)
    inner: Annotated[Inner, Only(lambda thing: thing.whether, " unless whether is true", ("kind", "frills"))] = field(
        default_factory=Inner
    )

    def __post_init__(self):
        check_fields(self, "Thing")


@pytest.mark.parametrize(
    "given",
    [
        {"count": 8},
        {"share": 1},
        {"real": -1e300},
        {"whether": True},
        {"text": "x\n"},
        {"lut": 4},
        {"color": "blue"},
        {"places": (1, 8)},
        {"table": {"a": 1}},
        {"inner": Inner(kind="fancy", frills=5, ribbon="x"), "whether": True},
    ],
    ids=str,
)
def test_what_fits_is_taken(given):
    made = Thing(**given)
    assert all(getattr(made, name) == value for name, value in given.items())


def test_lists_become_tuples():
    assert Thing(places=[1, 2]).places == (1, 2)
    assert Thing(places=[]) == Thing()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        *(
            ({"count": odd}, f"count must be an integer from 1 to 8, not {odd!r}")
            for odd in (0, 9, 1.0, True, "1", None)
        ),
        *(
            ({"share": odd}, f"share must be a number from 0 to 1, not {odd!r}")
            for odd in (-0.1, 2, float("nan"), True, "0.5")
        ),
        *(({"real": odd}, f"real must be a number, not {odd!r}") for odd in (float("inf"), float("nan"), False, [])),
        ({"real": 10**400}, "real must be a number, not <1329 bits>"),
        ({"whether": 1}, "whether must be true or false, not 1"),
        ({"text": b"x"}, "text must be text, not b'x'"),
        *(({"lut": odd}, f"lut must be 4 or 6, not {odd!r}") for odd in (5, 4.0, True, "6", [4])),
        ({"color": "gren"}, "color must be one of red, green, blue, not 'gren'; did you mean green?"),
        ({"color": {}}, "color must be one of red, green, blue, not {}"),
        *(
            ({"places": odd}, f"places must be a list of 0 to 2 values, each an integer from 1 to 8, not {said}")
            for odd, said in ((3, "3"), ([0], "(0,)"), ([1, 2, 3], "(1, 2, 3)"), ([True], "(True,)"), ("ab", "'ab'"))
        ),
        ({"table": []}, "table must be a table, not []"),
        ({"inner": 3}, "inner must be an instance of Inner, not 3"),
        ({"inner": Inner(kind="fancy")}, "inner.kind must be 'plain' unless whether is true, not 'fancy'"),
    ],
)
def test_anything_else_is_refused(given, message):
    with pytest.raises(FieldError, match=f"^Thing {re.escape(message)}$"):
        Thing(**given)


def test_what_has_no_effect_is_refused_and_told_what_gives_it_one():
    with pytest.raises(FieldError, match=r"^Inner frills must be 3 unless kind is fancy, not 4$"):
        Inner(frills=4)
    with pytest.raises(FieldError) as raised:
        Inner(kind="fancy", ribbon="x")
    assert str(raised.value) == "Inner ribbon must be '' unless frills is above 3, not 'x'"
    assert raised.value.text("Key", "a.b.") == "Key a.b.ribbon must be '' unless a.b.frills is above 3, not 'x'"


@pytest.mark.parametrize(
    "given", [0, "x" * 10**6, 1 << 10**6, [[1] * 1000] * 1000, {"a": {"b": {"c": {}}}}, "a\nb"], ids=range(6)
)
def test_any_value_is_shown_on_one_short_line(given):
    text = shown(given)
    assert "\n" not in text
    assert 0 < len(text) < 300


def test_one_of_several_names():
    assert one_of("Color", "red", ["red", "blue"]) == "red"
    message = r"^Color must be red or blue, or none, not 'blu'; did you mean blue\?$"
    with pytest.raises(ValueError, match=message):
        one_of("Color", "blu", ["red", "blue"], ", or none")
    with pytest.raises(ValueError, match=r"^Color must be one of none at all, not 3$"):
        one_of("Color", 3, [])
