"""What `make test` runs of tests that have many cases, and what is left to `make test-all`."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeVar

import pytest

from macforge.design.design import Design, load_design
from macforge.design.named import design_names

__all__ = ["each_once", "few", "named", "named_designs", "some"]

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
def named(name: str) -> Design:
    """A named design as it is, loaded once for all the tests that choose among them."""
    return load_design(name)


@cache
def _representatives(quantized: bool) -> frozenset[str]:
    """As few designs as it takes to have each family and dataflow, kind of sum, and last step of the drain edge once.

    If ``quantized``, each quantizer too.
    """
    traits = {name: _traits(named(name), quantized) for name in design_names()}
    missing, chosen = set().union(*traits.values()), set()
    while missing:
        best = max(traits, key=lambda name: len(traits[name] & missing))
        chosen.add(best)
        missing -= traits[best]
    return frozenset(chosen)


def _traits(design: Design, quantized: bool) -> set[tuple[str, ...]]:
    steps = [type(step).__name__ for step in design.drain.steps]
    found = {("family", design.family, design.dataflow), ("sums", design.accumulator.kind), ("last step", *steps[-1:])}
    if quantized:
        found |= {("weights", design.quantizer.weight.method), ("activations", design.quantizer.act.method)}
    return found


def named_designs(*, quantized: bool = True) -> list[object]:
    """All named designs as parameters; quick are representatives, of quantizers too if the test has to do with them."""
    return some(design_names(), lambda name: name in _representatives(quantized))
