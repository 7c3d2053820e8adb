"""Figures are what the code and the simulations say now, and the page of measured figures is made of a report."""

import copy
import json

import pytest

from docs.figures import architecture, measured, waves
from macforge import load_design
from macforge.design.describe import derived

REPORT = {
    "layer": "a small layer",
    "shape": [3, 9, 12],
    "designs": [
        {"design": "w8a8_ws", "act": "int8", "weight": "int8", "verified": True, "sqnr_db": 34.123, "cycles": 1234},
        {"design": "mxfp4", "act": "fp4_e2m1", "weight": "fp4_e2m1", "verified": False, "sqnr_db": None, "cycles": 5},
    ],
    "sizes": [{"design": "w8a8_ws", "fpga": "xc7", "unit": "LUT6", "size_per_mac": 68.4, "cosine_mean": 0.98765}],
    "complete": True,
    "finding": {
        "weights": {
            "summary": ["On Xilinx, tables are the smallest."],
            "rows": [{"operand": "1", "kind": "tables", "way": "table k=2", "xc7_lut": 9.5, "ecp5_lut": 12.8}],
        }
    },
    "peers": [{"name": "unit", "computes": "int8 x int8", "xc7_lut": 171.0, "ours": None}],
    "failures": [],
    "tools": {"yosys": "0.70", "commit": "0123abc"},
}


def test_the_diagram_is_that_of_the_design():
    assert architecture.PATH.read_text() == architecture.draw(load_design(architecture.DESIGN))


@pytest.mark.parametrize("name", ["mixpe_w4a8", "hawqv3_w8a8", "mxfp4"])
def test_diagrams_show_widths_and_latencies(name):
    design = load_design(name)
    text, known = architecture.draw(design), derived(design)
    for stream, bits in architecture.payload_bits(design).items():
        assert f">{stream}, {bits} bits<" in text
    assert f"array {known['array_latency']} cycles" in text
    assert text.count('class="cell"') == design.array.rows * design.array.cols


def test_a_design_without_drain_edge_is_not_drawn():
    with pytest.raises(ValueError, match=r"^Design must have a drain edge to be drawn, not w8a8_ws$"):
        architecture.draw(load_design("w8a8_ws"))


def levels(wave):
    """A wave with its dots and gaps replaced by the level that goes on."""
    full = ""
    for level in wave:
        full += full[-1] if level in ".|" else level
    return full


@pytest.mark.parametrize("name", waves.RECORDINGS)
def test_recorded_beats_are_those_of_the_schedule(name):
    engine, product = waves.engine_and_product(waves.RECORDINGS[name])
    schedule = product.schedule(engine.spec)
    recorded = json.loads((waves.FOLDER / f"{name}.json").read_text())
    moved = {}
    for stream, *rows in filter(None, recorded["signal"][1:]):
        wave = {row["name"]: levels(row["wave"]) for row in rows}
        moved[stream] = sum(v == r == "1" for v, r in zip(wave["valid"], wave["ready"], strict=True))
        assert moved[stream] == len(rows[0]["data"])
        assert [level != "0" for level in wave["valid"]] == [level != "x" for level in wave["payload"]]
    steps = len(schedule.groups) * -(-schedule.groups[0].stop // engine.spec.span)
    expected = {"command": 1, "result": product.act.shape[0]}
    if engine.dataflow == "output_stationary":
        expected |= {"act": steps, "weight": steps}
    else:
        expected |= {"act": steps * len(product.act), "weight": steps * engine.shape.rows}
        expected |= {"column": schedule.sums, "row": schedule.sums * len(product.act)}
    assert moved == expected


@pytest.mark.long
@pytest.mark.parametrize("name", waves.RECORDINGS)
def test_recordings_are_what_is_simulated(name):
    assert json.loads((waves.FOLDER / f"{name}.json").read_text()) == waves.record(waves.RECORDINGS[name])


def test_a_report_becomes_a_page():
    old = f"# Figures\n\n{measured.BEGIN}\n\nold\n\n{measured.END}\n\n## By hand\n"
    text = measured.page(old, measured.section(REPORT))
    assert text.startswith(f"# Figures\n\n{measured.BEGIN}\n\nAll figures of this part are of commit 0123abc")
    assert text.endswith(f"\n{measured.END}\n\n## By hand\n")
    assert "old" not in text
    assert "a small layer: 3 x 12 activations times 12 x 9 weights." in text
    assert "| `w8a8_ws` | int8 | int8 | yes | 34.12 | 1,234 |" in text
    assert "| `mxfp4` | fp4\\_e2m1 | fp4\\_e2m1 | NO | - | 5 |" in text
    assert "| `w8a8_ws` | xc7 | LUT6 | 68.40 | 0.9877 |" in text
    assert "| 1 | tables | table k=2 | 9.50 | 12.80 |" in text
    assert "Tools: yosys 0.70." in text
    # the same report makes the same page of its own page
    assert measured.page(text, measured.section(REPORT)) == text


def test_failures_of_a_report_are_shown():
    report = copy.deepcopy(REPORT)
    report["failures"] = ["w8a8_ws: area on xc7: yosys failed"]
    assert "## Failures\n\n- w8a8\\_ws: area on xc7: yosys failed\n" in measured.section(report)


def test_an_incomplete_report_is_refused():
    with pytest.raises(ValueError, match=r"^Report must be complete, which this one is not: run make report again$"):
        measured.section({**REPORT, "complete": False})


@pytest.mark.parametrize(
    ("commit", "message"),
    [
        ("0123abc-dirty", r"^Report must be of one commit without changes, not of 0123abc-dirty$"),
        ("", r"^Report must be of one commit without changes, not of an unknown one$"),
    ],
)
def test_a_report_of_no_commit_is_refused(commit, message):
    report = copy.deepcopy(REPORT)
    report["tools"]["commit"] = commit
    with pytest.raises(ValueError, match=message):
        measured.section(report)


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match=r"^Page must hold the marks .*"):
        measured.page("# Figures\n", "")


def test_the_page_has_its_marks():
    text = measured.PATH.read_text()
    assert measured.page(text, "put in by a test").count("put in by a test") == 1
    assert text.count(measured.BEGIN) == text.count(measured.END) == 1


@pytest.mark.parametrize(("found", "told"), [("0123abc-dirty", "0123abc-dirty"), ("", "an unknown one")])
def test_figures_of_a_tree_with_changes_are_refused(monkeypatch, found, told):
    monkeypatch.setattr(measured, "commit", lambda: {"commit": found} if found else {})
    with pytest.raises(SystemExit, match=f"^Figures must be of one commit without changes, not of {told}$"):
        measured.clean_commit()


def test_the_command_rewrites_the_page(tmp_path, monkeypatch):
    page, report = tmp_path / "figures.md", tmp_path / "report.json"
    page.write_text(f"{measured.BEGIN}\n{measured.END}\n")
    report.write_text(json.dumps(REPORT))
    monkeypatch.setattr(measured, "PATH", page)
    monkeypatch.setattr("sys.argv", ["measured", str(report)])
    measured.main()
    assert "commit 0123abc" in page.read_text()
    report.write_text("{")
    with pytest.raises(SystemExit, match=r"^docs\.figures\.measured: "):
        measured.main()
    assert "commit 0123abc" in page.read_text()
