"""How far a command has come, as it is told."""

import pytest

from macforge.progress import Pace, State, duration, progress_shown


@pytest.mark.parametrize(
    ("seconds", "exact", "rough"),
    [
        (0.2, "0s", "0s"),
        (59.4, "59s", "59s"),
        (60, "1m00s", "1m"),
        (72, "1m12s", "1m"),
        (377, "6m17s", "6m"),
        (3599, "59m59s", "1h00m"),
        (3600 + 62, "1h01m", "1h01m"),
    ],
)
def test_durations_are_for_people(seconds, exact, rough):
    assert (duration(seconds), duration(seconds, rough=True)) == (exact, rough)


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (
            State(done=7, total=41, elapsed=72, left=370, last="mixpe_w4a8 area on xc7"),
            "[ 7/41] 1m12s, about 6m left: mixpe_w4a8 area on xc7",
        ),
        (State(done=0, total=9, elapsed=0), "[0/9] 0s"),
        (State(done=9, total=9, elapsed=5, left=0.0, last="all"), "[9/9] 5s: all"),
    ],
)
def test_a_state_is_a_line(state, line):
    assert state.line == line


def test_what_is_left_is_known_from_steps_of_the_same_kind():
    now = [100.0]
    pace = Pace(["slow", "quick", "quick", "slow", "other"], processes=2, clock=lambda: now[0])
    assert pace.state == State(done=0, total=5, elapsed=0, left=None)
    now[0] = 110.0
    pace.finish("slow", "first", 10.0)
    # nothing better is known of the others
    assert pace.state == State(done=1, total=5, elapsed=10, left=4 * 10 / 2, last="first")
    pace.finish("quick", "second", 2.0)
    assert pace.state.left == (2 + 10 + 6) / 2
    # one that has failed says nothing about the others
    pace.finish("quick", "third", None)
    assert (pace.state.done, pace.state.left) == (3, (10 + 6) / 2)
    pace.finish("other", "fourth", 1.0)
    pace.finish("slow", "fifth", 1.0)
    assert (pace.state.is_complete, pace.state.left) == (True, 0)


def test_without_a_terminal_each_step_done_is_a_line_on_standard_error(capsys):
    with progress_shown("measuring") as show:
        for done in (0, 1, 1, 2):
            show(State(done=done, total=2, last=f"step {done}"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["[0/2] 0s: step 0", "[1/2] 0s: step 1", "[2/2] 0s: step 2"]


def test_on_a_terminal_there_is_a_bar(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress_shown("measuring") as show:
        show(State(done=1, total=2, last="step 1"))
    error = capsys.readouterr().err
    assert "measuring" in error
    assert "[1/2]" not in error
