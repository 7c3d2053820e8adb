"""Commands that are killed at any moment: nothing half written is left, and the next run comes to the same.

Set MACFORGE_KILLS to how many moments of each command are to be tried, instead of a few.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest

SMALL = ("--set", "array.rows=2", "--set", "array.cols=2")
SPEC = 'designs = ["w2a8_ws", "w8a8_os"]\nfamilies = ["ecp5"]\ncells = 1\n[measure.area]\n[measure.schedule]\nm = 64\n'
# Moments of each command that the tests try by themselves; a build is placed and routed three times for one.
FEW = {"compile": 5, "sweep": 3, "build": 0, "report": 1}


@dataclass(frozen=True)
class Command:
    """Words behind ``macforge``, and what it leaves that must be the same again; what grows is there before its end."""

    words: tuple[str, ...]
    output: str
    grows: bool = False

    def start(self, folder):
        """In a folder of its own, with a cache of its own, as the leader of all that it starts."""
        surroundings = {**os.environ, "MACFORGE_CACHE": str(folder / "cache")}
        command = [sys.executable, "-m", "macforge", *self.words]
        return subprocess.Popen(
            command,
            cwd=folder,
            env=surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


COMMANDS = {
    "compile": Command(("compile", "mixpe_w4a8", "--weight", "w.npy", "-o", "out.safetensors"), "out.safetensors"),
    "sweep": Command(("sweep", "spec.toml", "-o", "out.sqlite", "--export", "out.csv", "-j", "1"), "out.csv"),
    "build": Command(("build", "w2a8_ws", "--board", "ulx3s_85f", "-o", "out", *SMALL), "out/*.bit"),
    "report": Command(
        ("report", "-o", "out", "--designs", "w2a8_ws", "--families", "ecp5", *SMALL), "out/*.json", True
    ),
}


def given(folder):
    """The files that commands read."""
    folder.mkdir()
    np.save(folder / "w.npy", np.random.default_rng(0).normal(size=(256, 96)).astype(np.float32))
    (folder / "spec.toml").write_text(SPEC)
    return folder


def left(command, folder):
    """Digests of what is there, without what was measured of this very run."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob(command.output))}


def finished(command, folder):
    """What it leaves when it is not disturbed, and the seconds that it takes."""
    start = time.monotonic()
    process = command.start(folder)
    _out, err = process.communicate()
    assert process.returncode == 0, err.decode()[-500:]
    found = left(command, folder)
    assert found
    return found, time.monotonic() - start


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Of each command, once."""
    known = {}

    def of(name):
        if name not in known:
            known[name] = finished(COMMANDS[name], given(tmp_path_factory.mktemp("whole") / name))
        return known[name]

    return of


def moments():
    for name, few in FEW.items():
        for number in range(int(os.environ.get("MACFORGE_KILLS", few))):
            yield pytest.param(name, number, marks=() if (name, number) == ("compile", 0) else pytest.mark.long)


@pytest.mark.parametrize(("name", "number"), list(moments()))
def test_what_is_killed_is_right_when_it_runs_again(undisturbed, tmp_path, name, number):
    command, (whole, seconds) = COMMANDS[name], undisturbed(name)
    folder = given(tmp_path / "killed")
    process = command.start(folder)
    time.sleep(random.Random(f"{name} {number}").random() * seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # whole files, or none
    assert command.grows or left(command, folder).items() <= whole.items()
    assert finished(command, folder)[0] == whole
