"""The command that makes a report: what it says meanwhile, and what it leaves when it is interrupted."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from macforge.cli import measure_commands
from macforge.measure.finding import CANDIDATES
from macforge.report import report as report_module
from tests.macforge.report.made_up import front_table, made_up_report, made_up_row

ROOT = Path(__file__).parents[3]


@pytest.fixture
def asked(monkeypatch):
    """What the command asks for, in place of a report that takes minutes."""
    calls = []

    def growing(designs, layer, **options):
        calls.append({"designs": [design.name for design in designs], "layer": layer.name, **options})
        yield made_up_report([made_up_row(design.name) for design in designs[:1]])

    monkeypatch.setattr(report_module, "growing_report", growing)
    return calls


@pytest.mark.parametrize(
    ("arguments", "families", "findings", "whole"),
    [
        ([], ["xc7", "ecp5"], False, []),
        (["--families", "all"], list(measure_commands.FPGA_FAMILIES), False, []),
        (["--families", "ice40, gowin", "--findings"], ["ice40", "gowin"], True, []),
        (["--whole"], ["xc7", "ecp5"], False, ["engine", "accelerator", "engine_fmax", "use"]),
    ],
)
def test_what_is_measured_by_default_and_what_if_asked_for(
    asked, macforge, tmp_path, arguments, families, findings, whole
):
    code, _, _ = macforge("report", "--designs", "mxfp4", "-o", tmp_path, *arguments)
    assert code == 0
    (call,) = asked
    assert call["families"] == families
    assert call["candidates"] == (CANDIDATES if findings else ())
    assert call["measurements"] == ["layer", "area", "fmax", *whole, "accuracy"]


@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        ([], []),
        (["FAMILIES=all"], ["--families", "all"]),
        (["FAMILIES=ice40,gowin", "FINDINGS=1"], ["--families", "ice40,gowin", "--findings"]),
        (["DESIGNS=all", "FINDINGS=0"], ["--designs", "all"]),
        (["WHOLE=1"], ["--whole"]),
    ],
)
def test_make_hands_its_variables_over(variables, arguments):
    command = ["make", "--dry-run", "--assume-old=.venv/.stamp", "report", *variables]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    words = shlex.split(done.stdout.replace("\\\n", " ").splitlines()[-1])
    assert words[words.index("report") :] == ["report", "-o", "build/report", *arguments]


def test_headline_designs_or_all(asked, macforge, tmp_path):
    assert macforge("report", "-o", tmp_path)[0] == macforge("report", "-o", tmp_path, "--designs", "all")[0] == 0
    some, every = (call["designs"] for call in asked)
    assert set(some) < set(every)
    assert "rf8" in every and "rf8" not in some


def test_a_wrong_family_is_one_clear_line(macforge, tmp_path):
    code, _, error = macforge("report", "--families", "ice40,nope", "-o", tmp_path / "out")
    assert code == 2
    assert error.startswith("macforge: Family must be one of cmos, ecp5, ")
    assert error.endswith("not 'nope'\n") and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_fronts_are_shown_in_the_page(asked, macforge, tmp_path):
    (tmp_path / "front.json").write_text(json.dumps(front_table()))
    command = ("report", "--designs", "mxfp4", "-o", tmp_path / "out", "--front")
    assert macforge(*command, tmp_path / "front.json")[0] == 0
    assert "Loss of small.gguf against bytes" in (tmp_path / "out" / "report.html").read_text()
    code, _, error = macforge(*command, tmp_path / "none.json")
    assert (code, error) == (2, f"macforge: Front must be a file that exists, not {tmp_path / 'none.json'}\n")


def test_the_rows_are_printed_with_their_units(asked, macforge, tmp_path):
    code, out, error = macforge("report", "--designs", "w8a8_ws", "-o", tmp_path)
    assert code == 0
    assert "SQNR dB" in out and "ecp5 Fmax MHz" in out
    assert f"the page grows: {tmp_path / 'report.html'}" in error
    assert "[4/4] 1m12s" in error
    assert (tmp_path / "report.html").exists()


def test_an_interrupted_report_leaves_a_whole_page_that_says_so(tmp_path):
    np.save(tmp_path / "w.npy", np.random.default_rng(0).standard_normal((12, 9)).astype(np.float32))
    # interrupts are ignored in the background of a script, and by what is started there
    listening = ["env", "--default-signal=INT"]
    command = [
        *listening,
        sys.executable,
        "-m",
        "macforge",
        "report",
        "--weights",
        "w.npy",
        "--designs",
        "mxfp4,w8a8_ws",
    ]
    # nothing of it is cached, so that it takes long enough
    environment = os.environ | {"MACFORGE_CACHE": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    page = tmp_path / "report" / "report.html"
    options = {"cwd": tmp_path, "env": environment, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **options) as running:
        while not page.exists() and running.poll() is None:
            time.sleep(0.1)
        # as a terminal does
        os.killpg(running.pid, signal.SIGINT)
        _, told = running.communicate()
    assert running.returncode == 130, told
    text = page.read_text()
    assert "<strong>Interrupted</strong>" in text and text.rstrip().endswith("</html>")
    table = json.loads((tmp_path / "report" / "report.json").read_text())
    assert table["complete"] is False
