"""Cells whose sums are floats, against the model, bit for bit."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

from pe.base import PEError
from pe.float.family import FloatProduct
from pe.float.rounded import finish_unit, round_core
from sw_ref.arith.float_codes import value_of
from sw_ref.arith.float_sum import AlignedSum, FloatSum, PartialSum, RoundedSum
from sw_ref.formats.base import Int
from sw_ref.formats.minifloat import BF16, FLOATS, FP16, FP32, Float
from tb.core import simulate_cores
from tb.float_core import chain_of_steps, float_trial_of, starts_of, steps_of, trial_of_steps, values
from tb.units import UnitTrial, simulate_units
from tests.quick import few
from tests.typed import present

E4M3, E2M1, BF16_CODES = FLOATS["fp8_e4m3"], FLOATS["fp4_e2m1"], FLOATS["bf16"]
E4M3_FLUSHED = Float(4, 3, specials="fn", lowest="zero")
BF16_FLUSHED = Float(8, 7, specials="ieee", lowest="zero")
FP22 = AlignedSum(13, Float(8, 13, specials="ieee"))
PARTIAL = [PartialSum(), PartialSum((1, 2)), PartialSum((1, 3)), PartialSum((2, 4))]


@dataclass(frozen=True, kw_only=True)
class Rounding(FloatProduct):
    """Family float with the cores of this module."""

    def core(self, accumulator):
        assert isinstance(accumulator, FloatSum)
        return round_core(self, accumulator)


def all_pairs(pe, sums, random, repeats):
    """Every pair of codes, each several times, with different sums to start from."""
    act, weight = np.arange(1 << pe.act.bits)[:, None], np.arange(1 << pe.weight.bits)[None, :]
    dots = values(pe.act, act) @ values(pe.weight, weight)
    mask = np.ones(act.shape, bool)
    return [steps_of(pe, sums, act, weight, mask, starts_of(pe, sums, dots, random)) for _ in range(repeats)]


def pe_of(act, weight=None, **options):
    return Rounding(act=act, weight=weight or act, **options)


SMALL = [
    RoundedSum(Float(3, 2, specials="ieee")),
    RoundedSum(Float(4, 5, specials="ieee")),
    AlignedSum(3, Float(3, 3, specials="ieee")),
    AlignedSum(8, BF16),
]
PAIRS = [
    (pe_of(E4M3), RoundedSum(FP32)),
    (pe_of(E4M3_FLUSHED), RoundedSum(FP16)),
    (pe_of(E4M3), FP22),
    (pe_of(E4M3), PartialSum(None, 8)),
    (pe_of(E4M3, Int(4)), RoundedSum(FP16)),
    (pe_of(E4M3, pipeline=1, interleave=3), RoundedSum(BF16)),
]
WIDE = [
    *((pe_of(BF16_FLUSHED), sums) for sums in (RoundedSum(FP32), RoundedSum(BF16), *PARTIAL)),
    (pe_of(BF16_CODES), RoundedSum(FP32)),
    (pe_of(BF16_CODES, lanes=2, pipeline=1, interleave=5), AlignedSum(24, FP32)),
    (pe_of(BF16_FLUSHED, pipeline=3, interleave=9), RoundedSum(FP32)),
    *((pe_of(BF16_FLUSHED, pipeline=1, interleave=6), sums) for sums in PARTIAL[:2]),
    (pe_of(FLOATS["fp16"]), RoundedSum(FP32)),
    (pe_of(FLOATS["fp16"], E4M3), FP22),
    (pe_of(E4M3, lanes=5, pipeline=2), FP22),
    (pe_of(E4M3, lanes=13, pipeline=4, interleave=12), FP22),
    (pe_of(E4M3, E2M1, lanes=2), RoundedSum(FP32)),
    (pe_of(E4M3, lanes=2), PartialSum((1, 3), 9)),
    (pe_of(E4M3, lanes=2, interleave=4), PartialSum((1, 3), 9)),
]


def test_all_sums_of_small_formats():
    """Every pair of codes with every code of a sum."""
    random = np.random.default_rng(1)
    trials = []
    for sums in SMALL[:3:2]:
        pe = pe_of(E2M1)
        finite = np.arange(1 << sums.bits)
        number = value_of(sums.shape, finite)
        finite = finite[~np.isnan(number) & ((number != 0) | (finite == 0))]
        act, weight = np.arange(16)[:, None], np.arange(16)[None, :]
        parts = [steps_of(pe, sums, act, weight, np.ones((16, 1), bool), start) for start in finite]
        trials.append(trial_of_steps(pe, sums, parts))
    for sums in SMALL[1::2]:
        trials.append(trial_of_steps(pe_of(E2M1), sums, all_pairs(pe_of(E2M1), sums, random, 16)))
    assert simulate_cores(trials).failure is None


@pytest.mark.long
def test_all_pairs_of_codes():
    random = np.random.default_rng(2)
    trials = [
        trial_of_steps(pe, sums, all_pairs(pe, sums, random, 1) + chain_of_steps(pe, sums, random))
        for pe, sums in PAIRS
    ]
    assert simulate_cores(trials).failure is None


# one simulator of all takes longer to build than several of some
@pytest.mark.parametrize("part", few(range(4), 4))
def test_wide_formats_and_lanes(part):
    random = np.random.default_rng(3)
    cases = WIDE[part::4]
    trials = [float_trial_of(pe, sums, random=random) for pe, sums in cases]
    assert simulate_cores(trials).failure is None


def test_columns_end_in_the_models_numbers():
    random = np.random.default_rng(4)
    pe, trials = pe_of(BF16_FLUSHED), []
    for pipeline, sums in enumerate([*PARTIAL, PartialSum((1, 2), 9, FP16)]):
        codes = starts_of(pe, sums, random.normal(size=4000) * 2.0 ** random.integers(-140, 140, 4000), random)
        ends = [1 << sums.significand, (2 << sums.significand) - 1, 600 << sums.significand + 1 | 1]
        codes = np.concatenate([codes, ends])
        unit = present(finish_unit(sums, pipeline=pipeline))
        trials.append(UnitTrial(unit=unit, inputs={"sum": codes}, expected={"code": sums.finish(codes)}))
        assert unit.latency == pipeline
    assert simulate_units(trials).failure is None


@pytest.mark.parametrize("sums", [RoundedSum(FP32), FP22], ids=lambda sums: sums.name)
def test_rounded_and_aligned_sums_are_results(sums):
    assert finish_unit(sums, pipeline=0) is None


def test_names_tell_everything():
    names = [round_core(pe, sums).name for pe, sums in PAIRS + WIDE]
    assert names[0] == "float_fp8_e4m3_fp8_e4m3_fp32"
    assert names[2] == "float_fp8_e4m3_fp8_e4m3_aligned13_e8m13_ieee"
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("form", "sums", "message"),
    [
        (BF16_CODES, PartialSum(None, 15), "Significand must be of 16 bits at least, for exact products, not 15"),
        (
            Float(8, 3, bias=200),
            PartialSum(),
            "Exponents of products must be at least -252, not -398",
        ),
    ],
)
def test_products_that_do_not_fit_are_refused(form, sums, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        round_core(pe_of(form), sums)
