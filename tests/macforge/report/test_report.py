"""The report: real figures of every design, in four files."""

import csv
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from macforge.design.design import load_design
from macforge.emit.verilog import commit
from macforge.measure.finding import CANDIDATES, Candidate
from macforge.measure.steps import Outcome, Step
from macforge.measure.workload import Layer
from macforge.report import report as report_module
from macforge.report.columns import design_columns
from macforge.report.page import write_report
from macforge.report.report import growing_report, make_report, reported_measurements
from macforge.report.rows import Slot, operand_name
from macforge.report.sizes import size_columns, size_rows
from macforge.tables import figure
from tests.macforge.report.made_up import SLOTS, area_figures, layer_figures, made_up_report, made_up_row

ROOT = Path(__file__).parents[3]

LAYER = Layer(
    name="a small layer",
    act=np.random.default_rng(0).standard_normal((3, 12)).astype(np.float32),
    weight=np.random.default_rng(1).standard_normal((12, 9)).astype(np.float32),
    bias=None,
)
pytestmark = pytest.mark.usefixtures("few_cells")
CELLS = 2
QUESTION = replace(CANDIDATES[0].question, cells=CELLS)
# two ways to multiply, in cells that are quickly synthesized
WAYS = [
    Candidate(question=QUESTION, kind="adders", family="mac", weights={"1": "uint1"}, lanes=2),
    Candidate(question=QUESTION, kind="tables", family="table", weights={"1": "bipolar1"}, options={"k": 2}, lanes=2),
]

SETTINGS = ["report_tokens=2", "quantizer.act.granularity=tensor", "drain.requantize=int8", "drain.accumulator.bits=32"]


# what a report on a layer of nobody's model has
MEASURED = reported_measurements(own_model=False)


def options(**more) -> dict[str, Any]:
    return {"measurements": MEASURED} | more


@pytest.fixture(scope="module")
def grown(few_cells):
    """Every state of a report."""
    return list(growing_report([load_design("w8a8_ws", SETTINGS)], LAYER, **options(candidates=WAYS)))


@pytest.fixture(scope="module")
def report(grown):
    return grown[-1]


def test_it_grows_step_by_step_and_verification_comes_first(grown):
    # simulation, two areas and Fmax of the design, and two areas of each way
    assert [(each.state.done, each.state.total) for each in grown] == [(done, 8) for done in range(9)]
    assert [each.state.is_complete for each in grown] == [False] * 8 + [True]
    first, last = grown[0], grown[-1]
    assert first.to_come == [
        *(
            "verification of 1 design",
            "area on xc7 of 1 design",
            "area on ecp5 of 1 design",
            "Fmax on ecp5 of 1 design",
        ),
        "2 ways to multiply",
    ]
    assert (last.to_come, last.complete_rows, first.complete_rows) == ([], 1, 0)
    # a finding is of all ways, or there is none
    assert [each.finding is None for each in grown] == [True] * 8 + [False]
    assert "w8a8_ws verification" in {each.state.last for each in grown}
    assert all(row["verified"] is None and "verified" in row["pending"] for row in first.rows)


def test_all_designs_are_verified_before_anything_else(monkeypatch):
    labels = []
    monkeypatch.setattr(
        report_module, "take_steps", lambda steps, **_: labels.extend(step.label for step in steps) or ()
    )
    designs = [load_design(name) for name in ("w8a8_ws", "mxfp4", "w4a8_ws")]
    make_report(designs, LAYER, families=["ice40", "xc7"])
    assert labels[:3] == ["w8a8_ws verification", "mxfp4 verification", "w4a8_ws verification"]
    rest = ["accuracy", "area on xc7", "area on ecp5", "Fmax on ecp5", "area on ice40"]
    assert labels[3:8] == [f"w8a8_ws {each}" for each in rest]
    assert labels[8].startswith("mxfp4")


