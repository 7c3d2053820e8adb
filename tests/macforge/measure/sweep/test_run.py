"""Sweeps on real processes: nothing is computed twice, nothing lost, whoever dies meanwhile."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import dask.config
import numpy as np
import pytest
from distributed import Client

from macforge.design.design import load_design
from macforge.measure.area import area
from macforge.measure.registry import MEASUREMENTS, Measurement
from macforge.measure.sweep import points, run
from macforge.measure.sweep.run import run_sweep
from macforge.measure.sweep.spec import load_sweep
from macforge.measure.sweep.store import Store
from macforge.measure.sweep.worker import WorkerError
from macforge.provenance import made_by

HERE = Path(__file__).parent
DEADLINE = 60
"""Seconds that other processes may take for anything."""


class Probe:
    """Sweeps of the measurements of sweep_probe, in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.marks = folder / "marks"
        self.marks.touch()

    def spec(self, measure, seeds, **options):
        """Path of a sweep."""
        path = self.folder / "probe.toml"
        settings = "".join(f"{key} = {value}\n" for key, value in options.items())
        path.write_text(f'designs = ["w4a4_os"]\nseeds = {list(seeds)}\n[measure.{measure}]\n{settings}')
        return path

    def store(self):
        """Results, which may be there already."""
        return Store(self.folder / "probe.sqlite")

    def recorded(self):
        """Seed, status and worker of what is in the file right now, seen from outside."""
        with closing(sqlite3.connect(self.folder / "probe.sqlite")) as file:
            rows = file.execute("SELECT inputs, status, worker FROM results").fetchall()
        return [(json.loads(inputs)["seed"], status, worker) for inputs, status, worker in rows]

    def computed(self):
        """How often each seed was computed."""
        return Counter(int(line.split()[0]) for line in self.marks.read_text().splitlines())


@pytest.fixture
def probe(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    import sweep_probe

    probe = Probe(tmp_path)
    monkeypatch.setenv(sweep_probe.MARKS, str(probe.marks))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]))
    for name in ("slow", "faulty", "deadly"):
        monkeypatch.setitem(MEASUREMENTS, name, Measurement(function=getattr(sweep_probe, name)))
    return probe


def wait_for(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.05)


def workers_of(recorded):
    return {int(worker.rpartition(":")[2]) for *_, worker in recorded}


@pytest.fixture
def cluster(tmp_path, probe):
    """A scheduler on loopback and two workers: its address, and the processes, the scheduler's first."""
    address = tmp_path / "scheduler.json"
    common = ["--scheduler-file", address, "--host", "127.0.0.1", "--no-dashboard"]
    commands = [["scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0", *common]]
    # the preload is there to have both ready at once
    worker = ["worker", "--nthreads", "1", "--no-nanny", "--local-directory", tmp_path]
    commands += [[*worker, "--preload", "macforge.measure.sweep.worker", *common]] * 2
    processes = []
    try:
        for command in commands:
            argv = [sys.executable, "-m", "dask", *map(str, command)]
            processes.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            wait_for(lambda: address.exists() and address.read_text().endswith("}"))
        place = json.loads(address.read_text())["address"]
        with Client(place, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=DEADLINE)
        yield place, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.long
