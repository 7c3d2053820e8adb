"""Nothing that was kept is believed unless all that made it is as it was: every file, every version, every input."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import hw
from macforge import provenance
from macforge.design.design import load_design
from macforge.measure.accuracy import accuracy
from macforge.measure.verdict import verdict
from macforge.provenance import LOADED, PACKAGES, Sources, cached_figures, key_of, made_by, substance
from tests.quick import few
from tests.typed import present

HERE = Path(__file__).parent
ROOT = Path(hw.__file__).parents[1]
PROJECT = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())


@pytest.fixture
def probe(monkeypatch):
    """The function that gives every key."""
    monkeypatch.syspath_prepend(HERE)
    import provenance_probe

    return provenance_probe


@pytest.fixture
def copy(tmp_path):
    """A folder with a copy of all packages."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / "copy" / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy"


def sources(root):
    return Sources({package: root / package for package in PACKAGES})


def run(script, root, **environment):
    """What a program prints, run with the packages of that folder."""
    path = os.pathsep.join([str(root), *sys.path])
    command = [sys.executable, script]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path} | environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_packages_are_those_of_the_project():
    assert list(PACKAGES) == PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def test_files_are_all_that_a_package_has():
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(tracked.stdout.split()) <= set(LOADED.names)
    suffixes = {Path(name).suffix for name in LOADED.names}
    assert {".py", ".toml", ".v", ".j2"} <= suffixes
    assert not {".pyc"} & suffixes


@pytest.mark.parametrize("files_in", few([12, 1], 2))
def test_every_packaged_file_changes_every_key(files_in, copy, probe, monkeypatch):
    """Of one file in twelve, and in ``make test-all`` of all."""

    def keys():
        monkeypatch.setattr(provenance, "LOADED", sources(copy))
        return probe.keys()

    before = probe.keys()
    assert set(before) == {"accuracy", "verdict", "sweep area", "sweep sim", "sweep accuracy"}
    assert keys() == before
    seen = set(before.values())
    for name in list(sources(copy).names)[::files_in]:
        path = copy / name
        whole = path.read_bytes()
        path.write_bytes(whole + b"\n")
        changed = set(keys().values())
        assert len(changed) == len(before), name
        assert not changed & seen, name
        seen |= changed
        path.write_bytes(whole)
    assert keys() == before


def swapped(root):
    one, two = root / "sw_ref" / "drain" / "edge.py", root / "sw_ref" / "arith" / "gemm.py"
    texts = one.read_bytes(), two.read_bytes()
    two.write_bytes(texts[0])
    one.write_bytes(texts[1])