def test_rows_hold_every_figure(report):
    (row,) = report.rows
    assert (row["act"], row["weight"], row["product"]) == ("int8", "int8", "int8 x int8")
    assert row["verified"] is True
    assert row["cycles"] == row["predicted_cycles"]
    assert row["tokens"] == 2
    assert row["macs_per_cycle"] == 2 * 12 * 9 / row["cycles"]
    assert 0 < row["utilization"] < 1
    assert 20 < row["sqnr_db"] < 60
    for family in ("xc7", "ecp5"):
        area = row["measured"][f"{family}_area"]
        assert row[f"{family}_lut_ratio"] == row[f"{family}_lut_per_mac"] / area["baseline_lut"]
        assert row[f"{family}_drain_lut_per_mac"] == area["drain_lut_per_col"] / CELLS > 1
    assert row["ecp5_fmax_mhz"] > 30
    assert "xc7_fmax_mhz" not in row


def test_figures_come_in_the_order_in_which_they_are_wanted(report):
    """Whichever was done first, so that a report is the same bytes each time."""
    row = report.designs[0]
    swapped = replace(row, found=dict(reversed(row.found.items())))
    assert list(swapped.table["measured"]) == [slot.key(slot.name) for slot in row.wanted]


def test_sizes_are_those_of_whole_products(report):
    (row,) = report.rows
    assert [size["fpga"] for size in report.sizes] == ["xc7", "ecp5"]
    assert row["measured"]["layer"]["products_per_mac"] == 1
    for size, family in zip(report.sizes, ("xc7", "ecp5"), strict=True):
        assert set(size) == {"pending", *(column.key for column in size_columns())}
        assert size["size_per_mac"] == row[f"{family}_lut_per_mac"] == size["cells_per_mac"] + size["edges_per_mac"]
        assert (size["ratio"], size["operands"]) == (row[f"{family}_lut_ratio"], "int8 x int8")
        assert size["ff_per_mac"] == row[f"{family}_ff_per_mac"]
        assert 0 < size["int8_ratio"] < 1
    assert report.sizes[0]["mmacs_per_unit"] is None
    assert report.sizes[1]["mmacs_per_unit"] == row["ecp5_fmax_mhz"] / row["ecp5_lut_per_mac"]


def test_a_product_of_planes_takes_several_of_a_cell():
    row = made_up_row("abq_w2a8")
    area = area_figures(3.0, cells_size_per_mac=2.0, drain_size_per_mac=None, int8_size=96)
    found = {Slot("layer"): layer_figures(products_per_mac=16.0), Slot("area", "xc7"): area}
    (size,) = size_rows([replace(row, found=found)], ["xc7"])
    assert (size["size_per_mac"], size["cells_per_mac"], size["edges_per_mac"]) == (48, 32, 16)
    assert (size["ratio"], size["int8_ratio"], size["drain_per_mac"]) == (None, 0.5, 0)
    assert size["command"] == "macforge area abq_w2a8 --family xc7 --cells 8 --seeds 0"


def keys(columns):
    return [column.key for column in columns]


def test_columns_that_tell_nothing_are_left_out(report):
    assert report.is_sliced
    whole = keys(report.columns)
    assert {"tokens", "xc7_drain_lut_per_mac", "ecp5_fmax_mhz"} < set(whole)
    assert "failed" not in whole
    row = made_up_row("w8a8_ws")
    drains = {slot: {**found, "drain_lut_per_mac": None} for slot, found in row.found.items() if slot.name == "area"}
    plain = keys(made_up_report([replace(row, found={**row.found, **drains})]).columns)
    assert set(whole) - set(plain) == {"tokens", "xc7_drain_lut_per_mac", "ecp5_drain_lut_per_mac"}
    assert list(report.brief)[:4] == ["design", "verified", "sqnr_db", "cycles"]
    assert report.brief["ecp5_fmax_mhz"] == "ecp5 Fmax MHz"


def test_columns_of_families_follow_those_that_are_compared():
    """Which is data of theirs."""
    columns = design_columns(MEASURED, ["ice40", "xcup"])
    found = [(column.family, column.name) for column in columns if column.family]
    area = ("lut_per_mac", "lut_ratio", "ff_per_mac", "drain_lut_per_mac")
    # others have no Fmax in a report
    assert found == [(family, name) for family in ("ice40", "xcup") for name in area]
    assert columns[keys(columns).index("ice40_lut_per_mac")].group == "Lattice iCE40, LUT4"


