"""The runner: what a bench asserts, and what becomes of designs and benches that are broken."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tb.runner import Bench, SimulationError, run_bench
from tb.simulator import built_simulator, compiled_headers, require_simulator
from tests.typed import present

COUNTER = """
module counter(input clk, input rst, input [3:0] step, output reg [7:0] count);
  always @(posedge clk) count <= rst ? 8'd0 : count + {4'd0, step};
endmodule
"""


def count(steps, expected, **changes):
    """A bench of the counter: after a reset, ``step`` is added up."""
    cycles = len(steps) + 1
    arrays = {
        "reset": np.arange(cycles) == 0,
        "in_step": np.array([[0], *([step] for step in steps)]),
        "expected_count": np.array([[0], [0], *([value] for value in expected)])[:cycles],
        "counted_count": np.arange(cycles)[:, None] > 0,
    }
    settings = {"ports": {"step": {"step": 4}, "count": {"count": 8}}}
    fields = {"verilog": COUNTER, "top": "counter", "module": "tb.cycles_bench", "settings": settings, "arrays": arrays}
    return run_bench(Bench(**{**fields, "cycles": cycles, **changes}))


def test_right_and_wrong_expectation():
    right = count([1, 2, 3, 0], [1, 3, 6])
    assert right.failure is None
    assert right.arrays["count"][1:].ravel().tolist() == [0, 1, 3, 6]
    failure = present(count([1, 2, 3, 0], [1, 4, 6]).failure)
    assert "count" in failure
    assert "\n" not in failure


def test_broken_verilog_is_told_with_its_top():
    with pytest.raises(SimulationError, match=r"^Verilator could not build counter: "):
        count([0], [], verilog=COUNTER.replace("endmodule", ""))


def test_log_of_a_failed_build_is_kept_and_named():
    with pytest.raises(SimulationError) as raised:
        count([0], [], verilog=COUNTER.replace("count +", "count + nothing +"))
    message = r"Verilator could not build counter: (%Error.*) \(complete log: (.*)\)"
    said = present(re.fullmatch(message, str(raised.value)))
    assert "nothing" in said[1]
    assert said[1] in Path(said[2]).read_text()


@pytest.mark.parametrize("folder", ["a b", "it's", "$HOME", "a#b", "(a)"])
def test_cache_that_make_cannot_take_is_refused_before_anything_is_built(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path / folder))
    message = r"^Cache must be in a folder whose path make can take, .*; the variable MACFORGE_CACHE chooses another$"
    with pytest.raises(ValueError, match=message):
        require_simulator()
    with pytest.raises(ValueError, match=message):
        count([0], [])
    assert not (tmp_path / folder).exists()


def test_missing_compiler_is_named_with_its_package(tmp_path, monkeypatch):
    (tmp_path / "make").symlink_to(shutil.which("make"))
    monkeypatch.setenv("PATH", str(tmp_path))
    message = (
        r"^Simulators are built with make, c\+\+, perl, of which c\+\+, perl must be on PATH: "
        r"sudo apt-get install g\+\+ perl$"
    )
    with pytest.raises(SimulationError, match=message):
        require_simulator()


def test_bench_that_does_not_exist():
    with pytest.raises(SimulationError, match=r"counter"):
        count([0], [], module="tb.no_such_bench")


ASSERTING = """
import cocotb

from tb.request import Request

__all__ = ["claims"]


@cocotb.test()
async def claims(dut):
    Request.load().report(figures={}, arrays={})
    assert len(dut.count) == 9, "of 8 bits"
"""


@pytest.mark.parametrize(
    "name, value",
    [
        ("PYTHONOPTIMIZE", "2"),
        ("COCOTB_TESTCASE", "another"),
        ("COCOTB_TEST_FILTER", "another"),
        ("SIM_CMD_PREFIX", "false"),
        ("WAVES", "1"),
    ],
)
def test_surroundings_have_no_say_in_what_a_bench_finds(name, value, tmp_path, monkeypatch):
    (tmp_path / "asserting_bench.py").write_text(ASSERTING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(name, value)
    assert count([1], [1], module="asserting_bench").failure == "of 8 bits"
    assert count([1], [1]).failure is None


@pytest.mark.parametrize(("cycles", "optimization"), [(20_000, "-O0"), (20_001, "-Os")])
def test_long_runs_are_compiled_for_longer(cycles, optimization):
    assert count([1, 2], [1, 3], cycles=cycles).failure is None
    log = built_simulator(COUNTER, "counter", cycles=cycles, waves="") / "build.log"
    (command,) = (line for line in log.read_text().splitlines() if "-o Vtop__ALL.o" in line)
    assert optimization in command.split()


@pytest.mark.parametrize("optimization", ["-O0", "-Os"])
def test_headers_are_compiled_beforehand_and_taken(optimization, tmp_path):
    """The compiler takes precompiled headers only if all its options are those they were compiled with."""
    folder = compiled_headers(optimization)
    assert (folder / "runtime.fast.gch").stat().st_size > 1_000_000
    built = built_simulator(COUNTER, "counter", cycles=1 if optimization == "-O0" else 1_000_000, waves="")
    (command,) = (line for line in (built / "build.log").read_text().splitlines() if "-o Vtop__ALL.o" in line)
    # without the main program, which is included behind the headers
    words = re.sub(r"-include \S+/verilator\.cpp", "", command.removesuffix("Vtop__ALL.cpp")).split()
    words[words.index("-o") + 1] = str(tmp_path / "none.o")
    (tmp_path / "none.cpp").write_text("")
    told = subprocess.run([*words, "-Winvalid-pch", "-H", str(tmp_path / "none.cpp")], capture_output=True, text=True)
    assert told.returncode == 0
    assert told.stderr.splitlines()[0] == f"! {folder / 'runtime.fast.gch'}"