def test_figures_are_those_of_the_tools(macforge, tmp_path, monkeypatch):
    spec, results, table = tmp_path / "small.toml", tmp_path / "results.sqlite", tmp_path / "table.csv"
    spec.write_text(
        'designs = ["w2a8_os"]\nfamilies = ["xc7", "ecp5"]\ncells = 1\n[set]\nlanes = [1, 65]\n'
        "[measure.area]\n[measure.schedule]\n"
    )
    code, out, error = macforge("sweep", spec, "-o", results, "--export", table, "--json", "-j", 1)
    assert code == 3
    assert "6 of 6 points computed" in error
    reason = "area, schedule: ValueError: Design key lanes must be an integer from 1 to 64, not 65"
    assert f"macforge: 2 of 4 rows failed (--retry tries again): w2a8_os lanes=65 xc7: {reason}\n" in error
    good, bad = json.loads(out)[:2], json.loads(out)[2:]
    assert [row["family"] for row in good] == [row["family"] for row in bad] == ["xc7", "ecp5"]
    assert {(row["failed"], row["area.lut"], row["schedule.cycles"]) for row in bad} == {(reason, None, None)}
    for row in good:
        expected = area(load_design("w2a8_os").resized(1), family=row["family"], seeds=())
        assert row["area.lut"] == expected.resources.lut > 0
        assert (row["area.lut_ratio"], row["area.flow"]) == (expected.ratio, expected.flow)
    header, *lines = table.read_text().splitlines()
    assert header.startswith("design,set.lanes,family,seed,failed,area.unit,area.rows,area.cols,area.size,area.lut,")
    assert lines[0].startswith(f"w2a8_os,1,xc7,,,LUT6,1,1,{good[0]['area.lut']},")

    # nothing is left to do, and nobody is started to do it
    with monkeypatch.context() as patch:
        patch.setattr(run, "_connected", None)
        code, again, error = macforge("sweep", spec, "-o", results, "--json")
    assert (code, again) == (3, out)
    assert "0 of 6 points computed" in error


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["none.toml"], "Sweep must be a file that exists, not none.toml"),
        (["{spec}", "--export", "x.txt"], "Table must be exported to a file that ends in .csv, not to x.txt"),
        (["{spec}", "-o", "{spec}"], "Results must go to a new file or one of this version's sweeps, not to {spec}"),
        (["{spec}", "-o", "none/x.sqlite"], "Results cannot be kept in none/x.sqlite: unable to open database file"),
        (
            ["{spec}", "-o", "{spec}.sqlite", "-j", "2", "--scheduler", "tcp://127.0.0.1:1"],
            "Jobs are processes of this machine: with a scheduler they must be 0, not 2",
        ),
        (
            ["{spec}", "-o", "{spec}.sqlite", "--scheduler", "no"],
            "Scheduler must be the address of a dask scheduler, not 'no': missing port number in address 'no'",
        ),
    ],
)
def test_wrong_request_is_one_line(macforge, tmp_path, arguments, message):
    spec = tmp_path / "small.toml"
    spec.write_text('designs = ["w2a8_os"]\n')
    code, _, error = macforge("sweep", *(argument.format(spec=spec) for argument in arguments))
    assert (code, error) == (2, f"macforge: {message.format(spec=spec)}\n")


def test_points_are_recorded_as_they_come_and_failures_with_their_log(probe):
    asked = load_sweep(probe.spec("faulty", range(4)))
    seen = []
    with probe.store() as store:
        count = run_sweep(asked, store, jobs=2, progress=lambda *done: seen.append((*done, len(probe.recorded()))))
        table = store.table(asked)
        # two more points, and the two that failed
        assert run_sweep(load_sweep(probe.spec("faulty", range(1, 6))), store, jobs=1, retry=True) == 4
    assert count == 4
    assert seen == [(done, 4, done) for done in range(5)]
    assert [row["faulty.total"] for row in table] == [0, None, 1, None]
    reasons = [f"faulty: KeyError: 'odd seed {seed}'" for seed in (1, 3)]
    assert [row["failed"] for row in table] == [None, reasons[0], None, reasons[1]]
    assert probe.computed() == {0: 1, 1: 2, 2: 1, 3: 2, 4: 1, 5: 1}
    with closing(sqlite3.connect(probe.folder / "probe.sqlite")) as file:
        (log,) = file.execute("SELECT log FROM results WHERE status = 'failed' LIMIT 1").fetchone()
    assert log.startswith("Traceback (most recent call last):\n")
    assert "sweep_probe.py" in log
    assert log.endswith("\nwhat the tool said\n")


@pytest.mark.long
def test_point_that_kills_its_workers_fails_alone(probe):
    asked = load_sweep(probe.spec("deadly", range(4)))
    # no process is back so soon
    hasty = {"distributed.scheduler.allowed-failures": 1, "distributed.deploy.lost-worker-timeout": "100 ms"}
    with probe.store() as store, dask.config.set(hasty):
        run_sweep(asked, store, jobs=1)
        failures = [row["failed"] for row in store.table(asked)]
    assert failures[1].startswith("deadly: KilledWorker: Attempted to run task ")
    assert [failures[0], *failures[2:]] == [None] * 3
    assert probe.computed() == {0: 1, 1: 2, 2: 1, 3: 1}


@pytest.mark.long
def test_killed_sweep_goes_on_where_it_was(probe):
    spec = probe.spec("slow", range(12), millis=300)
    program = probe.folder / "program.py"
    program.write_text(
        "import sweep_probe\n"
        "from macforge import cli\n"
        "from macforge.measure.registry import MEASUREMENTS, Measurement\n"
        "if __name__ == '__main__':\n"
        "    MEASUREMENTS['slow'] = Measurement(function=sweep_probe.slow)\n"
        "    cli.main()\n"
    )
    command = [sys.executable, str(program), "sweep", str(spec), "-j", "2"]
    options = {"cwd": probe.folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **options) as first:
        wait_for(lambda: (probe.folder / "probe.sqlite").exists() and probe.marks.read_text().count("\n") > 4)
        first.kill()
    # its workers notice that they are alone
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers_of(probe.recorded())))
    before, computed = {seed for seed, *_ in probe.recorded()}, probe.computed()
    assert 0 < len(before) < 12
    assert before <= set(computed)

    done = subprocess.run(command, **options, check=True)
    assert f"{12 - len(before)} of 12 points computed" in done.stderr
    assert sorted(probe.recorded()) == sorted({(seed, "done", worker) for seed, _, worker in probe.recorded()})
    assert sorted(seed for seed, *_ in probe.recorded()) == list(range(12))
    again = probe.computed() - computed
    assert set(again) == set(range(12)) - before
    assert set(again.values()) == {1}