def test_modes_are_shown_of_designs_with_several(report):
    assert report.modes == []
    one = {"macs_per_cycle": 64, "lut_per_mac": 8.0, "baseline_lut": 16, "lut_ratio": 0.5}
    modes = [{"product": "int4 x int4", **one}, {"product": "int8 x int8", **one}]
    row = made_up_row("subword_int8_int4")
    found = {Slot("area", family): area_figures(modes=modes) for family in ("xc7", "ecp5")}
    several = made_up_report([replace(row, found=found)])
    first, second = several.modes
    assert set(first) == set(keys(several.mode_columns))
    assert (first["product"], second["product"]) == ("int4 x int4", "int8 x int8")
    assert first["ecp5_lut_ratio"] == 0.5


def test_ways_to_multiply_are_compared(report):
    (finding,) = report.finding.comparisons
    rows = finding.rows
    assert [(row["operand"], row["kind"]) for row in rows] == [("1", "adders"), ("1", "tables")]
    assert all(row[f"{family}_{what}"] > 3 for row in rows for family in ("xc7", "ecp5") for what in ("lut", "ff"))
    for key in ("xc7_lut", "ecp5_lut"):
        smallest = [finding.is_smallest(row, key) for row in rows]
        assert smallest == [row[key] == min(one[key] for one in rows) for row in rows]


def test_peers_stand_beside_designs_that_do_the_same(report):
    beside = {row["ours"] for row in report.peers}
    assert beside == {"w8a8_ws", None}
    (row,) = [row for row in report.peers if row["name"] == "XtraMAC INT8"]
    assert row["ours_xc7_lut"] == report.rows[0]["xc7_lut_per_mac"]
    assert row["xc7_ratio"] == pytest.approx(row["ours_xc7_lut"] / 171)
    assert made_up_report([made_up_row("rf8")]).peers == []


def test_files_show_them(report, tmp_path):
    paths = write_report(report, tmp_path / "new")
    assert sorted(path.name for path in paths) == ["report.csv", "report.html", "report.json", "report.md"]
    table = json.loads((tmp_path / "new" / "report.json").read_text())
    (row,) = table["designs"]
    assert row["cycles"] == report.rows[0]["cycles"]
    assert table["finding"] == report.finding.to_table()
    assert table["peers"] == report.peers
    with (tmp_path / "new" / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(one["size_per_mac"]) for one in rows] == [one["size_per_mac"] for one in report.sizes]
    assert table["sizes"] == report.sizes
    assert table["complete"] is True
    finding = table["finding"]["weights"]
    shown = [row["xc7_lut_per_mac"], row["ecp5_drain_lut_per_mac"], finding["rows"][0]["ecp5_lut"]]
    shown += [row["xc7_ratio"] for row in report.peers]
    for name in ("report.md", "report.html"):
        text = (tmp_path / "new" / name).read_text()
        assert "w8a8_ws" in text
        assert all(figure(value) in text for value in shown)
        assert finding["details"][0] in text
        assert f"of {CELLS} x {CELLS} cells, with their edges, for K up to 4096" in text
        assert "XtraMAC INT8" in text
        assert "not measured in the same run" in text
        assert "yosys 0.70" in text


@pytest.mark.parametrize(
    "name, act, weight",
    [
        ("abq_w2a8", "int8", "uint2"),
        ("mixllm_w4_8a8", "int8", "uint4, int8"),
        ("lut_gemm_q3a8", "int8", "3 of bipolar1"),
    ],
)
def test_operands_are_named_by_what_they_are_quantized_to(name, act, weight):
    design = load_design(name)
    assert (operand_name(design, "act"), operand_name(design, "weight")) == (act, weight)


def test_commit_is_that_of_the_checkout():
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert head.stdout.startswith(commit()["commit"].removesuffix("-dirty"))


REASON = "verification: K must be from 1 to 8 for this engine, not 12"


