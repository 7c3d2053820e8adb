"""The finding: what competes, what each takes, and what is said of it."""

import pytest

from fpga.families import FAMILIES
from macforge import finding
from macforge.area import area
from macforge.finding import Candidate, Finding, entries, measure

MADE_UP = Finding(
    rows=[
        {"weight": weight, "kind": kind, "way": way, "xc7_lut": xc7, "xc7_ff": 1.0, "ecp5_lut": ecp5, "ecp5_ff": 1.0}
        for weight, kind, way, xc7, ecp5 in [
            ("1", "adders", "mac", 30.0, 40.0),
            ("1", "adders", "shift_add", 20.0, 50.0),
            ("1", "tables", "table", 10.0, 50.0),
            ("2", "adders", "mac", 9.0, 8.0),
            ("2", "tables", "table", 10.0, 8.0),
        ]
    ]
)


def test_every_candidate_is_a_design_for_every_family():
    pairs = entries()
    assert len({(one.label(weight), weight) for one, weight in pairs}) == len(pairs)
    for one, weight in pairs:
        # as many products a cell, but for planes of bits, of which 8 make an activation
        products = 8 / int(weight) if one.act == "uint1" else 8
        for fpga in FAMILIES:
            design = one.design(weight, fpga)
            assert design.pe.modes[0].lanes == one.steps(weight) * products
            assert design.weight == one.weights[weight]
            assert design.options.get("lut") in (None, {"xc7": 6, "ecp5": 4}[fpga])


def test_weights_come_in_order():
    assert list(dict.fromkeys(weight for _, weight in entries())) == ["1", "ternary", "2", "3", "4", "8"]


def test_each_width_has_several_kinds():
    kinds = {}
    for one, weight in entries():
        kinds.setdefault(weight, set()).add(one.kind)
    assert set(kinds) == {"1", "2", "ternary", "3", "4", "8"}
    assert all({"adders", "tables"} <= found for found in kinds.values())


@pytest.mark.parametrize(
    "one, weight, steps",
    [
        (Candidate(kind="adders", family="mac", weights={"2": "int2"}, lanes=1), "2", 1),
        (Candidate(kind="counts of bits", family="bit_serial", weights={"2": "uint1"}, act="uint1", lanes=4), "2", 16),
    ],
    ids=["mac", "bit_serial"],
)
def test_measured_is_the_area_of_a_product(one, weight, steps, monkeypatch):
    monkeypatch.setattr(finding, "_CELLS", 2)
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
    assert MADE_UP.to_table() == {"rows": MADE_UP.rows, "summary": MADE_UP.summary, "details": MADE_UP.details}
