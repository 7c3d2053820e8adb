"""What make tells its user: the list of targets, and which tool is missing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.typed import present

ROOT = Path(__file__).parent.parent
TARGETS = ["help", "report", "test", "test-quick", "test-all", "fuzz", "sim", "verilog"]
TARGETS += ["prove", "mutants", "inject", "board", "area", "docs", "lint", "clean"]
TOOLS = {name: shutil.which(name) for name in ("awk", "c++", "iverilog", "make", "perl")}
TOOLS["python3"] = sys.executable


@pytest.fixture
def clone(tmp_path):
    """A folder with the files that make looks at, and nothing set up."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def tools(tmp_path):
    """A folder for PATH that holds each tool, and nothing else."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, path in TOOLS.items():
        executable(folder / name, f'exec "{path}" "$@"')
    return folder


def executable(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def make(*targets, cwd, path=None):
    # nothing of the make that may run these tests is passed on
    inherited = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON"}
    environment = {key: value for key, value in os.environ.items() if key not in inherited}
    return subprocess.run(
        [present(shutil.which("make")), *targets],
        cwd=cwd,
        env=environment if path is None else environment | {"PATH": str(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def assert_refused(done, message):
    assert done.returncode != 0
    assert re.fullmatch(message, done.stdout.splitlines()[0])


def test_help_has_one_line_for_each_target(clone, tools):
    done = make("help", cwd=clone, path=tools)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [present(re.match(r"make ([\w-]+) +\S", line))[1] for line in lines] == TARGETS
    assert make(cwd=clone, path=tools).stdout == done.stdout


def test_all_tools_are_found(clone, tools):
    done = make("tools", cwd=clone, path=tools)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ("c++", r"The C\+\+ compiler \(c\+\+\) is missing: sudo apt-get install g\+\+"),
        ("make", r"make is missing: sudo apt-get install make"),
        ("perl", r"perl is missing: sudo apt-get install perl"),
        (
            "python3",
            r"Python \(python3\) is missing: sudo apt-get install python3 python3-venv python3-dev",
        ),
    ],
)
def test_a_missing_tool_is_named_first(tool, message, clone, tools):
    (tools / tool).unlink()
    assert_refused(make("test", cwd=clone, path=tools), message)
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("target", ["test", "test-all"])
def test_only_tests_take_a_second_simulator(target, clone, tools):
    (tools / "iverilog").unlink()
    message = r"Icarus Verilog \(iverilog\) is missing: sudo apt-get install iverilog"
    assert_refused(make(target, cwd=clone, path=tools), message)
    assert not (clone / ".venv").exists()
    assert make("tools", cwd=clone, path=tools).returncode == 0


@pytest.mark.parametrize(
    ("tool", "body", "message"),
    [
        (
            "c++",
            f'exec "{TOOLS["c++"]}" -std=c++11 "$@"',
            r"The C\+\+ compiler \(c\+\+\) does not take C\+\+14: .+",
        ),
        ("perl", 'test "$1" != -MFindBin', r"The modules of perl are missing: .+"),
    ],
)
def test_an_unfit_tool_is_named_first(tool, body, message, clone, tools):
    executable(tools / tool, body)
    assert_refused(make("test", cwd=clone, path=tools), message)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (
            "sys.version_info = (3, 9, 18)",
            r"Python 3\.11 or later is needed, not 3\.9: "
            r"sudo apt-get install python3\.11-venv python3\.11-dev, then make PYTHON=python3\.11",
        ),
        (
            "sys.modules['ensurepip'] = None",
            r"Python's venv or ensurepip is missing: sudo apt-get install python3\.\d+-venv",
        ),
        (
            "sysconfig.get_config_vars()['INSTSONAME'] = 'libpython3.11.a'",
            r"Python's shared library is missing: sudo apt-get install libpython3\.\d+ "
            r"\(or build Python with --enable-shared\)",
        ),
    ],
)
def test_an_unfit_python_is_named_first(before, message, clone, tools):
    start = f"import sys, sysconfig; {before}; exec(sys.argv[2])"
    executable(tools / "python3", f'exec "{TOOLS["python3"]}" -c "{start}" "$@"')
    assert_refused(make("test", cwd=clone, path=tools), message)
    assert not (clone / ".venv").exists()


def test_clean_removes_what_was_built(clone):
    (clone / "build" / "cache").mkdir(parents=True)
    (clone / ".venv").mkdir()
    assert make("clean", cwd=clone).returncode == 0
    assert not (clone / "build").exists()
    assert (clone / ".venv").exists()
