"""Rounded tables against fractions, and against exact products where nothing is rounded."""

from fractions import Fraction

import numpy as np
import pytest

from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.gemm import gemm
from sw_ref.arith.table import RoundedTable
from sw_ref.formats.base import Int
from sw_ref.formats.signs import Bipolar

RULES = [
    RoundedTable(k=2, planes=1, shift=1, bits=8),
    RoundedTable(k=4, planes=2, shift=2, bits=8),
    RoundedTable(k=3, planes=4, shift=7, bits=3),
]


def signs_of(weight, planes):
    """The signs whose sum, each times its power of two, is the weight: found by trying all."""
    choices = [[1 if code >> plane & 1 else -1 for plane in range(planes)] for code in range(1 << planes)]
    (found,) = (signs for signs in choices if sum(sign << plane for plane, sign in enumerate(signs)) == weight)
    return found


def step_of(rule, act, weight):
    """One step, in rational numbers."""
    total, largest = 0, 2 ** (rule.bits - 1) - 1
    for start in range(0, len(act), rule.k):
        for plane in range(rule.planes):
            signs = [signs_of(one, rule.planes)[plane] for one in weight[start : start + rule.k]]
            entry = sum(sign * one for sign, one in zip(signs, act[start : start + rule.k], strict=True))
            # round() takes a tie to the even integer
            total += max(-largest, min(largest, round(Fraction(entry, 2**rule.shift)))) * 2**plane
    return total


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_step_is_that_of_fractions(rule):
    random = np.random.default_rng(0)
    act = random.integers(-128, 128, (300, 2 * rule.k))
    # some at the bounds, where entries saturate
    act[::3] = random.choice([-128, 127], act[::3].shape)
    weight = Bipolar(rule.planes).to_fixed(random.integers(0, 1 << rule.planes, act.shape))
    expected = [step_of(rule, *one) for one in zip(act.tolist(), weight.tolist(), strict=True)]
    np.testing.assert_array_equal(rule.dots(act, weight), expected)
    np.testing.assert_array_equal(rule.dots(-act, weight), np.negative(expected))
    assert rule.lsb == rule.shift


@pytest.mark.parametrize("depth", [1, 7, 12, 13])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_product_is_the_sum_of_its_steps(rule, depth):
    random = np.random.default_rng(1)
    act = random.integers(-128, 128, (3, depth))
    weight = Bipolar(rule.planes).to_fixed(random.integers(0, 1 << rule.planes, (depth, 2)))
    missing = -depth % rule.k
    for m in range(3):
        for n in range(2):
            # activations that are not there count as 0
            row = [*act[m].tolist(), *[0] * missing]
            column = [*weight[:, n].tolist(), *[1] * missing]
            assert rule.matmul(act, weight)[m, n] == step_of(rule, row, column)


def test_wide_tables_are_exact():
    random = np.random.default_rng(2)
    act = random.integers(-128, 128, (5, 17))
    weight = Bipolar(3).to_fixed(random.integers(0, 8, (17, 4)))
    rule = RoundedTable(k=4, planes=3, shift=0, bits=11)
    np.testing.assert_array_equal(rule.matmul(act, weight), act @ weight)


def test_groups_and_saturation_follow_the_rule():
    """A step at a time through an accumulator that saturates, in units of the rounded entries."""
    rule, random = RULES[1], np.random.default_rng(3)
    codes = random.integers(0, 256, (1, 20)), random.integers(0, 4, (20, 1))
    act, weight = Int(8).to_fixed(codes[0])[0].tolist(), Bipolar(2).to_fixed(codes[1])[:, 0].tolist()
    sums = gemm(
        *codes, act=Int(8), weight=Bipolar(2), accumulator=Accumulator(7, "saturate"), group_size=12, step=4, rule=rule
    )
    for group, starts in zip(sums[:, 0, 0].tolist(), ((0, 4, 8), (12, 16)), strict=True):
        kept = 0
        for start in starts:
            kept = max(-64, min(63, kept + step_of(rule, act[start : start + 4], weight[start : start + 4])))
        assert group == kept
