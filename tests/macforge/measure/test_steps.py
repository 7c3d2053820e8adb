"""Figures computed side by side: one that fails, in whatever way, does not end the others."""

import os

from macforge.measure.steps import Step, take_steps


def test_every_step_is_taken_whatever_becomes_of_the_others():
    rows = [{} for _ in range(5)]
    done = []
    steps = [
        Step(rows[0], "figures", dict, ([("a", 1)],)),
        Step(rows[1], "wrong request", int, ("x",)),
        Step(rows[2], "end of a process", os._exit, (1,)),
        Step(rows[3], "fault", len, (3,)),
        *(Step(rows[4], f"figure {i}", dict, ([(str(i), i)],)) for i in range(8)),
    ]
    take_steps(steps, lambda *progress: done.append(progress))
    assert rows[0] == {"a": 1}
    assert rows[1] == {"failed": "wrong request: invalid literal for int() with base 10: 'x'"}
    assert rows[2]["failed"].startswith("end of a process: a process was ended from outside")
    assert rows[3]["failed"].startswith("fault: this is a bug of macforge's, TypeError: object of type 'int' has no ")
    assert rows[4] == {str(i): i for i in range(8)}
    assert done == [(count, len(steps)) for count in range(1, len(steps) + 1)]


def test_reasons_are_told_once_each():
    row = {"failed": None}
    take_steps([Step(row, what, int, (text,)) for what, text in (("a", "x"), ("b", "x"), ("c", "y"))], lambda *_: None)
    reasons = row["failed"].split("; ")
    assert len(reasons) == 2
    assert {reason.partition("10: ")[2] for reason in reasons} == {"'x'", "'y'"}
