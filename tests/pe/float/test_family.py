"""Exact sums of products of floats, posits and integers, against exact rational arithmetic."""

import re
from fractions import Fraction

import numpy as np
import pytest

from pe.base import PEError
from pe.float.family import FloatProduct
from pe.operands.parts import FloatEncoder
from sw_ref.arith.accumulate import OVERFLOWS, Accumulator, bits_for
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.parts import parts_of, split
from sw_ref.interval import Interval
from sw_ref.wide import integer_type
from tb.core import Trial, simulate_cores
from tb.draw import draw
from tb.units import UnitTrial, simulate_units

RANDOM_STEPS = 1024


class ExactTrial(Trial):
    """A trial whose sums are those of exact values; codes that stand for no number are 0."""

    @property
    def sums(self):
        units = [exact_units(form) for form in (self.pe.act, self.pe.weight)]
        dots = []
        for addend, *step in zip(self.addend, self.act, self.weight, self.mask, strict=True):
            terms = (units[0][a] * units[1][w] for a, w, counts in zip(*step, strict=True) if counts)
            dots.append(kept(int(addend) + sum(terms), self.accumulator))
        return np.array(dots, integer_type(self.accumulator.bits))


def exact_units(form):
    """The value of each code in units of the last bit."""
    lsb = Fraction(2) ** parts_of(form).lsb
    values = form.decode(np.arange(1 << form.bits))
    units = [Fraction(value) / lsb if np.isfinite(value) else Fraction(0) for value in values.tolist()]
    assert all(unit.denominator == 1 for unit in units)
    return [int(unit) for unit in units]


def kept(exact, accumulator):
    bounds = accumulator.interval
    if accumulator.overflow == "saturate":
        return min(max(exact, bounds.lo), bounds.hi)
    if accumulator.overflow == "wrap":
        return (exact - bounds.lo) % (1 << accumulator.bits) + bounds.lo
    assert exact in bounds
    return exact


def trial(pe, accumulator, random):
    """Every pair of codes, if they have 16 bits at most and there is one lane; else random codes."""
    bits = pe.act.bits, pe.weight.bits
    if pe.lanes == 1 and sum(bits) <= 16:
        pairs = np.arange(1 << sum(bits))[:, None]
        act, weight = pairs >> bits[1], pairs & ((1 << bits[1]) - 1)
    else:
        act, weight = (random.integers(0, 1 << width, (RANDOM_STEPS, pe.lanes)) for width in bits)
    mask = random.random(act.shape) < 0.9
    room = accumulator.interval
    if accumulator.overflow == "refuse":
        step = pe.term | 0
        room = Interval(room.lo - step.lo, room.hi - step.hi)
    addend = draw(random, room, len(act))
    addend[:30] = np.resize([room.lo, room.hi, 0], 30)
    return ExactTrial(pe=pe, accumulator=accumulator, act=act, weight=weight, mask=mask, addend=addend)


def element(act, weight, lanes=1, pipeline=0):
    return FloatProduct(act=parse_format(act), weight=parse_format(weight), lanes=lanes, pipeline=pipeline)


PAIRS = [
    ("fp8_e4m3", "fp8_e4m3"),
    ("fp8_e5m2", "fp8_e5m2"),
    ("fp4_e2m1", "fp8_e4m3"),
    ("posit8_0", "posit8_0"),
    ("rf8", "rf8"),
    ("int4", "fp8_e4m3"),
    ("uint4", "ue4m3"),
    ("fixed4_2", "e3m1_flushed"),
    ("ue3m2_nozero", "fp4_e3m0"),
    ("fp4_e1m2", "fp4_e1m2"),
    ("int4", "pot4"),
    ("nf4", "posit4_1"),
]


@pytest.mark.long
def test_every_pair_of_codes():
    random = np.random.default_rng(0)
    trials = []
    for index, (act, weight) in enumerate(PAIRS):
        pe = element(act, weight, pipeline=index % 5)
        overflow = OVERFLOWS[index % 3]
        bits = bits_for(pe.term, 100) if overflow == "refuse" else pe.term.signed_bits - 3
        trials.append(trial(pe, Accumulator(bits, overflow), random))
    assert simulate_cores(trials).failure is None


@pytest.mark.long
def test_several_lanes_and_wide_codes():
    random = np.random.default_rng(1)
    elements = [
        element("fp8_e4m3", "fp8_e4m3", lanes=4, pipeline=5),
        element("fp8_e5m2", "int8", lanes=3, pipeline=1),
        element("posit16_1", "posit16_1", pipeline=8),
        element("posit10_0", "posit12_0", lanes=2),
        element("fp16", "int16", pipeline=1),
        element("e4m8_ieee", "e4m6_fn", lanes=2, pipeline=2),
    ]
    trials = [trial(pe, Accumulator(bits_for(pe.term, 8)), random) for pe in elements]
    trials += [trial(elements[0], sums, random) for sums in (Accumulator(9, "wrap"), Accumulator(37, "saturate"))]
    assert simulate_cores(trials).failure is None


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(
            ("fp8_e4m3", "fp8_e5m2", "e8m0", "ue5m3", "posit8_0", "posit8_2", "rf8", "int8", "uint4", "bitmod4_3"),
            marks=pytest.mark.long,
        ),
        pytest.param(("posit16_1", "posit16_3", "posit9_0", "posit10_2", "posit12_0"), marks=pytest.mark.long),
        ("bf16", "fp16", "int16"),
    ],
)
def test_encoders_give_the_parts_of_every_code(names):
    trials = []
    for form in map(parse_format, names):
        codes = np.arange(1 << form.bits)
        parts = parts_of(form)
        negative, significand, exponent = split(form, codes)
        operand = significand | exponent << parts.significand_bits
        operand |= (negative & parts.signed).astype(np.int64) << (parts.significand_bits + parts.exponent_bits)
        unit = FloatEncoder(form=form, lanes=1, masked=False)
        some = significand > 0
        trials.append(UnitTrial(unit=unit, inputs={"codes": codes[some]}, expected={"operand": operand[some]}))
    assert simulate_units(trials).failure is None


@pytest.mark.parametrize(
    ("pe", "name", "row_bits", "column_bits", "term"),
    [
        (element("fp8_e4m3", "fp8_e4m3"), "float_fp8_e4m3_fp8_e4m3", 9, 9, Interval(-(229376**2), 229376**2)),
        (element("int4", "ue4m3", lanes=2), "float_int4_ue4m3_x2", 10, 16, Interval(-16 * 229376, 14 * 229376)),
        (
            element("codebook[-300,7]", "fp4_e2m1", pipeline=2),
            "float_codebook_m300_7_fp4_e2m1_p2",
            10,
            5,
            Interval(-3600, 3600),
        ),
    ],
)
def test_name_widths_and_term(pe, name, row_bits, column_bits, term):
    assert (pe.name, pe.row_bits, pe.column_bits, pe.term) == (name, row_bits, column_bits, term)
    assert pe.core(Accumulator(63)).name == f"{name}_acc63"


def test_term_is_exact_beyond_64_bits():
    largest = 57344 * 2**16
    assert element("fp8_e5m2", "fp8_e5m2").term == Interval(-(largest**2), largest**2)
    assert element("posit16_1", "posit16_1").term == Interval(-(2**112), 2**112)


@pytest.mark.parametrize(
    ("act", "weight", "options", "message"),
    [
        ("int8", "fixed8_6", {}, "Family float takes a format that is no integer, not int8 x fixed8_6"),
    ],
)
def test_what_does_not_fit_is_refused(act, weight, options, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        FloatProduct(act=parse_format(act), weight=parse_format(weight), **options)
