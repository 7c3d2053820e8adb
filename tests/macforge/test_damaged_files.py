"""Files from outside that are damaged end in one clear error, whatever the damage: no traceback, hang, or gigabytes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from macforge.compile.compiler import compile_layer
from macforge.compile.storage import save_program
from macforge.design.design import load_design
from tests.macforge.model.decoder_files import write_decoder
from tests.macforge.model.onnx_files import write_onnx
from tests.macforge.model.test_safetensors import gptq, written
from tests.quick import some

ROOT = Path(__file__).parents[2]
# Copies of each file in `make test-all`: more than ten thousand together.
COPIES = 1250
SWEEP = 'designs = ["w2a8_os"]\nseeds = [1, 2]\n[set]\n"array.rows" = [2, 4]\n[measure.schedule]\n'
# Kind of reader, and the file that is damaged.
FILES = {
    "gguf": ("model", "small.gguf"),
    "decoder": ("decoder", "small.gguf"),
    "onnx": ("model", "m.onnx"),
    "safetensors": ("model", "model.safetensors"),
    "config": ("config", "config.json"),
    "program": ("program", "program.safetensors"),
    "npy": ("array", "act.npy"),
    "design": ("design", "mine.toml"),
    "sweep": ("sweep", "sweep.toml"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file of each kind."""
    folder, random = tmp_path_factory.mktemp("whole"), np.random.default_rng(0)
    write_decoder(folder / "small.gguf")
    act, weight = random.integers(0, 255, (3, 8), np.uint8), random.integers(-8, 8, (8, 5), np.int8)
    write_onnx(folder / "m.onnx", [helper.make_node("MatMulInteger", ["a", "b"], ["y"])], {"a": act}, {"b": weight})
    written(folder, {"quant_method": "gptq", "bits": 4, "group_size": 16}, **gptq(64, 8, 16)[0])
    save_program(compile_layer(load_design("w4a8_ws"), random.normal(size=(40, 6))), folder / "program.safetensors")
    np.save(folder / "act.npy", random.normal(size=(5, 7)))
    (folder / "mine.toml").write_text((ROOT / "macforge" / "designs" / "mixpe_w4a8.toml").read_text())
    (folder / "sweep.toml").write_text(SWEEP)
    return folder


def _none(_case: object) -> bool:
    return False


@pytest.mark.parametrize(
    ("name", "copies"), [(each, 60) for each in ("gguf", "onnx")] + some([(each, COPIES) for each in FILES], _none)
)
def test_damage_ends_in_an_error_or_is_read(name, copies, whole):
    kind, file = FILES[name]
    command = [sys.executable, "-m", "tests.macforge.damaged", kind, str(whole / file), "0", str(copies)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["faults"] == {}
    assert found["read"] + found["refused"] == copies
    assert found["refused"] > copies / 2
