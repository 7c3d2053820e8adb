"""A program is plain data: a file is loaded and run in the model where there is neither Amaranth nor cocotb."""

import os
import subprocess
import sys

import numpy as np
import pytest

from macforge.compile.compiler import compile_layer
from macforge.compile.storage import save_program
from macforge.design.design import load_design
from macforge.run.executor import run_program

RUN = """
import sys
sys.modules |= dict.fromkeys(["amaranth", "cocotb", "cocotb_tools"])  # importing them fails
import numpy as np
import macforge.compile.compiler, macforge.compile.cost
from macforge import load_program, run_program
program = load_program(sys.argv[1])
result = run_program(program, np.load(sys.argv[2]), engine="ref")
np.save(sys.argv[3], result.product)
print(macforge.compile.cost.cost(program, 3).cycles == result.predicted_cycles)
"""


@pytest.mark.parametrize("name", ["mixpe_w4a8", "hawqv3_w8a8", "bf16_fp32", "mxfp4", "slim_w2_3a8"])
def test_program_runs_without_a_hardware_language(name, tmp_path):
    random = np.random.default_rng(0)
    act, weight = random.normal(size=(3, 256)).astype(np.float32), random.normal(size=(256, 5))
    program = compile_layer(load_design(name), weight, calibration=act)
    paths = [tmp_path / "layer.safetensors", tmp_path / "act.npy", tmp_path / "product.npy"]
    save_program(program, paths[0])
    np.save(paths[1], act)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUN, *map(str, paths)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "True\n")
    np.testing.assert_array_equal(np.load(paths[2]), run_program(program, act, engine="ref").product)
