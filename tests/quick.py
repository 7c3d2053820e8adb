"""What `make test` runs of tests that have many cases, and what is left to `make test-all`."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeVar

import pytest

from macforge.design.design import load_design
from macforge.design.named import design_names

__all__ = ["each_once", "few", "named_designs", "some"]

_T = TypeVar("_T")


def some(cases: Iterable[_T], quick: Callable[[_T], bool]) -> list[object]:
    """All cases as parameters of a test, a tuple for several; those that are not ``quick`` are marked ``long``."""
    return [case if quick(case) else _long(case) for case in cases]


def few(cases: Iterable[object], every: int) -> list[object]:
    """All cases, of which one in ``every`` is quick, the first of all among them."""
    return [_long(case) if i % every else case for i, case in enumerate(cases)]


def _long(case: object) -> object:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)


def each_once(*axes: Iterable[object], every: int = 1) -> list[object]:
    """All combinations of several axes; quick are as few as it takes to have each value of each axis once.

    With ``every``, one in so many of these.
    """
    lists = [list(axis) for axis in axes]
    longest = max(map(len, lists))
    quick = {tuple(axis[i % len(axis)] for axis in lists) for i in range(0, longest, every)}
    combined: list[tuple] = [()]
    for axis in lists:
        combined = [(*before, value) for before in combined for value in axis]
    return [pytest.param(*each, marks=() if each in quick else pytest.mark.long) for each in combined]


@cache
def _representatives() -> frozenset[str]:
    """One design of each family and dataflow, kind of sum, quantizer, and last step of the drain edge."""
    chosen: dict[object, str] = {}
    for name in design_names():
        design = load_design(name)
        steps = tuple(type(step).__name__ for step in design.drain.steps)
        traits = [
            ("family", design.family, design.dataflow),
            ("sums", design.accumulator.kind),
            ("weights", design.quantizer.weight.method),
            ("activations", design.quantizer.act.method),
            ("last step", steps[-1:] and steps[-1]),
        ]
        if any(trait not in chosen for trait in traits):
            chosen |= {trait: name for trait in traits if trait not in chosen}
    return frozenset(chosen.values())


def named_designs(*more: str) -> list[object]:
    """All named designs as parameters; quick are representatives, and ``more``."""
    return some(design_names(), lambda name: name in _representatives() or name in more)
