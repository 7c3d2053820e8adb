"""Random designs: a strategy of Hypothesis, made of the registries and the fields that they declare.

A new family, format, drain step or key is drawn without a change here.
"""

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from dataflow import ENGINES
from dataflow.array.shape import Shape
from dataflow.engine.tiling import Tiling
from macforge.design.choices import AccumulatorChoice, DrainChoice, QuantizerChoice
from macforge.design.design import design_of
from macforge.measure.fuzz.formats import POOL, lanes_of, operands_of
from pe import FAMILIES
from sw_ref.accelerator.bus import Bus
from sw_ref.drain.steps import STEPS
from sw_ref.fields import Field, fields_of
from sw_ref.formats.catalog import FAMILIES as GRAMMAR
from sw_ref.formats.minifloat import FLOATS

__all__ = ["NAME", "Table", "designs", "is_taken"]

Table = dict[str, Any]

NAME = "fuzzed"
"""The name of a drawn design."""

# What makes a simulation long: the most that is drawn. Of other integers, it is the first so many that may be.
_MOST = {
    "array.rows": 4,
    "array.cols": 4,
    "tiling.max_k": 40,
    "tiling.panel_rows": 6,
    "tiling.group_size": 24,
    "tiling.max_passes": 3,
    "tiling.drain_lanes": 4,
    "tiling.weight_cache": 2048,
}
_MOST_OTHERWISE = 64
# What every design is given, see `_shapes`.
_SHAPES = ("rows", "cols", "tile_rows", "tile_cols", "max_k", "panel_rows")
_TRIES = 8
_SALTS = 1 << 30
_MOST_PATCHES = 12

Patch = tuple[str, st.SearchStrategy[Table]]
"""A section of a design's table, and what is drawn for it."""


def is_taken(table: Mapping[str, Any]) -> bool:
    """Whether a design is made of a table, or fails to be in another way than a refusal, which a trial then finds."""
    outcome = _Refusal()
    with outcome:
        design_of(NAME, table)
    return not outcome.is_refused


class _Refusal:
    """Whether what was done inside was refused; every other exception is let pass."""

    is_refused = False

    def __enter__(self) -> "_Refusal":
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> bool:
        self.is_refused = kind is not None and issubclass(kind, ValueError)
        return kind is not None and issubclass(kind, Exception)


@st.composite
def designs(draw: st.DrawFn, families: Sequence[str] = ()) -> Table:
    """Designs as plain data, as their TOML files hold them.

    A design begins with a family, its formats and a small array, which are drawn again while they are refused. Then
    come options, steps of the drain edge and further keys, one after the other, of which those are kept that the design
    still takes. In one of five designs something is changed after that, whether it is taken or not.

    Parameters
    ----------
    families : sequence of str
        Keys of `pe.FAMILIES`; all of them if none are given.
    """
    # Hypothesis makes no second example that begins as the simplest one does, which would leave the first family out
    draw(st.integers(0, _SALTS))
    family = draw(st.sampled_from(list(families) or list(FAMILIES)))
    table = _base(draw, family)
    patches = _patches(family)
    for _ in range(draw(st.integers(0, _MOST_PATCHES))):
        section, strategy = draw(st.sampled_from(patches))
        patched = _patched(table, section, draw(strategy))
        table = patched if is_taken(patched) else table
    if draw(st.sampled_from([False, False, False, False, True])):
        section, strategy = draw(st.sampled_from([*patches, *_WILD]))
        table = _patched(table, section, draw(strategy))
    return table


def _base(draw: st.DrawFn, family: str) -> Table:
    """A family with formats, lanes, an array and a tiling."""
    operands = operands_of(family)
    act = draw(st.sampled_from(list(operands)))
    weight = draw(st.sampled_from(operands[act]))
    lanes = draw(st.sampled_from(lanes_of(family, act, weight)))
    table: Table = {"family": family, "act": act, "weight": weight, "lanes": lanes}
    schemes = fields_of(QuantizerChoice)["scheme"]
    for tried in range(_TRIES):
        table |= draw(_shapes())
        if tried:
            # what has no sign takes other ways to be quantized
            table["quantizer"] = {side: {"scheme": draw(_values(schemes, None))} for side in ("act", "weight")}
        if is_taken(table):
            break
    return table


@st.composite
def _shapes(draw: st.DrawFn) -> Table:
    """A dataflow, an array in tiles, and a tiling."""
    array = {}
    for side in ("rows", "cols"):
        array[side] = draw(st.integers(1, _MOST[f"array.{side}"]))
        divisors = [tile for tile in range(1, array[side] + 1) if array[side] % tile == 0]
        array[f"tile_{side}"] = draw(st.sampled_from(divisors))
    tiling = {key: draw(st.integers(1, _MOST[f"tiling.{key}"])) for key in ("max_k", "panel_rows")}
    return {"dataflow": draw(st.sampled_from(list(ENGINES))), "array": array, "tiling": tiling}


