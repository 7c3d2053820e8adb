"""Truth tables against plain evaluation."""

import itertools
import random

import pytest

from fpga.map.truth import Function, splits


def value_of(function, given):
    """A function's value for nets that have the values ``given``."""
    return function.at(sum(given[net] << index for index, net in enumerate(function.nets)))


def every_choice(nets):
    return [dict(zip(nets, values, strict=True)) for values in itertools.product((0, 1), repeat=len(nets))]


def test_pins_may_share_a_net_or_be_constant():
    # a majority of 7, 7 and 1 is 7; of 7, 0 and an open pin, 0
    assert Function.of([7, 7, "1"], 0b11101000) == Function((7,), 0b10)
    assert Function.of([7, "0", "x"], 0b11101000) == Function((), 0)


@pytest.mark.parametrize("seed", range(20))
def test_functions_are_put_into_each_other(seed):
    draw = random.Random(seed)
    outer = Function.of([1, 2, 3], draw.getrandbits(8))
    inner = Function.of(draw.sample([1, 3, 4, 5], 3), draw.getrandbits(8))
    joined = outer.replaced(2, inner)
    for given in every_choice([1, 3, 4, 5]):
        assert value_of(joined, given) == value_of(outer, {**given, 2: value_of(inner, given)})
    for net in joined.nets:
        pairs = [({**given, net: 0}, {**given, net: 1}) for given in every_choice([1, 3, 4, 5])]
        assert any(value_of(joined, low) != value_of(joined, high) for low, high in pairs)


@pytest.mark.parametrize("seed", range(20))
def test_parts_of_a_split_make_the_function(seed):
    draw = random.Random(seed)
    inner = Function.of([1, 2, 3, 4], draw.getrandbits(16))
    # of a net of its own and one that both have
    function = Function.of([99, 5, 4], draw.getrandbits(8)).replaced(99, inner)
    found = list(splits(function, 99))
    assert bool(found) == (len(function.nets) == 5)
    for part, rest in found:
        assert len(part.nets) <= 4 and len(rest.nets) <= 3
        assert rest.replaced(99, part).over([1, 2, 3, 4, 5]) == function.over([1, 2, 3, 4, 5])


def test_a_parity_of_six_splits_in_every_way():
    parity = Function(tuple(range(6)), sum((values.bit_count() & 1) << values for values in range(64)))
    assert {part.nets for part, _rest in splits(parity, 99)} >= set(itertools.combinations(range(6), 4))


def test_what_does_not_split_is_left():
    # at least three of five: which is known only with all of them
    threshold = Function(tuple(range(5)), sum((values.bit_count() >= 3) << values for values in range(32)))
    assert list(splits(threshold, 99)) == []
