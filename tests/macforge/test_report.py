"""The report: real figures of every design, in three files."""

import json

import numpy as np
import pytest

from macforge.design import load_design
from macforge.report import Report, make_report, write_report
from macforge.workload import Layer


@pytest.fixture(scope="module")
def report():
    random = np.random.default_rng(0)
    layer = Layer(
        name="a small layer",
        act=random.standard_normal((3, 12)).astype(np.float32),
        weight=random.standard_normal((12, 9)).astype(np.float32),
        bias=None,
    )
    steps = []
    made = make_report([load_design("w8a8_ws")], layer, lambda done, total: steps.append((done, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    return made


def test_rows_hold_every_figure(report):
    (row,) = report.rows
    assert set(Report.COLUMNS) <= set(row)
    assert row["verified"] is True
    assert row["cycles"] == row["predicted_cycles"]
    assert row["utilization"] == 3 * 12 * 9 / (row["cycles"] * 64)
    assert 30 < row["sqnr_db"] < 60
    assert row["xc7_lut_ratio"] == row["xc7_lut_per_mac"] / row["xc7_baseline_lut"]
    assert row["ecp5_lut_ratio"] == row["ecp5_lut_per_mac"] / row["ecp5_baseline_lut"]
    assert row["fmax_mhz"] > 30


def test_files_show_them(report, tmp_path):
    paths = write_report(report, tmp_path / "new")
    assert sorted(path.name for path in paths) == ["report.html", "report.json", "report.md"]
    (row,) = json.loads((tmp_path / "new" / "report.json").read_text())["designs"]
    assert row["cycles"] == report.rows[0]["cycles"]
    for name in ("report.md", "report.html"):
        text = (tmp_path / "new" / name).read_text()
        assert "w8a8_ws" in text
        assert f"{row['xc7_lut_per_mac']:,.2f}" in text or f"{row['xc7_lut_per_mac']:,.0f}" in text
        assert "yosys 0.70" in text


def test_too_deep_a_layer_is_refused():
    layer = Layer(name="deep", act=np.ones((1, 4097)), weight=np.ones((4097, 1)), bias=None)
    with pytest.raises(ValueError, match=r"^K must be from 1 to 4096 for this engine, not 4097$"):
        make_report([load_design("w8a8_ws")], layer)
