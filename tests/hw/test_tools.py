"""A failing tool says why and where its log is kept."""

import re
import sys
from pathlib import Path

import pytest

from hw import tools
from hw.tools import ToolError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path / "cache"))


def python_tool(tmp_path, body):
    """An executable file named ``tool`` that runs ``body``."""
    path = tmp_path / "tool"
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    path.chmod(0o755)
    return path


def kept_log(error):
    return Path(re.search(r"\(complete log: (.+)\)$", str(error.value))[1]).read_text()


def test_a_crash_without_an_error_line_shows_its_last_line(tmp_path):
    tool = python_tool(tmp_path, "print('working'); print('out of memory'); sys.exit(3)")
    message = r"^tool: ended with status 3: out of memory \(complete log: .+\.log\)\n"
    with pytest.raises(ToolError, match=message) as error:
        tools.run([tool], cwd=tmp_path)
    assert kept_log(error) == "working\nout of memory\n"


def test_a_silent_crash_is_named(tmp_path):
    tool = python_tool(tmp_path, "sys.exit(9)")
    with pytest.raises(ToolError, match=r"^tool: ended with status 9: no output \(complete log: .+\)$"):
        tools.run([tool], cwd=tmp_path)


def test_a_tool_that_takes_too_long_is_stopped(tmp_path):
    tool = python_tool(tmp_path, "import time; print('placing', flush=True); time.sleep(600)")
    message = r"^tool: was stopped after 2\.5 s: placing \(complete log: .+\.log\)\n"
    with pytest.raises(ToolError, match=message) as error:
        tools.run([tool], cwd=tmp_path, limit=2.5)
    assert kept_log(error) == "placing\n"


def test_log_holds_both_streams(tmp_path):
    tool = python_tool(tmp_path, "print('out', flush=True); print('err', file=sys.stderr)")
    assert tools.run([tool], cwd=tmp_path) == "out\nerr\n"


def test_a_missing_tool_is_named():
    message = r"^no-such-tool was found neither beside this Python's scripts nor on PATH$"
    with pytest.raises(ToolError, match=message):
        tools.find("no-such-tool")


def test_banner_is_the_first_line(tmp_path, monkeypatch):
    python_tool(tmp_path, "print('tool 1.2', sys.argv[1:]); print('of somebody')")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.banner("tool") == "tool 1.2 ['--version']"
    assert tools.banner("tool", "-V") == "tool 1.2 ['-V']"
    assert tools.banner("no-such-tool") == ""
