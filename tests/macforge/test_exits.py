"""Exit codes: whatever goes wrong has one of its own, and one line that says why."""

import errno
from concurrent.futures.process import BrokenProcessPool

import pytest
import typer

from hw.emit.tools import ToolError
from macforge.errors import MismatchError
from macforge.exits import BUG, DIFFERENT, FAILED, INTERRUPTED, UNREAD, WRONG, exit_code, explained
from tb.simulator import SimulationError


def failing(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MismatchError("row 3"), DIFFERENT, "RTL and model differ: row 3"),
        (ValueError("Lanes must be 1, not 2\nand more"), WRONG, "Lanes must be 1, not 2"),
        (typer.BadParameter("no such option"), WRONG, "Invalid value: no such option"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x.npy"), WRONG, "x.npy: No such file"),
        (OSError("Results cannot be kept"), WRONG, "Results cannot be kept"),
        (MemoryError("Unable to allocate"), WRONG, "the request takes more memory than there is: Unable to allocate"),
        (ToolError("yosys: ERROR"), FAILED, "yosys: ERROR"),
        (SimulationError("Verilator"), FAILED, "Verilator"),
        (
            BrokenProcessPool("x"),
            FAILED,
            "a process was ended from outside, perhaps since memory ran out",
        ),
        (KeyboardInterrupt(), INTERRUPTED, "interrupted"),
    ],
    ids=repr,
)
def test_each_failure_has_a_code_and_a_line(error, code, message, capsys):
    assert exit_code(failing(error)) == code
    assert capsys.readouterr().err == f"macforge: {message}\n"


def test_no_room_on_the_disk_names_where():
    _, message = explained(OSError(errno.ENOSPC, "No space left on device"))
    assert message.startswith("No space left on device: of the output, of the cache, or of /")


@pytest.mark.parametrize(
    "error", [AttributeError("x"), TypeError("x"), AssertionError("x"), RecursionError("x"), SystemExit("x")], ids=repr
)
def test_what_nobody_expected_is_a_bug_with_its_traceback_in_a_log(error, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path))
    assert exit_code(failing(error)) == BUG != DIFFERENT
    said = capsys.readouterr().err
    (log,) = (tmp_path / "logs").iterdir()
    assert said == f"macforge: this is a bug of macforge's, {type(error).__name__}: x (traceback: {log})\n"
    assert "in failing" not in said
    assert "Traceback (most recent call last):" in log.read_text()


def test_closed_output_is_no_failure_of_the_request(capfd):
    assert exit_code(failing(BrokenPipeError())) == UNREAD


def test_success_is_0():
    assert exit_code(lambda: None) == 0
    assert exit_code(lambda: 5) == 5
