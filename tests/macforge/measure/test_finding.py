"""The finding: what competes, what each takes, and what is said of it."""

from dataclasses import replace

import pytest

from fpga.families import COMPARED
from macforge.measure.area import area
from macforge.measure.comparison import Comparison, Question
from macforge.measure.finding import Candidate, answer, entries, measure
from tests.typed import present

QUESTION = Question(
    name="made_up",
    title="Made up",
    column="weight bits",
    noun="weights",
    operands={"1": "1-bit", "2": "2-bit"},
    cells=2,
    remarks="These are made up.",
)
MADE_UP = Comparison(
    question=QUESTION,
    rows=[
        {"operand": operand, "kind": kind, "way": way, "xc7_lut": xc7, "xc7_ff": 1.0, "ecp5_lut": ecp5, "ecp5_ff": 1.0}
        for operand, kind, way, xc7, ecp5 in [
            ("1", "adders", "mac", 30.0, 40.0),
            ("1", "adders", "shift_add", 20.0, 50.0),
            ("1", "tables", "table", 10.0, 50.0),
            ("2", "adders", "mac", 9.0, 8.0),
            ("2", "tables", "table", 10.0, 8.0),
        ]
    ],
)
FIXED_POINT = ["E2M1", "E2M3", "E3M2", "posit(8,0)", "E4M3"]


def of(question):
    return [(one, operand) for one, operand in entries() if one.question.name == question]


def test_every_candidate_is_a_design_for_every_family():
    pairs = of("weights")
    assert len({(one.label(weight), weight) for one, weight in pairs}) == len(pairs)
    for one, weight in pairs:
        # as many products a cell, but for planes of bits, of which 8 make an activation
        products = 8 / int(weight) if one.act == "uint1" else 8
        for fpga in COMPARED:
            design = one.design(weight, fpga)
            assert design.pe.modes[0].lanes == one.steps(weight) * products
            assert design.weight == one.weights[weight]
            assert design.options.get("lut") in (None, {"xc7": 6, "ecp5": 4}[fpga])


def test_forms_have_the_same_operands_and_sums():
    pairs = of("forms")
    assert len({(one.label(operand), operand) for one, operand in pairs}) == len(pairs)
    terms = {}
    for one, operand in pairs:
        for fpga in COMPARED:
            design = one.design(operand, fpga)
            assert design.act == design.weight == one.weights[operand]
            assert (design.array.rows, design.array.cols, design.lanes) == (4, 4, 4)
            terms.setdefault(operand, set()).add((design.act, design.pe.term, design.sums))
    assert {operand: len(found) for operand, found in terms.items()} == dict.fromkeys(FIXED_POINT, 1)


@pytest.mark.parametrize(
    "question, operands, kinds",
    [
        ("weights", ["1", "ternary", "2", "3", "4", "8"], {"adders", "tables"}),
        ("forms", FIXED_POINT, {"integer cells", "float cells"}),
    ],
    ids=["weights", "forms"],
)
def test_operands_come_in_order_each_with_several_kinds(question, operands, kinds):
    found = {}
    for one, operand in of(question):
        found.setdefault(operand, set()).add(one.kind)
    assert list(found) == operands
    assert all(kinds <= each for each in found.values())


def test_questions_come_one_after_the_other():
    assert [one.question.name for one, _ in entries()] == ["weights"] * len(of("weights")) + ["forms"] * len(
        of("forms")
    )


@pytest.mark.parametrize(
    "one, weight, steps",
    [
        (Candidate(kind="adders", family="mac", weights={"2": "int2"}, lanes=1), "2", 1),
        (Candidate(kind="counts of bits", family="bit_serial", weights={"2": "uint1"}, act="uint1", lanes=4), "2", 16),
        (Candidate(kind="float cells", family="float", weights={"2": "fp4_e2m1"}, act="", lanes=2), "2", 1),
    ],
    ids=["mac", "bit_serial", "float"],
)
def test_measured_is_the_area_of_a_product(one, weight, steps):
    one = replace(one, question=QUESTION)
    report = area(one.design(weight, "ecp5"), family="ecp5", seeds=())
    found = measure((one, weight), "ecp5")
    assert report.resources.lut > 50
    assert found["ecp5_lut"] == pytest.approx(report.lut_per_mac * steps)
    assert found["ecp5_ff"] == pytest.approx(report.resources.ff / report.macs * steps)


def test_smallest_of_each_kind():
    assert [row["way"] for row in MADE_UP.best("1", "xc7")] == ["table", "shift_add"]
    assert [row["way"] for row in MADE_UP.best("1", "ecp5")] == ["mac", "table"]
    smallest = [[MADE_UP.is_smallest(row, key) for row in MADE_UP.rows] for key in ("xc7_lut", "ecp5_lut", "xc7_ff")]
    assert smallest == [
        [False, False, True, True, False],
        [True, False, False, True, True],
        [False] * 5,
    ]


def test_sentences_say_what_the_rows_hold():
    assert MADE_UP.summary == [
        "On Xilinx 7 series, tables are the smallest for 1-bit weights; adders are the smallest for 2-bit weights.",
        "On Lattice ECP5, adders are the smallest for 1-bit weights; "
        "adders and tables are the smallest for 2-bit weights.",
    ]
    first, second = MADE_UP.details
    assert first == (
        "1-bit weights: on Xilinx 7 series, tables take 10.0 LUT (table), adders 2.00 times that (shift_add); "
        "on Lattice ECP5, adders take 40.0 LUT (mac), tables 1.25 times that (table)."
    )
    assert second.startswith("2-bit weights: on Xilinx 7 series, adders take 9.0 LUT (mac), tables 1.11 times that")
    assert QUESTION.conditions == (
        "All are weight-stationary arrays of 2 x 2 cells, with their edges, for K up to 4096, without DSP blocks. "
        "These are made up."
    )
    assert MADE_UP.to_table() == {"rows": MADE_UP.rows, "summary": MADE_UP.summary, "details": MADE_UP.details}


def test_answers_are_those_of_the_questions():
    other = replace(QUESTION, name="other", noun="operands", operands={"E2M1": "E2M1"})
    ways = [
        (Candidate(question=QUESTION, kind="adders", family="mac", weights={"1": "int2"}), "1"),
        (Candidate(question=other, kind="float cells", family="float", weights={"E2M1": "fp4_e2m1"}), "E2M1"),
        (Candidate(question=other, kind="integer cells", family="mac", weights={"E2M1": "int4"}), "E2M1"),
    ]
    figures = [{"xc7_lut": lut, "xc7_ff": 1.0, "ecp5_lut": 9 - lut, "ecp5_ff": 2.0} for lut in (3.0, 4.0, 5.0)]
    found = present(answer(ways, figures))
    assert found.comparisons[1].rows == [
        {"operand": "E2M1", "kind": "float cells", "way": "float fp4_e2m1", **figures[1]},
        {"operand": "E2M1", "kind": "integer cells", "way": "mac int4", **figures[2]},
    ]
    assert found.summary == [
        "On Xilinx 7 series, adders are the smallest for 1-bit weights.",
        "On Lattice ECP5, adders are the smallest for 1-bit weights.",
        "On Xilinx 7 series, float cells are the smallest for E2M1 operands.",
        "On Lattice ECP5, integer cells are the smallest for E2M1 operands.",
    ]
    assert found.to_table() == {each.question.name: each.to_table() for each in found.comparisons}
    assert list(found.to_table()) == ["made_up", "other"]
    assert answer([], []) is None
