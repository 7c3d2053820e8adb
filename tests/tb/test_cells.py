"""Cells are proven to add what the model says, and what is wrong with one is found."""

from dataclasses import dataclass

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out
from bitwuzla import Bitwuzla, Kind, Option, Options, Result

from hw.core.registers import delayed
from hw.core.unit import Unit
from hw.emit.tools import ToolError
from hw.emit.verilog import emit_verilog
from pe import FAMILIES
from pe.base import Codes
from pe.mac import IntegerMac
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import AlignedSum, PartialSum, RoundedSum
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import FLOATS
from sw_ref.formats.nonfinite import zeroed
from tb.formal.cells import CellProof, Equation
from tb.formal.factors import factor, product
from tb.formal.float_sums import sum_term
from tb.formal.numbers import fixed_term
from tb.formal.words import Bits, FeedForward, NotFeedForwardError, size
from tests.typed import present

# Family, formats, lanes, options: an element of each family whose proof takes a second or two.
CELLS = [
    ("mac", "int4", "uint3", 2, {}),
    ("mac", "int4", "int4", 1, {"structure": "tree", "pipeline": 2}),
    ("shift_add", "int5", "int3", 2, {"pipeline": 2}),
    ("shift_add", "int4", "pot3", 1, {}),
    ("product_table", "fp4_e2m1", "fp4_e2m1", 1, {"lut": 4}),
    ("decoded", "int4", "nf4", 1, {}),
    ("float", "fp6_e2m3", "fp4_e2m1", 1, {}),
    ("bit_serial", "uint1", "uint1", 7, {"pipeline": 3}),
    ("bit_serial", "bipolar1", "bipolar1", 5, {}),
    ("table", "int4", "bipolar1", 4, {"k": 4}),
    ("ternary_table", "int4", "ternary", 2, {}),
    ("sub_word", "int8", "int8", 4, {}),
    ("table", "int4", "bipolar2", 4, {"table_bits": 4, "k": 2}),
]
SMALL = FLOATS["fp8_e4m3_ieee"]
# Operands, lanes, and what becomes of their products.
FLOAT_CELLS = [
    ("fp4_e2m1", "fp4_e2m1", 1, RoundedSum(SMALL)),
    ("int4", "fp6_e3m2", 2, RoundedSum(SMALL)),
    ("fp4_e2m1", "fp6_e2m3", 1, PartialSum(places=(1, 3), significand=10, shape=SMALL)),
    ("fp4_e2m1", "fp4_e2m1", 1, PartialSum(significand=8, shape=SMALL)),
    ("fp4_e2m1", "fp4_e2m1", 2, AlignedSum(4, SMALL)),
]
FORMATS = [
    "int4",
    "uint5",
    "bipolar3",
    "fixed8_6",
    "fp4_e2m1",
    "fp8_e4m3",
    "fp8_e5m2",
    "fp8_e4m3_ieee",
    "posit8_0",
    "posit8_2",
    "posit6_1",
    "posit3_3",
    "nf4",
]


def element(family, act, weight, lanes, options):
    return FAMILIES[family](act=parse_format(act), weight=parse_format(weight), lanes=lanes, **options)


@pytest.mark.parametrize("family, act, weight, lanes, options", CELLS)
def test_cell_is_proven(family, act, weight, lanes, options):
    proof = CellProof(element(family, act, weight, lanes, options), Accumulator(20, "wrap"))
    found = [proof.decide(equation, seconds=60) for equation in proof.equations]
    assert {each.result for each in found} == {"proven"}


@pytest.mark.parametrize("act, weight, lanes, sums", FLOAT_CELLS)
def test_cell_of_float_sums_is_proven(act, weight, lanes, sums):
    proof = CellProof(element("float", act, weight, lanes, {}), sums)
    found = [proof.decide(equation, seconds=60) for equation in proof.equations]
    assert {each.result for each in found} == {"proven"}


@pytest.mark.parametrize("act, weight, lanes, sums", FLOAT_CELLS)
def test_term_of_a_sum_is_what_the_model_says(act, weight, lanes, sums):
    formats, bits, random = [parse_format(act), parse_format(weight)], Bits(), np.random.default_rng(1)
    pe = element("float", act, weight, 1, {})
    step = lanes if isinstance(sums, AlignedSum) else 1
    codes = [[bits.variable(f"{side}_{lane}", form.bits) for lane in range(step)] for side, form in enumerate(formats)]
    addend = bits.variable("addend", sums.bits)
    pairs = zip(*codes, strict=True)
    products = [product(bits, *(factor(bits, *each) for each in zip(formats, pair, strict=True))) for pair in pairs]
    term, solver = sum_term(bits, sums, addend, products), _models(bits)
    start = np.zeros((1, 1), np.int64)
    for _each in range(300):
        drawn = [random.integers(0, 1 << form.bits, step) for form in formats]
        real = [form.decode(zeroed(form, each)) for form, each in zip(formats, drawn, strict=True)]
        after = sums.sums(real[0][None], real[1][:, None], step, lowest=present(pe.lowest), start=start)
        solver.push(1)
        for given, value in zip([addend, *codes[0], *codes[1]], [start.item(), *drawn[0], *drawn[1]], strict=True):
            solver.assert_formula(bits.of(Kind.EQUAL, given, bits.constant(int(value), size(given))))
        assert solver.check_sat() == Result.SAT
        assert int(solver.get_value(term).value(10)) == after.item()
        solver.pop(1)
        # from one sum to the next, and now and then from 0 again
        start = after if random.random() < 0.9 else np.zeros((1, 1), np.int64)


