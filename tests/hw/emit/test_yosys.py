"""Scripts run in their folder with the pinned version, and failures carry Yosys's own words."""

import re
from pathlib import Path

import pytest

from hw.emit import yosys
from hw.emit.tools import ToolError
from tests.typed import present

INVERTER = "module inverter(input a, output b); assign b = ~a; endmodule\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path / "cache"))


def test_version_is_the_pinned_one():
    assert yosys.version() == yosys.PINNED_VERSION == "0.70"


def test_run_reads_and_writes_in_its_folder(tmp_path):
    (tmp_path / "inverter.v").write_text(INVERTER)
    log = yosys.run("read_verilog inverter.v\n# a comment\nproc; write_rtlil out.il", cwd=tmp_path)
    assert "Generating RTLIL representation for module `\\inverter'." in log
    assert "cell $not" in (tmp_path / "out.il").read_text()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("read_verilog missing.v", r"ERROR: File `missing.v' not found or is a directory"),
        ("read_verilog broken.v", r"broken.v:1: ERROR: syntax error, unexpected .*"),
        ("no_such_command", r"ERROR: No such command: no_such_command .*"),
    ],
)
def test_error_carries_yosys_own_line_and_its_log(tmp_path, script, message):
    (tmp_path / "broken.v").write_text("module broken(")
    with pytest.raises(ToolError, match=rf"^(yowasp-)?yosys: {message} \(complete log: .+\.log\)\n") as error:
        yosys.run(script, cwd=tmp_path)
    kept = present(re.search(r"complete log: (.+)\)$", str(error.value)))[1]
    assert "ERROR: " in Path(kept).read_text()


@pytest.mark.parametrize(("native", "wins"), [("0.70", True), ("0.70+12", False), ("0.69", False), ("0.7", False)])
def test_native_yosys_wins_at_the_pinned_version_only(tmp_path, monkeypatch, native, wins):
    program = tmp_path / "yosys"
    program.write_text(f"#!/bin/sh\necho 'Yosys {native} (git sha1 0)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    yosys._executable.cache_clear()
    try:
        assert (yosys._executable() == program) is wins
        assert yosys.version() == "0.70"
    finally:
        yosys._executable.cache_clear()
