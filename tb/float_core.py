"""Simulates cells whose sums are floats: steps that round, cancel and overflow, and what the model makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pe.float.family import FloatProduct
from pe.float.rounded import lowest_exponents
from sw_ref.arith.float_codes import round_to, value_of
from sw_ref.arith.float_sum import FloatSum, PartialSum
from sw_ref.formats.base import Format
from tb.core import Trial
from tb.draw import few_bits

__all__ = [
    "FloatTrial",
    "chain_of_steps",
    "code_steps",
    "float_trial_of",
    "random_steps",
    "starts_of",
    "steps_of",
    "tie_steps",
    "trial_of_steps",
    "values",
]

# Sign and exponent of bf16.
_HIGH_BITS = 9


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatTrial(Trial):
    """Steps whose sums are given."""

    expected: np.ndarray

    @property
    def sums(self) -> np.ndarray:
        unused = 64 - self.accumulator.bits
        return self.expected << unused >> unused


def values(form: Format, codes: np.ndarray) -> np.ndarray:
    """What codes stand for; 0 for those that are not finite."""
    decoded = form.decode(codes)
    return np.where(np.isfinite(decoded), decoded, 0)


def steps_of(
    pe: FloatProduct, sums: FloatSum, act: np.ndarray, weight: np.ndarray, mask: np.ndarray, start: np.ndarray | int
) -> dict[str, np.ndarray]:
    """All steps of rows ``act`` (M, lanes), ``mask`` (M, lanes) and columns ``weight`` (lanes, N)."""
    start = np.broadcast_to(start, (len(act), weight.shape[1]))
    expected = sums.sums(
        values(pe.act, act) * mask, values(pe.weight, weight), pe.lanes, lowest=lowest_exponents(pe), start=start
    )
    rows, columns = (index.ravel() for index in np.indices(start.shape))
    return {
        "act": act[rows],
        "weight": weight.T[columns],
        "mask": mask[rows],
        "addend": start.ravel(),
        "expected": expected.ravel(),
    }


def trial_of_steps(pe: FloatProduct, sums: FloatSum, parts: Sequence[Mapping[str, np.ndarray]]) -> FloatTrial:
    """One trial of many `steps_of`."""
    return FloatTrial(
        pe=pe, accumulator=sums, **{key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    )


def starts_of(pe: FloatProduct, sums: FloatSum, dots: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Codes of sums: next to what takes ``dots`` away, of exponents near theirs, few bits, and from everywhere."""
    kind = random.random(dots.shape)
    if isinstance(sums, PartialSum):
        lowest = sum(lowest_exponents(pe)) + sums.bias
        x = np.where(kind < 0.7, np.frexp(dots)[1] + sums.bias + random.integers(-20, 20, dots.shape), lowest + 3)
        x = np.where(kind < 0.1, random.integers(0, 600, dots.shape), x).clip(0, 1000)
        width = sums.significand + 1
        s = random.integers(-(1 << width - 1), 1 << width - 1, dots.shape) >> random.integers(0, width, dots.shape)
        return np.where(kind > 0.95, 0, x << width | s & ((1 << width) - 1))
    shape = sums.shape
    near = -dots * (1 + random.integers(-3, 4, dots.shape) * 2.0 ** -random.integers(0, shape.fraction + 3, dots.shape))
    away = dots * 2.0 ** random.integers(-shape.fraction - 9, shape.fraction + 9, dots.shape) * random.normal()
    few = few_bits(random, dots.shape, shape.fraction) * 2.0 ** (np.frexp(away)[1] - 1)
    anywhere = value_of(shape, random.integers(0, 1 << shape.bits, dots.shape))
    others = np.where(np.isnan(anywhere), np.inf, anywhere)
    real = np.select([kind < 0.3, kind < 0.6, kind < 0.9], [near, away, few], others)
    codes = round_to(shape, real).astype(np.int64)
    return np.where(value_of(shape, codes) == 0, 0, codes)


