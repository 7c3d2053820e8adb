"""The report: real figures of every design, in three files."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from macforge.design.design import load_design
from macforge.emit.verilog import commit
from macforge.measure import sizes
from macforge.measure.finding import Candidate
from macforge.measure.workload import Layer
from macforge.report.page import write_report
from macforge.report.report import Report, make_report, operand_name
from macforge.tables import figure

ROOT = Path(__file__).parents[3]

LAYER = Layer(
    name="a small layer",
    act=np.random.default_rng(0).standard_normal((3, 12)).astype(np.float32),
    weight=np.random.default_rng(1).standard_normal((12, 9)).astype(np.float32),
    bias=None,
)
# two ways to multiply, in cells that are quickly synthesized
WAYS = [
    Candidate(kind="adders", family="mac", weights={"1": "uint1"}, lanes=2),
    Candidate(kind="tables", family="table", weights={"1": "bipolar1"}, options={"k": 2}, lanes=2),
]

SETTINGS = ["report_tokens=2", "quantizer.act.granularity=tensor", "drain.requantize=int8", "drain.accumulator.bits=32"]


@pytest.fixture(scope="module")
def report():
    steps = []
    design = load_design("w8a8_ws", SETTINGS)
    made = make_report([design], LAYER, lambda done, total: steps.append((done, total)), candidates=WAYS, families=())
    # simulation, two areas and Fmax of the design, and two areas of each way
    assert steps == [(done, 8) for done in range(1, 9)]
    return made


def test_rows_hold_every_figure(report):
    (row,) = report.rows
    assert set(Report.COLUMNS) <= set(row)
    assert (row["act"], row["weight"], row["product"]) == ("int8", "int8", "int8 x int8")
    assert row["verified"] is True
    assert row["cycles"] == row["predicted_cycles"]
    assert row["tokens"] == 2
    assert row["macs_per_cycle"] == 2 * 12 * 9 / row["cycles"]
    assert 20 < row["sqnr_db"] < 60
    for family in ("xc7", "ecp5"):
        assert row[f"{family}_lut_ratio"] == row[f"{family}_lut_per_mac"] / row[f"{family}_baseline_lut"]
        assert row[f"{family}_drain_lut_per_mac"] == row[f"{family}_drain_lut_per_col"] / Report.CELLS > 1
    assert row["ecp5_fmax_mhz"] > 30


def test_sizes_are_those_of_whole_products(report):
    (row,) = report.rows
    assert [size["fpga"] for size in report.sizes] == ["xc7", "ecp5"]
    assert row["products_per_mac"] == 1
    for size, family in zip(report.sizes, ("xc7", "ecp5"), strict=True):
        assert set(size) == set(sizes.COLUMNS)
        assert size["size_per_mac"] == row[f"{family}_lut_per_mac"] == size["cells_per_mac"] + size["edges_per_mac"]
        assert (size["ratio"], size["operands"]) == (row[f"{family}_lut_ratio"], "int8 x int8")
        assert 0 < size["int8_ratio"] < 1
    assert report.sizes[0]["mmacs_per_unit"] is None
    assert report.sizes[1]["mmacs_per_unit"] == row["ecp5_fmax_mhz"] / row["ecp5_lut_per_mac"]


def test_a_product_of_planes_takes_several_of_a_cell():
    area = {"size_per_mac": 3.0, "cells_size_per_mac": 2.0, "drain_size_per_mac": None, "lut_ratio": 0.5, "levels": 4}
    row = {"design": "x", "pe": "bit_serial", "act": "int8", "weight": "uint2", "dataflow": "output_stationary"}
    row |= {"products_per_mac": 16.0, "xc7_area": {**area, "unit": "LUT6", "cols": 8}}
    (size,) = sizes.size_rows([row], ["xc7"], {"xc7": 96})
    assert (size["size_per_mac"], size["cells_per_mac"], size["edges_per_mac"]) == (48, 32, 16)
    assert (size["ratio"], size["int8_ratio"], size["drain_per_mac"]) == (None, 0.5, 0)
    assert size["command"] == "macforge area x --family xc7 --cells 8 --seeds 0"


def test_columns_that_tell_nothing_are_left_out(report):
    assert report.is_sliced
    assert set(report.columns) == set(Report.COLUMNS) - {"failed"}
    drains = dict.fromkeys(("xc7_drain_lut_per_mac", "ecp5_drain_lut_per_mac"))
    plain = replace(report, rows=[{**report.rows[0], **drains, "tokens": 3}])
    assert set(Report.COLUMNS) - set(plain.columns) == {"tokens", "failed", *drains}


def test_modes_are_shown_of_designs_with_several(report):
    assert report.modes == []
    one = {"macs_per_cycle": 64, "lut_per_mac": 8.0, "baseline_lut": 16, "lut_ratio": 0.5}
    modes = [{"product": "int4 x int4", **one}, {"product": "int8 x int8", **one}]
    (first, second) = replace(report, rows=[{"design": "x", "xc7_modes": modes, "ecp5_modes": modes}]).modes
    assert set(first) == set(Report.MODE_COLUMNS)
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
    assert replace(report, rows=[{**report.rows[0], "design": "like nobody's"}]).peers == []


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
    finding = table["finding"]["weights"]
    shown = [row["xc7_lut_per_mac"], row["ecp5_drain_lut_per_mac"], finding["rows"][0]["ecp5_lut"]]
    shown += [row["xc7_ratio"] for row in report.peers]
    for name in ("report.md", "report.html"):
        text = (tmp_path / "new" / name).read_text()
        assert "w8a8_ws" in text
        assert all(figure(value) in text for value in shown)
        assert finding["details"][0] in text
        assert "of 8 x 8 cells, with their edges, for K up to 4096" in text
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


THREADS = """\
import json

