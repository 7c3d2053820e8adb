"""Odd values for every key of a design: each is taken, or refused in one line that says what would do."""

import pytest

from macforge.design.describe import derived
from macforge.design.design import load_design
from macforge.design.named import design_names
from macforge.design.plain import to_toml
from pe import FAMILIES
from tests.quick import named, some

ODD = (
    *("0", "-1", "1", "3", "2.5", "-0.0", "1e-300", "nan", "inf", "65536", str(10**30), str(-(10**30))),
    *("0x" + "f" * 5000, "9" * 5000, "true", '""', "foo", '"int8"', '"a\\nb"', "None", "1979-05-27"),
    *("[]", "[1]", "[3, 1, 2]", '["a"]', "[[1, 2], [3]]", "{}", "{a = 1}"),
)
# Keys that no design has, or that are not to be set.
STRAY = ("name", "foo", "options.foo", "array.rows.x", "array.", ".", "derived", "quantizer.act.act.method")
LONGEST = 1000


def keys(table, where=""):
    """Full names of all fields, tables among them."""
    for key, value in table.items():
        yield f"{where}{key}"
        if isinstance(value, dict):
            yield from keys(value, f"{where}{key}.")


def wrong_answers(name):
    """Of all odd values, those that are neither taken nor refused in one line."""
    design = load_design(name)
    options = [f"options.{option}" for option in FAMILIES[design.family].options()]
    for key in dict.fromkeys([*keys(design.to_table()), *options, *STRAY]):
        for value in ODD:
            try:
                chosen = load_design(name, [f"{key}={value}"])
                to_toml({**chosen.to_table(), "derived": derived(chosen)})
            except ValueError as error:
                if "\n" in str(error) or len(str(error)) > LONGEST:
                    yield key, value, str(error)


# one of each family of processing elements, of which one in six is quick
FIRST = {named(name).family: name for name in design_names()}
QUICK = [name for i, name in enumerate(FIRST.values()) if i % 6 == 0]


@pytest.mark.parametrize("name", some(design_names(), QUICK.__contains__))
def test_odd_value_is_taken_or_refused(name):
    assert list(wrong_answers(name)) == []
