"""Programs as files: what comes back is what was written, and nothing else is taken for it."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from macforge.compile import storage
from macforge.compile.compiler import compile_layer
from macforge.compile.program import summary
from macforge.compile.storage import load_program, save_program
from macforge.design.design import design_of, load_design
from macforge.design.named import design_names
from macforge.run.executor import run_program


def layer(seed=0):
    random = np.random.default_rng(seed)
    return random.standard_t(5, (3, 40)), random.normal(size=(40, 6)), random.normal(size=6)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Path of a program with calibration and a bias."""
    act, weight, bias = layer()
    path = tmp_path_factory.mktemp("programs") / "layer.safetensors"
    save_program(compile_layer(load_design("hawqv3_w8a8"), weight, bias, calibration=act), path)
    return path


@pytest.mark.parametrize("name", design_names())
def test_program_of_every_design_comes_back(name, tmp_path):
    design = load_design(name)
    act, weight, bias = layer()
    program = compile_layer(design, weight, bias if design.drain.adds_bias else None, calibration=act)
    path = tmp_path / "layer.safetensors"
    save_program(program, path)
    again = load_program(path)
    assert again.target.engine == program.target.engine == design.engine.spec
    assert design_of(again.target.name, again.target.table) == design
    assert [again.target.act, again.target.weight] == [design.pe.act, design.pe.weight]
    assert again.target.quantizer == design.quantizer and summary(again) == summary(program)
    for rows in (act, act[:1] * 0.5):
        np.testing.assert_array_equal(
            run_program(again, rows, engine="ref").product, run_program(program, rows, engine="ref").product
        )
    first = path.read_bytes()
    save_program(again, path)
    assert path.read_bytes() == first


@pytest.mark.parametrize("at", [0, 20, 3000, -1])
def test_damage_is_noticed(written, tmp_path, at):
    data = bytearray(written.read_bytes())
    data[at] ^= 1
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(data)
    with pytest.raises(ValueError, match=rf"^Program {damaged} is damaged|^Program must be a file that .* wrote, "):
        load_program(damaged)


@pytest.mark.parametrize("kept", [0, 7, 100, 5000])
def test_what_is_cut_off_is_refused(written, tmp_path, kept):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(written.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"^Program must be a file that `macforge compile` wrote, which .* is not: "):
        load_program(cut)


def test_other_version_is_refused(written, monkeypatch):
    monkeypatch.setattr(storage, "VERSION", 5)
    message = f"Program {written} is of version 4, and this macforge reads 5: compile it again"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_program(written)


def test_other_tensors_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"weight": np.ones((2, 2), np.float32)}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"^Program must be a file that `macforge compile` wrote, not other tensors"):
        load_program(path)
    with pytest.raises(ValueError, match=r"^Program must be a file that exists, not .*none.safetensors$"):
        load_program(tmp_path / "none.safetensors")


def test_header_says_what_made_it(written):
    size = int.from_bytes(written.read_bytes()[:8], "little")
    header = json.loads(json.loads(written.read_bytes()[8 : 8 + size])["__metadata__"]["macforge_program"])
    assert header["made_by"] and header["target"]["name"] == "hawqv3_w8a8"
    assert header["target"]["table"]["family"] == "shift_add"