from threadpoolctl import threadpool_info

from macforge.measure.steps import Step, take_steps


def threads():
    return {library["filepath"]: library["num_threads"] for library in threadpool_info()}


if __name__ == "__main__":
    row = {}
    take_steps([Step(row, "threads", threads, ())], lambda done, total: None)
    print(json.dumps(row))
"""


def test_a_process_for_each_core_takes_one_thread_each(tmp_path):
    (tmp_path / "threads.py").write_text(THREADS)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, tmp_path / "threads.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout).values()) == {1}


REASON = "simulation: K must be from 1 to 8 for this engine, not 12"


@pytest.fixture(scope="module")
def failing():
    designs = [load_design("w4a8_ws", ["tiling.max_k=8"]), load_design("w8a8_ws")]
    lame = Candidate(kind="tables", family="table", weights={"1": "int8"}, options={"k": 2}, lanes=2)
    return make_report(designs, LAYER, candidates=[*WAYS, lame], families=())


class TestFailures:
    """One design that fails is a row that says why; the rest of the report is there."""

    def test_rows(self, failing):
        bad, good = failing.rows
        assert (bad["design"], bad["verified"], bad["sqnr_db"]) == ("w4a8_ws", None, None)
        assert (bad["failed"], good["failed"]) == (REASON, None)
        assert good["verified"] is True
        assert all(row[key] > 0 for row in failing.rows for key in ("xc7_lut_per_mac", "ecp5_fmax_mhz"))
        assert [size["size_per_mac"] is None for size in failing.sizes] == [True, True, False, False]
        assert {row["kind"] for row in failing.finding.comparisons[0].rows} == {"adders", "tables"}
        assert failing.failures[0] == f"w4a8_ws: {REASON}"
        assert failing.failures[1].startswith("table int8 k=2: area on xc7: Family table takes bipolar weights")

    def test_files(self, failing, tmp_path):
        write_report(failing, tmp_path)
        table = json.loads((tmp_path / "report.json").read_text())
        assert [row["failed"] for row in table["designs"]] == [REASON, None]
        assert table["failures"] == failing.failures
        for name in ("report.md", "report.html", "report.csv"):
            assert REASON in (tmp_path / name).read_text()

    def test_all_designs_fail(self, tmp_path):
        deep = Layer(name="deep", act=np.ones((1, 4097)), weight=np.ones((4097, 1)), bias=None)
        report = make_report([load_design("w8a8_ws")], deep, families=())
        assert [row["failed"] for row in report.rows] == [
            "simulation: K must be from 1 to 4096 for this engine, not 4097"
        ]
        write_report(report, tmp_path)
        assert "not 4097" in (tmp_path / "report.html").read_text()


def test_json_has_no_infinity(report, tmp_path):
    zeros = replace(LAYER, weight=np.zeros_like(LAYER.weight))
    (row,) = make_report([load_design("w8a8_ws")], zeros, families=()).rows
    assert row["verified"] is True and np.isinf(row["sqnr_db"])
    sizes = [{**size, "sqnr_db": np.inf} for size in report.sizes]
    write_report(replace(report, rows=[{**report.rows[0], "sqnr_db": -np.inf}], sizes=sizes), tmp_path)

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    table = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    assert table["designs"][0]["sqnr_db"] is None
    assert "Infinity" not in (tmp_path / "report.html").read_text().partition("vegaEmbed(")[2].partition("bind:")[0]
