"""Libraries of simulators do what the hardware does, and take what is compiled beforehand."""

import ctypes
import subprocess

import pytest

from tb import library
from tb.library import model_library
from tb.simulator import SimulationError

ADDER = "module adder(input [7:0] a, input [7:0] b, output [8:0] sum);\n  assign sum = a + b;\nendmodule\n"
MODEL = """#include "Vtop.h"
extern "C" int add(int a, int b) {
    VerilatedContext context;
    Vtop top{&context};
    top.a = a;
    top.b = b;
    top.eval();
    return top.sum;
}
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.cpp"
    path.write_text(MODEL)
    return path


@pytest.mark.parametrize("cycles", [1, 1_000_000])
def test_functions_are_the_models(cycles, model):
    add = ctypes.CDLL(str(model_library(ADDER, top="adder", model=model, cycles=cycles))).add
    assert [add(255, 255), add(1, 2)] == [510, 3]


def test_headers_are_compiled_beforehand_and_taken(model, tmp_path, monkeypatch):
    """The compiler takes precompiled headers only if all its options are those they were compiled with."""
    commands, really = [], library._run
    monkeypatch.setattr(library, "_run", lambda command, folder: (commands.append(command), really(command, folder)))
    # which no run before has left in the cache
    model_library(f"{ADDER}// {tmp_path}\n", top="adder", model=model, cycles=1)
    words = [str(word) for word in commands[-1]]
    words[words.index("model/all.cpp")] = str(tmp_path / "none.cpp")
    (tmp_path / "none.cpp").write_text("")
    told = subprocess.run([*words, "-Winvalid-pch", "-H"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stderr.startswith(f"! {words[words.index('-include') + 1]}.gch")


def test_a_model_that_is_no_cpp_is_told(model):
    model.write_text("no C++")
    with pytest.raises(SimulationError, match=r"^c\+\+ could not build the simulator of a design: .*model\.cpp"):
        model_library(ADDER, top="adder", model=model, cycles=1)