CHANGES = {
    "a file more": lambda root: (root / "fpga" / "families" / "new.lib").write_text(""),
    "a folder more": lambda root: shutil.copytree(root / "macforge" / "designs", root / "macforge" / "more"),
    "a file less": lambda root: (root / "fpga" / "families" / "xc7.v").unlink(),
    "another name": lambda root: (root / "hw" / "core" / "ram.py").rename(root / "hw" / "core" / "memory.py"),
    "another package": lambda root: (root / "hw" / "core" / "ram.py").rename(root / "pe" / "ram.py"),
    "two that have changed places": swapped,
    "another line end": lambda root: (root / "tb" / "request.py").write_bytes(
        (root / "tb" / "request.py").read_bytes().replace(b"\n", b"\r\n")
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_files_there_are_counts_too(copy, change):
    before = sources(copy)
    change(copy)
    assert sources(copy).digest != before.digest
    assert not before.are_unchanged


def test_compiled_and_hidden_files_do_not_count(copy):
    before = sources(copy)
    (copy / "hw" / "__pycache__").mkdir()
    for name in ("hw/__pycache__/ram.cpython-311.pyc", "hw/ram.pyc", "hw/.ram.py.swp"):
        (copy / name).write_bytes(b"x")
    # as an editor locks a file
    (copy / "hw" / ".#ram.py").symlink_to("nowhere")
    assert sources(copy).digest == before.digest
    assert before.are_unchanged


def test_copies_are_equal_wherever_they_are(copy):
    assert sources(copy).digest == LOADED.digest == Sources().digest
    shutil.copytree(copy, copy.with_name("elsewhere"))
    assert sources(copy.with_name("elsewhere")).digest == LOADED.digest


def test_a_package_that_is_not_there_is_named(copy):
    shutil.rmtree(copy / "tb")
    with pytest.raises(FileNotFoundError, match=r"copy/tb'$"):
        sources(copy)


def test_what_was_made_by_files_that_have_changed_is_not_kept(copy, monkeypatch, tmp_path):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(provenance, "LOADED", sources(copy))
    calls = []

    def compute():
        calls.append(None)
        if len(calls) == 1:
            (copy / "tb" / "engine_bench.py").write_text("")
        return len(calls)

    def figures():
        return cached_figures("kind", 1, compute=compute)

    # neither under the old key, nor under the new one
    assert figures() == 1
    assert figures() == 2
    monkeypatch.setattr(provenance, "LOADED", sources(copy))
    assert figures() == 3
    assert figures() == 3


def test_versions_are_those_of_all_that_macforge_requires():
    names = [present(re.match(r"[\w-]+", requirement))[0] for requirement in PROJECT["project"]["dependencies"]]
    names += [present(re.match(r"[\w-]+", each))[0] for each in PROJECT["project"]["optional-dependencies"]["model"]]
    found = made_by()
    assert {*names, "macforge", "python", "yosys", "c++", "source"} <= set(found)
    # what runs the WebAssembly of Yosys, which only another package requires
    assert "wasmtime" in found
    # what only shows or tests figures
    assert not {"altair", "gfloat", "ruff", "onnxruntime"} & set(found)
    assert found["numpy"] == np.__version__
    assert found["yosys"].startswith("Yosys 0.70 ")
    assert found["python"].endswith(sys.version.split()[0])
    assert all(found.values())


def test_processes_agree_and_another_version_changes_every_key(probe, tmp_path):
    script = HERE / "provenance_probe.py"
    one, two = (json.loads(run(script, ROOT, PYTHONHASHSEED=seed)) for seed in "12")
    assert one == two == {"keys": probe.keys(), "made_by": made_by()}
    info = tmp_path / "tokenizers-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tokenizers\nVersion: 9.9\n")
    # found first
    path = os.pathsep.join([str(ROOT), str(tmp_path), *sys.path])
    other = json.loads(run(script, ROOT, PYTHONPATH=path))
    assert {name for name, version in other["made_by"].items() if one["made_by"].get(name) != version} == {"tokenizers"}
    assert not set(other["keys"].values()) & set(one["keys"].values())


@pytest.mark.parametrize("name", made_by())
def test_every_version_counts(name, monkeypatch):
    before = key_of("kind", 1)
    other = made_by() | {name: "another"}
    monkeypatch.setattr(provenance, "made_by", lambda: other)
    assert key_of("kind", 1) != before


def test_kinds_and_inputs_count():
    inputs = [("a", 1), ("b", 1), ("a", 2), ("a", 1, 1), ("a", [1]), ("a", np.array([1])), ("a", np.array([[1]]))]
    assert len({key_of(*each) for each in inputs}) == len(inputs)


VERDICT = """
import numpy as np
from macforge.design.design import load_design
from macforge.compile.compiler import compile_layer
from macforge.run.job import job_of
from macforge.measure.verdict import verdict

settings = ["tiling.group_size=4", "tiling.max_k=16", "tiling.panel_rows=4"]
design = load_design("mixpe_w4a8", settings).resized(2)
random = np.random.default_rng(0)
act, weight = (random.standard_normal(shape).astype(np.float32) for shape in ((2, 8), (8, 3)))
job = job_of(compile_layer(design, weight, calibration=act), act)
print(verdict(design, (act, weight, None), job.products)["failure"])
"""
WRONG = """

_right = drain


def drain(*arguments):
    results = _right(*arguments).copy()
    results.flat[-1] ^= 1
    return results
"""


def test_verdict_does_not_outlive_its_model(copy, tmp_path):
    (tmp_path / "verdict.py").write_text(VERDICT)
    model = copy / "sw_ref" / "drain" / "edge.py"
    right = model.read_text()

    def failure(text):
        model.write_text(text)
        return run(tmp_path / "verdict.py", copy).strip()

    assert failure(right) == "None"
    assert re.match(
        r"product 2 x 3 x 8: 1 of 6 results differ, the first in row \d, column \d: ", failure(right + WRONG)
    )
    assert failure(right) == "None"


def test_verdict_and_accuracy_are_those_of_what_they_are_asked_of(probe, monkeypatch):
    found = []

    def record(kind, key, compute, *, is_valid):
        found.append(key)
        return probe.FIGURES[kind]

    monkeypatch.setattr("hw.emit.cache.cached_json", record)
    act, weight, _ = probe.OPERANDS
    design = probe.DESIGN
    for each in (design, design.resized(3), design.with_settings(["tiling.max_k=100"])):
        for operands in (
            (act, weight, None),
            (act * 2, weight, None),
            (act, weight.astype(np.float64), None),
            (act, weight, weight[0]),
        ):
            verdict(each, operands, [])
    for each in (design, design.with_settings(["act=int5"]), load_design("bf16_fp32"), load_design("bf16_approx_norm")):
        for sentences in (1, 2):
            accuracy(each, sentences=sentences)
    assert len(set(found)) == len(found) == 20


def test_substance_leaves_out_what_is_only_said():
    one = load_design("mixpe_w4a8")
    same = one.with_settings(["summary=other", "source=other", "headline=false", "report_tokens=3"])
    assert substance(one.to_table()) == substance(same.to_table())
    assert substance(one.to_table()) != substance(one.with_settings(["lanes=1"]).to_table())


# What tools make of all that they are given, and nothing that macforge makes of it.
ARTEFACTS = {
    "fpga/boards/bitstream.py",
    "fpga/families/liberty.py",
    "fpga/map/equal.py",
    "fpga/map/simulate.py",
    "fpga/map/synth.py",
    "fpga/time/timing.py",
    # questions to solvers, and their answers
    "tb/formal/cells.py",
    "tb/formal/prove.py",
    "tb/formal/reach.py",
    "tb/icarus.py",
    "tb/library.py",
    "tb/simulator.py",
}


def test_nothing_else_is_kept():
    found = set()
    for name in LOADED.names:
        if name.endswith(".py"):
            words = {node.id for node in ast.walk(ast.parse((ROOT / name).read_text())) if isinstance(node, ast.Name)}
            if words & {"cached_dir", "cached_json"}:
                found.add(name)
    assert found - {"hw/emit/cache.py"} == ARTEFACTS | {"macforge/provenance.py"}
