"""A failing tool says why and where its log is kept."""

import re
import sys
import tempfile
from pathlib import Path

import pytest

from hw.emit import tools
from hw.emit.cache import CacheError
from hw.emit.tools import ToolError, failure, keep_log
from tests.typed import present


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
    return Path(present(re.search(r"\(complete log: (.+)\)$", str(error.value)))[1]).read_text()


def test_a_crash_without_an_error_line_shows_its_last_line(tmp_path):
    tool = python_tool(tmp_path, "print('working'); print('out of memory'); sys.exit(3)")
    message = r"^tool: ended with status 3: out of memory \(complete log: .+\.log\)\n"
    with pytest.raises(ToolError, match=message) as error:
        tools.run([tool], cwd=tmp_path)
    assert kept_log(error) == "working\nout of memory\n"


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("reading\nERROR: no module\nlast", "ERROR: no module"),
        ("%Warning-X: y\n%Error: x.v:3: bad\nmake: Leaving directory '/tmp'", "%Error: x.v:3: bad"),
        ("g++ -c x\nx.cpp:3:1: fatal error: no.h\nmake: *** [x] Error 1", "x.cpp:3:1: fatal error: no.h"),
        ("make: Entering\n/bin/sh: 1: c++: not found\nmake: *** [x] Error 127\nmake: L", "/bin/sh: 1: c++: not found"),
        (
            "make: Entering\nmake: *** No rule to make target 'b'.  Stop.\nmake: L",
            "make: *** No rule to make target 'b'.  Stop.",
        ),
        ("one\ntwo", "was ended by SIGKILL: two"),
        ("x" * 1000, "was ended by SIGKILL: " + "x" * 400),
    ],
    ids=range(7),
)
def test_reason_is_what_a_tool_says_first_of_what_is_wrong(log, reason):
    error = failure("A tool could not/do it", log, "was ended by SIGKILL")
    said = present(re.fullmatch(r"A tool could not/do it: (.*) \(complete log: (.*)\)", str(error)))
    assert said[1] == reason
    assert Path(said[2]).read_text() == log
    assert Path(said[2]).name.startswith("a-tool-could-not-do-it-")


def test_a_killed_tool_is_told_by_its_signal(tmp_path):
    killed = python_tool(tmp_path, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ToolError, match=r"^tool: was ended by SIGKILL: no output "):
        tools.run([killed], cwd=tmp_path)


def test_log_is_kept_elsewhere_if_the_cache_cannot_be_written(monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", "/proc/none")
    log = keep_log("x", "text")
    assert log.parent == Path(tempfile.gettempdir())
    assert log.read_text() == "text"
    log.unlink()


def test_machine_code_is_kept_in_the_cache_where_there_is_no_home(tmp_path, monkeypatch):
    monkeypatch.delenv("YOWASP_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc")
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path))
    tool = python_tool(tmp_path, "import os; print(os.environ['YOWASP_CACHE_DIR'])")
    assert tools.run([tool], cwd=tmp_path) == f"{tmp_path}/yowasp\n"
    monkeypatch.setenv("MACFORGE_CACHE", "/proc/none")
    with pytest.raises(CacheError, match=r"^Cache must be a folder that can be written, which /proc/none is not "):
        tools.run([tool], cwd=tmp_path)


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