@pytest.fixture(scope="module")
def failing(few_cells):
    # both have the array of the report above, which has been measured
    good = load_design("w8a8_ws", SETTINGS)
    bad = load_design("w8a8_ws", ["tiling.max_k=8", f"accumulator.bits={good.sums.bits}"])
    designs = [replace(bad, name="w8a8_short"), good]
    lame = replace(WAYS[1], weights={"1": "int8"})
    return make_report(designs, LAYER, **options(candidates=[*WAYS, lame]))


class TestFailures:
    """One design that fails is a row that says why; the rest of the report is there."""

    def test_rows(self, failing):
        bad, good = failing.rows
        assert (bad["design"], bad["verified"], bad["sqnr_db"]) == ("w8a8_short", None, None)
        assert (bad["failed"], good["failed"]) == (REASON, None)
        assert good["verified"] is True
        assert all(row[key] > 0 for row in failing.rows for key in ("xc7_lut_per_mac", "ecp5_fmax_mhz"))
        assert [size["size_per_mac"] is None for size in failing.sizes] == [True, True, False, False]
        assert {row["kind"] for row in failing.finding.comparisons[0].rows} == {"adders", "tables"}
        assert failing.failures[0] == f"w8a8_short: {REASON}"
        assert failing.failures[1].startswith("table int8 k=2 on xc7: Family table takes bipolar weights")

    def test_files(self, failing, tmp_path):
        write_report(failing, tmp_path)
        table = json.loads((tmp_path / "report.json").read_text())
        assert [row["failed"] for row in table["designs"]] == [REASON, None]
        assert table["failures"] == failing.failures
        for name in ("report.md", "report.html", "report.csv"):
            assert REASON in (tmp_path / name).read_text()

    def test_all_designs_fail(self, tmp_path):
        deep = Layer(name="deep", act=np.ones((1, 4097)), weight=np.ones((4097, 1)), bias=None)
        report = make_report([load_design("w8a8_ws")], deep, **options(measurements=["layer"]))
        assert [row["failed"] for row in report.rows] == [
            "verification: K must be from 1 to 4096 for this engine, not 4097"
        ]
        write_report(report, tmp_path)
        assert "not 4097" in (tmp_path / "report.html").read_text()

    def test_it_is_said_while_the_rest_is_still_to_come(self):
        row = made_up_row("w8a8_ws", without=[Slot("fmax", "ecp5")])
        outcome = Outcome(step=Step("made up", "made up", dict), reason="the tool has ended")
        broken = made_up_row("w4a8_ws", without=[Slot("layer")]).with_outcome(Slot("layer"), outcome)
        report = made_up_report([row, broken])
        assert report.failures == ["w4a8_ws: verification: the tool has ended"]
        assert report.to_come == ["Fmax on ecp5 of 1 design"]

    def test_reasons_are_told_once_each(self):
        row = made_up_row("w8a8_ws", without=SLOTS)
        for slot, reason in zip(row.wanted, ("x", "x", "y", "x"), strict=True):
            row = row.with_outcome(slot, Outcome(step=Step("made up", "made up", dict), reason=reason))
        assert row.failed == "verification: x; area on ecp5: y"
        assert row.is_complete


def test_json_has_no_infinity(report, tmp_path):
    zeros = replace(LAYER, weight=np.zeros_like(LAYER.weight))
    made = make_report([load_design("w8a8_ws")], zeros, **options(measurements=["layer"]))
    (row,) = made.rows
    assert row["verified"] is True and np.isinf(row["sqnr_db"])
    write_report(made_up_report([made_up_row("w8a8_ws", sqnr_db=np.inf)]), tmp_path)

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    table = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    assert table["designs"][0]["sqnr_db"] is None
    assert "Infinity" not in (tmp_path / "report.html").read_text().partition("const specs")[2].partition("places")[0]


def test_changed_files_of_macforge_are_noticed(monkeypatch, grown):
    class Changed:
        are_unchanged = False

    assert not any(each.sources_changed for each in grown)
    monkeypatch.setattr(report_module, "LOADED", Changed)
    made = make_report([load_design("w8a8_ws", SETTINGS)], LAYER, **options(measurements=["layer"]))
    assert made.sources_changed
