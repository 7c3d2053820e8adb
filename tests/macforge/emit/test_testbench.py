"""Testbenches in plain Verilog: sound designs pass them from unknown registers, and broken ones do not."""

import re

import pytest

from macforge import design_names, load_design
from macforge.emit.stimulus import stimulus_of
from macforge.emit.testbench import generate_testbench
from macforge.emit.verilog import generate_verilog
from tests.macforge.emit.tools import icarus, lint, verilated

PASSED = re.compile(r"PASSED: (\w+), products: (\d+), beats of results: (\d+), cycles: (\d+) as predicted, .*")


def small(name):
    return load_design(name, ["tiling.panel_rows=4"]).resized(2)


def write(design, folder, *, axis=False):
    """The design and its testbench, of which the top is returned."""
    generate_verilog(design, axis=axis).write(folder)
    bench = generate_testbench(design, axis=axis)
    bench.write(folder)
    return bench.top


def assert_passed(design, outcome):
    code, verdict = outcome
    found = PASSED.fullmatch(verdict)
    assert found, verdict
    stimulus = stimulus_of(design)
    cycles = sum(schedule.cycles for schedule in stimulus.schedules)
    told = (len(stimulus.schedules), len(stimulus.results), cycles)
    assert (code, found.groups()) == (0, (design.name, *map(str, told)))


# modes, parameters of all kinds, codes that are not finite, padding in results
@pytest.mark.parametrize(
    ("name", "axis"), [("subword_int8_int4", False), ("nvfp4", True), ("fp8_e4m3_exact", True), ("w4a8_ws", False)]
)
def test_small_design_passes_its_testbench(name, axis, tmp_path):
    design = small(name)
    assert_passed(design, icarus(write(design, tmp_path, axis=axis), tmp_path, f"{name}.v"))


@pytest.mark.long
@pytest.mark.parametrize("name", design_names())
def test_named_design_passes_its_testbench(name, tmp_path):
    design = load_design(name)
    assert_passed(design, icarus(write(design, tmp_path), tmp_path, f"{name}.v"))


@pytest.mark.long
@pytest.mark.parametrize("axis", [False, True], ids=["plain", "axis"])
def test_design_passes_its_testbench_in_verilator(axis, tmp_path):
    design = small("fp8_e4m3_exact")
    assert_passed(design, verilated(write(design, tmp_path, axis=axis), tmp_path, f"{design.name}.v"))


@pytest.mark.parametrize(("checksum", "axis"), [("detect", True), ("correct", False)])
def test_checked_design_passes_its_testbench(checksum, axis, tmp_path):
    """From unknown registers: reports of faults are known, and there are none; nor is anything said by lint."""
    design = small("w4a8_ws").with_settings([f"array.checksum={checksum}"])
    bench = write(design, tmp_path, axis=axis)
    head = (tmp_path / "w4a8_ws.v").read_text().partition("\nmodule ")[0]
    assert head.count("// fault: ") == 1 and head.count("// corrected: ") == (checksum == "correct")
    assert_passed(design, icarus(bench, tmp_path, "w4a8_ws.v"))
    assert lint("w4a8_ws", tmp_path, "w4a8_ws.v") == (0, "")


def test_a_reported_fault_fails(tmp_path):
    """A check sum that is formed another way is one that disagrees."""
    bench = write(small("w8a8_os").with_settings(["array.checksum=detect"]), tmp_path)
    path = tmp_path / "w8a8_os.v"
    head, tail = path.read_text().split("module w8a8_os_column_sum_2x8", 1)
    assert " + " in tail
    path.write_text(f"{head}module w8a8_os_column_sum_2x8{tail.replace(' + ', ' - ', 1)}")
    code, verdict = icarus(bench, tmp_path, "w8a8_os.v")
    assert code != 0
    assert re.fullmatch(r"FAILED: the engine reports a fault of its sums in cycle \d+", verdict), verdict


WRONG = r"beat 0 of results, column 0 \(2: flags\): expected [0-9a-f]+, found [0-9a-f]+"
UNKNOWN = r"a valid or ready of the engine is X or Z in cycle \d+"
STUCK = "nothing has moved for 10000 cycles"


@pytest.mark.parametrize(
    ("file", "sound", "broken", "count", "message"),
    [
        # of adders in the cells
        ("w4a8_ws", " + ", " - ", 1, WRONG),
        ("w4a8_ws", " ^ ", " & ", 1, WRONG),
        ("w4a8_ws", "<< 1'h1", "<< 1'h0", 1, WRONG),
        # nothing is reset
        ("w4a8_ws", "= rst ?", "= 1'h0 ?", -1, UNKNOWN),
        ("w4a8_ws_tb", ".result__valid(result_valid)", ".result__valid()", 1, UNKNOWN),
        ("w4a8_ws_tb", ".result__ready(result_ready)", ".result__ready(1'b0)", 1, "beat 1 of results, .*"),
        ("w4a8_ws_tb", ".act__valid(act_valid)", ".act__valid(1'b0)", 1, STUCK),
    ],
)
def test_broken_design_fails(file, sound, broken, count, message, tmp_path):
    bench = write(small("w4a8_ws"), tmp_path)
    path = tmp_path / f"{file}.v"
    text = path.read_text()
    assert sound in text
    path.write_text(text.replace(sound, broken, count))
    code, verdict = icarus(bench, tmp_path, "w4a8_ws.v")
    assert code != 0
    assert re.fullmatch(f"FAILED: {message}", verdict), verdict


def test_another_count_of_cycles_fails(tmp_path):
    design = small("w4a8_ws")
    bench, cycles = write(design, tmp_path), stimulus_of(design).schedules[0].cycles
    path = tmp_path / f"{bench}.v"
    text = path.read_text()
    path.write_text(text.replace(f"predicted = {cycles};", f"predicted = {cycles - 1};"))
    code, verdict = icarus(bench, tmp_path, "w4a8_ws.v")
    assert code != 0
    assert verdict == f"FAILED: product 0 takes {cycles} cycles, expected {cycles - 1}"


def test_a_wrong_mark_of_invalid_results_fails(tmp_path):
    bench = write(small("fp8_e4m3_exact"), tmp_path)
    path = tmp_path / f"{bench}.v"
    path.write_text(path.read_text().replace("nonfinite_in = 1;", "nonfinite_in = 0;", 1))
    code, verdict = icarus(bench, tmp_path, "fp8_e4m3_exact.v")
    assert code != 0
    assert verdict == "FAILED: nonfinite is 1 after product 0, expected 0"


@pytest.mark.parametrize("axis", [False, True], ids=["plain", "axis"])
def test_files_are_clean_under_lint(axis, tmp_path):
    bench = write(small("fp8_e4m3_exact"), tmp_path, axis=axis)
    assert lint("fp8_e4m3_exact", tmp_path, "fp8_e4m3_exact.v") == (0, "")
    # of several modules in a file
    options = ["--timing", "-Wno-DECLFILENAME"]
    assert lint(bench, tmp_path, f"{bench}.v", "fp8_e4m3_exact.v", options=options) == (0, "")


def test_vectors_are_named_by_names_that_verilog_takes(tmp_path):
    path = tmp_path / "My-Design.v2.toml"
    path.write_text('family = "mac"\nact = "int4"\nweight = "int4"\n[array]\nrows = 1\ncols = 1\n')
    design = load_design(path)
    bench = write(design, tmp_path)
    assert bench == "My_Design_v2_tb"
    assert icarus(bench, tmp_path, "My-Design.v2.v")[1].startswith("PASSED: My_Design_v2, ")