def random_steps(
    pe: FloatProduct, sums: FloatSum, random: np.random.Generator, count: int = 32
) -> dict[str, np.ndarray]:
    """Every one of ``count`` rows with every one of as many columns."""
    act = random.integers(0, 1 << pe.act.bits, (count, pe.lanes))
    weight = random.integers(0, 1 << pe.weight.bits, (pe.lanes, count))
    # half of the columns have exponents at which products of wide formats are neither large nor small
    real = random.normal(size=(pe.lanes, count // 2))
    weight[:, ::2] = pe.weight.encode(real / np.maximum(np.abs(values(pe.act, act)).mean(), 1e-30))
    mask = random.random(act.shape) < 0.85
    dots = (values(pe.act, act) * mask) @ values(pe.weight, weight)
    return steps_of(pe, sums, act, weight, mask, starts_of(pe, sums, dots, random))


def chain_of_steps(
    pe: FloatProduct, sums: FloatSum, random: np.random.Generator, steps: int = 40
) -> list[dict[str, np.ndarray]]:
    """A long sum that cancels, whose every step begins with what came out of the one before."""
    act, weight = random.normal(size=(6, steps, pe.lanes)), random.normal(size=(steps, pe.lanes, 6))
    act[:, steps // 2 :], weight[steps // 2 :] = act[:, : steps // 2], -weight[: steps // 2]
    act, weight = pe.act.encode(act).astype(np.int64), pe.weight.encode(weight).astype(np.int64)
    parts, start = [], 0
    for step in range(steps):
        parts.append(steps_of(pe, sums, act[:, step], weight[step], np.ones((6, pe.lanes), bool), start))
        start = parts[-1]["expected"].reshape(6, 6)
    return parts


def tie_steps(pe: FloatProduct, sums: FloatSum, random: np.random.Generator, count: int = 40) -> dict[str, np.ndarray]:
    """Rows and columns of numbers with few bits."""
    act, weight = (few_bits(random, shape, 7) for shape in ((count, pe.lanes), (pe.lanes, count)))
    act, weight = pe.act.encode(act).astype(np.int64), pe.weight.encode(weight).astype(np.int64)
    mask = np.ones(act.shape, bool)
    dots = values(pe.act, act) @ values(pe.weight, weight)
    return steps_of(pe, sums, act, weight, mask, starts_of(pe, sums, dots, random))


def code_steps(pe: FloatProduct, sums: FloatSum, random: np.random.Generator) -> list[dict[str, np.ndarray]]:
    """Codes of all kinds of each side, in all lanes, times 1 and times the largest number."""
    parts = []
    sides = pe.act, pe.weight
    two = [np.stack([form.encode(np.full(pe.lanes, real)) for real in (1.0, form.bounds[1])]) for form in sides]
    every = [np.repeat(_kinds(form, random)[:, None], pe.lanes, axis=1) for form in sides]
    for act, weight in ((every[0], two[1].T.astype(np.int64)), (two[0].astype(np.int64), every[1].T)):
        dots = values(pe.act, act) @ values(pe.weight, weight)
        parts.append(steps_of(pe, sums, act, weight, np.ones(act.shape, bool), starts_of(pe, sums, dots, random)))
    return parts


def _kinds(form: Format, random: np.random.Generator) -> np.ndarray:
    """Every code of up to 10 bits; of more, all highest bits with none, one, all and random ones of the others."""
    low = max(0, form.bits - _HIGH_BITS)
    if low <= 1:
        return np.arange(1 << form.bits)
    high = np.arange(1 << _HIGH_BITS)[:, None] << low
    lows = [0, (1 << low) - 1, *(1 << place for place in range(low))]
    return np.concatenate([high | lows, high | random.integers(0, 1 << low, high.shape)], axis=1).ravel()


def float_trial_of(pe: FloatProduct, sums: FloatSum, *, random: np.random.Generator) -> FloatTrial:
    """A trial of one core: random steps, ties, codes of all kinds, and long sums that cancel."""
    parts = [random_steps(pe, sums, random), tie_steps(pe, sums, random), *code_steps(pe, sums, random)]
    return trial_of_steps(pe, sums, [*parts, *chain_of_steps(pe, sums, random)])
