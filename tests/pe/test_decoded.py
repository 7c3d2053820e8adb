"""Decoders at the edges against the formats, their cells against the model, and what the family does not take."""

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pe.base import PEError
from pe.decoded import Decoded
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.nonfinite import zeroed
from sw_ref.interval import Interval
from tb.core import simulate_cores, trial_of
from tb.units import UnitTrial, simulate_units

# tables and shifts, with and without codes that are not finite, of every kind of lowest exponent
FORMATS = [
    "nf4",
    "posit6_1",
    "posit8_0",
    "rf8",
    "bitmod4_2",
    "fp6_e3m2",
    "fp8_e4m3",
    "fp8_e4m3_ieee",
    "fp8_e5m2",
    "e3m3",
    "e4m4_flushed",
    "e3m8_bias-2",
    "ue4m3",
    "ue5m3_ieee",
    "e4m6_fn",
    "ue4m6_finite_nozero",
    "fp16",
]


def test_cells_are_those_of_the_integer_family():
    pe = Decoded(act=Int(8), weight=parse_format("nf4"))
    assert pe.name == "nf4_shift_add_int8_int8_booth4"
    assert pe.core(Accumulator(24)).name == "shift_add_int8_int8_booth4_acc24"
    assert pe.term == Interval(-128 * 127, 128 * 127)
    assert (pe.row_bits, pe.column_bits) == (8, 12)


def test_both_sides_are_decoded():
    pe = Decoded(act=parse_format("fp6_e2m3"), weight=parse_format("fp4_e2m1"), cell="mac", lanes=2)
    assert pe.name == "fp6_e2m3_fp4_e2m1_mac_int7_int5_x2"
    assert pe.term == Interval(-2 * 60 * 12, 2 * 60 * 12)
    assert (pe.row_bits, pe.column_bits) == (14, 10)
    assert pe.row_encoder(masked=True).name == "fp6_e2m3_to_mac_int7_int5_x2_act_masked"


@pytest.mark.parametrize(
    ("act", "weight", "options", "name"),
    [
        ("fp16", "bipolar1", {"cell": "table", "k": 4}, "fp16_table_int41_bipolar1_x4_k4"),
        ("fp8_e4m3", "ternary", {"cell": "ternary_table"}, "fp8_e4m3_ternary_table_int19_ternary_x4_k2"),
        ("fp16", "pot4", {}, "fp16_shift_add_int41_pot4_x4"),
        ("fp16", "pot4", {"cell": "mac"}, "fp16_pot4_mac_int41_int8_x4"),
    ],
)
def test_weights_that_a_cell_takes_are_not_decoded(act, weight, options, name):
    pe = Decoded(act=parse_format(act), weight=parse_format(weight), lanes=4, **options)
    assert pe.name == name


def test_name_of_an_unnamed_codebook_tells_its_values():
    pe = Decoded(act=Int(8), weight=parse_format("codebook[-8,-3,0,5]"), lanes=2, cell="mac")
    assert pe.name == "codebook_m8_m3_0_5_mac_int8_int4_x2"


def integers(form):
    """What all codes stand for in units of the last bit, by exact division; 0 for what is not finite."""
    unit = Fraction(2) ** form.fixed.lsb
    values = form.decode(np.arange(1 << form.bits)).tolist()
    quotients = [Fraction(value) / unit if np.isfinite(value) else Fraction(0) for value in values]
    assert all(quotient.denominator == 1 for quotient in quotients)
    return np.array([int(quotient) for quotient in quotients])


@pytest.mark.long
def test_every_code_is_decoded():
    trials = []
    for form in map(parse_format, FORMATS):
        # the operand of such a cell is the integer itself
        encoder = Decoded(act=form, weight=Int(4), cell="mac").row_encoder(masked=False)
        codes = np.arange(1 << form.bits)
        trials.append(UnitTrial(unit=encoder, inputs={"codes": codes}, expected={"operand": integers(form)}))
    assert simulate_units(trials).failure is None


@pytest.mark.long
def test_wide_integers_are_multiplied():
    operands: list[tuple[str, str, int, Any]] = [
        ("fp16", "int4", 2, "shift_add"),
        ("fp16", "bipolar1", 4, "table"),
        ("fp8_e5m2", "ternary", 2, "ternary_table"),
        ("fp8_e4m3", "fp6_e2m3", 1, "mac"),
        ("posit8_0", "posit6_0", 1, "shift_add"),
    ]
    random, trials = np.random.default_rng(0), []
    for act, weight, lanes, cell in operands:
        pe = Decoded(act=parse_format(act), weight=parse_format(weight), lanes=lanes, cell=cell)
        trial = trial_of(pe, Accumulator(60), random=random)
        trials.append(replace(trial, act=zeroed(pe.act, trial.act), weight=zeroed(pe.weight, trial.weight)))
    assert simulate_cores(trials).failure is None


@pytest.mark.parametrize(
    ("act", "weight", "options", "message"),
    [
        ("int8", "int4", {}, "Family decoded takes a format that shift_add does not, not int8 x int4"),
        ("int8", "ternary", {}, "Family decoded takes a format that shift_add does not, not int8 x ternary"),
        (
            "bf16",
            "int4",
            {},
            "Family decoded takes fixed-point values of at most 53 bits, unlike those of bf16, which "
            "family float takes",
        ),
        (
            "int8",
            "posit16_1",
            {},
            "Family decoded takes fixed-point values of at most 53 bits, unlike those of "
            "posit16_1, which family float takes",
        ),
        ("posit12_0", "nf4", {}, "Family decoded takes codes of at most 8 bits unless they are floats, not posit12_0"),
        ("int8", "nf4", {"cell": "lut"}, "Option cell must be one of shift_add, mac, table, ternary_table, not 'lut'"),
        ("int8", "nf4", {"k": 4}, "Option k must be 2 unless cell is table or ternary_table, not 4"),
        ("fp16", "int4", {"cell": "table"}, "Family table takes bipolar weights, such as bipolar2, not int4"),
    ],
)
def test_what_does_not_fit_is_refused(act, weight, options, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        Decoded(act=parse_format(act), weight=parse_format(weight), **options)
