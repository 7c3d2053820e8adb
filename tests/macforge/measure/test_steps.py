"""Figures computed side by side: one that fails, in whatever way, does not end the others."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import active_children

import pytest

from macforge.measure.steps import Step, take_steps
from tests.typed import present, wrong


def test_every_step_is_taken_whatever_becomes_of_the_others():
    steps = [
        Step("figures", "kind", dict, ([("a", 1)],)),
        Step("wrong request", "kind", wrong(int), ("x",)),
        Step("end of a process", "kind", os._exit, (1,)),
        Step("fault", "kind", wrong(len), (3,)),
        *(Step(f"figure {i}", "kind", dict, (), {"number": i}) for i in range(8)),
    ]
    found = {outcome.step.label: outcome for outcome in map(present, take_steps(steps))}
    assert set(found) == {step.label for step in steps}
    assert found["figures"].figures == {"a": 1}
    assert found["wrong request"].reason == "invalid literal for int() with base 10: 'x'"
    assert present(found["end of a process"].reason).startswith("a process was ended from outside")
    fault = "this is a bug of macforge's, TypeError: object of type 'int' has no "
    assert present(found["fault"].reason).startswith(fault)
    assert [found[f"figure {i}"].figures for i in range(8)] == [{"number": i} for i in range(8)]
    for outcome in found.values():
        assert (outcome.figures is None) == (outcome.seconds is None) == (outcome.reason is not None)


def test_steps_are_taken_in_their_order_and_timed():
    steps = [Step(str(i), "kind", wrong(time.sleep), (0.05 * i,)) for i in range(3)]
    outcomes = [present(outcome) for outcome in take_steps(steps, processes=1)]
    assert [outcome.step for outcome in outcomes] == steps
    assert [present(outcome.seconds) >= 0.05 * i for i, outcome in enumerate(outcomes)] == [True] * 3


def test_who_waits_for_a_long_step_hears_from_it_meanwhile():
    outcomes = list(take_steps([Step("long", "kind", wrong(time.sleep), (0.5,))], every=0.05, processes=1))
    assert outcomes[0] is None
    assert [outcome.step.label for outcome in outcomes if outcome] == ["long"]


@pytest.fixture
def listening():
    """Interrupts are raised: in the background of a script they are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
def test_an_interrupt_while_processes_are_started_ends_them(monkeypatch):
    """Whenever it comes: here while the pool starts the thread that looks after its processes."""
    start = threading.Thread.start

    def interrupted(thread):
        signal.raise_signal(signal.SIGINT)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(take_steps([Step("short", "kind", wrong(time.sleep), (0.1,))], processes=1))
    assert not active_children()


THREADS = """\
import json

from threadpoolctl import threadpool_info

from macforge.measure.steps import Step, take_steps


def threads():
    return {library["filepath"]: library["num_threads"] for library in threadpool_info()}


if __name__ == "__main__":
    (outcome,) = take_steps([Step("threads", "threads", threads)])
    print(json.dumps(outcome.figures))
"""


def test_a_process_for_each_core_takes_one_thread_each(tmp_path):
    (tmp_path / "threads.py").write_text(THREADS)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, tmp_path / "threads.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout).values()) == {1}