def _models(bits):
    """A solver that tells what terms are."""
    options = Options()
    options.set(Option.PRODUCE_MODELS, True)
    return Bitwuzla(bits.manager, options)


@dataclass(frozen=True, kw_only=True)
class Unmasked(IntegerMac):
    """Multiplies what is masked by codes of its own."""

    def row_encoder(self, *, masked):
        return _NoMask(bits=self.act.bits, lanes=self.lanes, masked=masked)


class _NoMask(Codes):
    """Takes no notice of the mask of lane 1."""

    @property
    def name(self) -> str:
        return f"{super().name}_wrong"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.operand.eq(self.codes)
        return m


@pytest.mark.parametrize("overflow", ["wrap", "refuse"])
def test_wrong_cell_is_found_and_simulated(overflow):
    proof = CellProof(Unmasked(act=Int(4), weight=Int(4), lanes=2), Accumulator(12, overflow))
    empty = Equation(0, None)
    found = proof.decide(empty, seconds=60)
    assert found.result == "broken"
    outcome = proof.replay(empty, present(found.example), waves="vcd")
    assert "sum" in present(outcome.failure)
    assert b"$enddefinitions" in present(outcome.waves)


def test_example_of_a_lane_is_simulated():
    """The steps of an equation that holds are right in the simulator, too."""
    proof = CellProof(element("mac", "int4", "int4", 2, {}), Accumulator(12))
    # the last sum overflows
    example = {"act": 0x77, "weight": 0x77, "mask": 0b11, "addend": 2040}
    assert [proof.replay(equation, example).failure for equation in proof.equations] == [None] * 3


def test_example_of_float_sums_is_simulated():
    proof = CellProof(element("float", "fp4_e2m1", "fp4_e2m1", 2, {}), AlignedSum(4, SMALL))
    example = {"act": 0xA7, "weight": 0x7F, "mask": 0b11, "addend": 0x3A}
    assert [proof.replay(equation, example).failure for equation in proof.equations] == [None] * 2


@pytest.mark.parametrize(
    "pe, accumulator, reason",
    [
        (element("float", "fp8_e4m3", "fp8_e4m3", 1, {}), Accumulator(60, "saturate"), "sums saturate"),
        (element("packed", "int4", "int4", 1, {}), Accumulator(20), "keeps its sums itself"),
    ],
)
def test_what_cannot_be_proven_says_why(pe, accumulator, reason):
    with pytest.raises(ToolError, match=reason):
        CellProof(pe, accumulator)


@pytest.mark.parametrize("name", FORMATS)
def test_term_is_what_a_code_stands_for(name):
    form, bits, width = parse_format(name), Bits(), 40
    code = bits.variable("code", form.bits)
    term = fixed_term(bits, form, code, width)
    for each, value in enumerate(form.to_fixed(zeroed(form, np.arange(1 << form.bits)))):
        solver = Bitwuzla(bits.manager)
        solver.assert_formula(bits.of(Kind.EQUAL, code, bits.constant(each, form.bits)))
        solver.assert_formula(bits.of(Kind.DISTINCT, term, bits.constant(int(value), width)))
        assert solver.check_sat() == Result.UNSAT, each


class _Feedback(Unit):
    """Adds up what comes."""

    def __init__(self) -> None:
        super().__init__({"x": In(4), "y": Out(4)})

    @property
    def name(self) -> str:
        return "feedback"

    def circuit(self, platform: object) -> Module:
        m = Module()
        total = Signal(4, reset_less=True)
        m.d.sync += total.eq(total + self.x)
        m.d.comb += self.y.eq(total)
        return m


class _WithReset(_Feedback):
    """A register that returns to 0."""

    @property
    def name(self) -> str:
        return "with_reset"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.y.eq(delayed(m, self.x, 1, name="before", init=0))
        return m


class _Mixed(_Feedback):
    """Adds what comes and what came before it."""

    @property
    def name(self) -> str:
        return "mixed"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.y.eq(self.x + delayed(m, self.x, 1, name="before"))
        return m


@pytest.mark.parametrize(
    "unit, reason",
    [(_Feedback(), "no feedback"), (_Mixed(), "0 and 1 cycles before"), (_WithReset(), "no other inputs")],
)
def test_other_circuits_are_refused(unit, reason):
    bits = Bits()
    circuit = FeedForward(bits, emit_verilog(unit), unit.name)
    with pytest.raises(NotFeedForwardError, match=reason):
        circuit.output("y", {"x": bits.variable("x", 4)})