def test_interrupted_sweep_ends_at_once(probe):
    # interrupts are ignored in the background of a script, and by what is started there
    listening = ["env", "--default-signal=INT"]
    command = [*listening, sys.executable, "-m", "macforge", "sweep", str(probe.folder / "real.toml"), "-j", "2"]
    (probe.folder / "real.toml").write_text('designs = ["bf16_fp32", "posit16"]\ncells = 4\nfamilies = ["ecp5"]\n')
    environment = os.environ | {"MACFORGE_CACHE": str(probe.folder / "cache")}
    options = {"cwd": probe.folder, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **options, text=True, start_new_session=True) as running:
        wait_for(lambda: len(tools_of(running.pid)) == 2)
        tools = tools_of(running.pid)
        # as a terminal does
        os.killpg(running.pid, signal.SIGINT)
        out, error = running.communicate(timeout=DEADLINE)
    assert running.returncode == 130
    assert "Traceback" not in out + error
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in tools))


def tools_of(session):
    """Processes of Yosys in a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # behind the name, in parentheses: state, parent, group, session
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and b"yosys" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


@pytest.mark.long
def test_cluster_loses_a_worker_and_nothing_else(probe, cluster):
    address, (_, worker, survivor) = cluster
    asked = load_sweep(probe.spec("slow", range(12), millis=200))
    done = []

    def kill(count, total):
        done.append(count)
        if count > 2 and worker.pid in workers_of(probe.recorded()):
            worker.kill()

    with probe.store() as store:
        assert run_sweep(asked, store, scheduler=address, progress=kill) == 12
        assert [row["slow.total"] for row in store.table(asked)] == [sum(range(seed)) for seed in range(12)]
    assert done == list(range(13))
    recorded = probe.recorded()
    assert sorted(seed for seed, *_ in recorded) == list(range(12))
    assert {status for _, status, _ in recorded} == {"done"}
    assert worker.wait(0) == -signal.SIGKILL
    assert workers_of(recorded) == {worker.pid, survivor.pid}
    # what it was at when it died is computed again, and nothing else
    assert sum(probe.computed().values()) in (12, 13)


@pytest.mark.long
def test_cluster_must_have_workers_with_the_same_macforge(probe, cluster, monkeypatch):
    address, (_, *workers) = cluster
    asked = load_sweep(probe.spec("slow", [0]))
    other = {**made_by(), "numpy": "another"}
    monkeypatch.setattr(points, "made_by", lambda: other)
    with probe.store() as store:
        differs = rf".+:\d+ has other versions: numpy {np.__version__}, not another$"
        message = r"^Workers must have the macforge that they work for: " + differs
        with pytest.raises(WorkerError, match=message):
            run_sweep(asked, store, scheduler=address)
        for worker in workers:
            worker.kill()
            worker.wait()
        monkeypatch.setattr(run, "_PATIENCE", 2)
        message = rf"^Scheduler {address} must have a worker, and has had none for 2 s$"
        with pytest.raises(WorkerError, match=message):
            run_sweep(asked, store, scheduler=address)
    assert probe.recorded() == []


@pytest.mark.long
def test_cluster_goes_away(probe, cluster):
    address, (scheduler, *_) = cluster

    def kill(count, total):
        if count == 2:
            scheduler.kill()

    with (
        probe.store() as store,
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(WorkerError, match=rf"^Scheduler {address} has gone; what was computed is recorded$"),
    ):
        run_sweep(load_sweep(probe.spec("slow", range(12), millis=200)), store, scheduler=address, progress=kill)
    assert len(probe.recorded()) in range(2, 12)


def test_nobody_at_the_address(probe):
    with probe.store() as store, pytest.raises(WorkerError, match=r"^Scheduler must be .*, not 'tcp://127\.0\.0\.1:1'"):
        run_sweep(load_sweep(probe.spec("slow", [0])), store, scheduler="tcp://127.0.0.1:1")