@functools.cache
def _patches(family: str) -> list[Patch]:
    """Everything else that can be said of a design of this family."""
    kind = FAMILIES[family]
    options = {name: field for name, field in fields_of(kind).items() if name in kind.options()}
    keys = fields_of(DrainChoice)
    found = [("options", _some({name: field})) for name, field in options.items()]
    found += [("array", _some({name: field}, "array.")) for name, field in _others(Shape).items()]
    found += [("tiling", _some({name: field}, "tiling.")) for name, field in _others(Tiling).items()]
    found += [("bus", _some(fields_of(Bus)))]
    found += [("accumulator", _some(fields_of(AccumulatorChoice)))]
    found += [(f"quantizer.{side}", _some(fields_of(QuantizerChoice))) for side in ("act", "weight")]
    for step in STEPS:
        found.append(("drain", _keys_of(step.keys, keys)))
    found.append(("drain", _some({"arithmetic": keys["arithmetic"]})))
    found.append(("drain.accumulator", _some(fields_of(AccumulatorChoice))))
    return found


def _others(kind: type) -> dict[str, Field]:
    """Fields of an array or a tiling that `_shapes` does not draw."""
    return {name: field for name, field in fields_of(kind).items() if name not in _SHAPES}


def _some(fields: Mapping[str, Field], where: str = "") -> st.SearchStrategy[Table]:
    """One to three of some fields, each with a value that its annotation admits."""
    values = {name: _values(field, _MOST.get(where + name)) for name, field in fields.items()}
    names = st.lists(st.sampled_from(list(fields)), min_size=1, max_size=min(3, len(fields)), unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: values[name] for name in chosen}))


def _keys_of(keys: Sequence[Any], fields: Mapping[str, Field]) -> st.SearchStrategy[Table]:
    """The first key of a step, or another one that alone makes it; and some of its other keys."""
    values = {key.name: _key_values(key, fields[key.name]) for key in keys}
    names = st.lists(st.sampled_from(list(values)), max_size=2, unique=True)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: values[name] for name in dict.fromkeys([keys[0].name, *chosen])})
    )


def _key_values(key: Any, field: Field) -> st.SearchStrategy[Any]:
    """Values of a drain step's key other than its default, as far as it reads them."""
    if field.kind is not str or field.choices is not None:
        return _values(field, None)
    readable = [name for name in _FORMATS if _reads(key, name)]
    return st.sampled_from([*readable, key.default])


def _reads(key: Any, name: str) -> bool:
    outcome = _Refusal()
    with outcome:
        key.read(f"Drain {key.name}", name)
    return not outcome.is_refused


_FORMATS = tuple(dict.fromkeys([*POOL, *FLOATS]))


def _values(field: Field, most: int | None) -> st.SearchStrategy[Any]:
    """Values that a field takes, small ones where there are many."""
    one = _single(field, most)
    if field.length is None:
        return one
    return st.lists(one, min_size=field.length.least, max_size=field.length.most)


def _single(field: Field, most: int | None) -> st.SearchStrategy[Any]:
    if field.choices is not None:
        return st.sampled_from(list(field.choices))
    if field.kind is bool:
        return st.booleans()
    if field.kind is int:
        least = int(field.range.least) if field.range else 0
        last = min(int(field.range.most) if field.range else _MOST_OTHERWISE, least + _MOST_OTHERWISE)
        return st.integers(least, last if most is None else most)
    if field.kind is float:
        least, last = (field.range.least, field.range.most) if field.range else (0.0, 1.0)
        small = st.integers(max(-100, int(least)), min(100, int(last)))
        return small | st.floats(least, last, allow_subnormal=False)
    return st.sampled_from(_FORMATS)


def _patched(table: Table, section: str, values: Table) -> Table:
    """A copy of a table with values in a section, such as ``quantizer.act``; of the table itself if that is empty."""
    table = copy.deepcopy(table)
    place = table
    for part in filter(None, section.split(".")):
        place = place.setdefault(part, {})
    place |= values
    return table


def _spelled() -> st.SearchStrategy[str]:
    """Names of formats as the grammar spells them, of any numbers: most of them are refused."""
    return st.one_of([st.from_regex(family.pattern, fullmatch=True) for family in GRAMMAR])


# What is done to a design whether it is taken or not.
_WILD: list[Patch] = [
    *(("", st.fixed_dictionaries({side: _spelled()})) for side in ("act", "weight")),
    ("", st.fixed_dictionaries({"lanes": st.integers(0, 65)})),
    ("", st.fixed_dictionaries({"family": st.sampled_from(list(FAMILIES))})),
    ("drain", st.fixed_dictionaries({key.name: _spelled() for key in STEPS[0].keys})),
]
