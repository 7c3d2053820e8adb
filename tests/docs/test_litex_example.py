"""The LiteX system, as far as it can be checked without LiteX: its ports, its tile, and its firmware."""

import ast
import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from examples.litex.run import verdict
from examples.litex.tile import BASE, COLS, ROWS, first_tile, tile_sources
from macforge import load_design
from macforge.compile.compiler import compile_layer
from macforge.design.describe import ports
from macforge.driver.files import write_driver
from macforge.measure.workload import load_layer
from macforge.run.job import job_of
from tb.bus_simulator import BusSimulator
from tests.typed import present

EXAMPLE = Path(__file__).parents[2] / "examples" / "litex"
DESIGNS = ["w8a8_os", "mixpe_w4a8"]
STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]


def small(name):
    return load_design(name, ["tiling.max_k=384"]).resized(2)


@pytest.mark.parametrize("name", DESIGNS)
def test_system_connects_every_port(name):
    """What the instance is given are keywords, or keys of dictionaries, of LiteX's form: i_NAME and o_NAME."""
    tree = ast.parse((EXAMPLE / "soc.py").read_text())
    keywords = [node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)]
    dictionaries = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    keys = [key.value for node in dictionaries for key in node.keys if isinstance(key, ast.Constant)]
    named = sorted(text for text in [*keywords, *keys] if text and re.match("[io]_", str(text)))
    assert named == sorted(f"{port['direction'][0]}_{port['name']}" for port in ports(small(name).accelerator))


@pytest.mark.parametrize("name", DESIGNS)
def test_tile_is_the_corner_of_the_layer(name):
    design, layer = small(name), load_layer(tokens=ROWS)
    (whole,) = job_of(compile_layer(design, layer.weight, calibration=layer.act), layer.act).products
    tile = first_tile(design)
    assert (tile.act.shape, tile.weight.shape[-1]) == ((ROWS, layer.weight.shape[0]), COLS)
    assert np.array_equal(tile.act, whole.act)
    assert np.array_equal(tile.weight, whole.weight[..., :COLS])


def test_a_design_that_takes_several_products_is_refused():
    refused = r"^Design must have one result for each element, not 2 as mixllm_w4_8a8 has$"
    with pytest.raises(ValueError, match=refused):
        first_tile(load_design("mixllm_w4_8a8").resized(2))


def compiled(folder, files):
    """The firmware but for what is LiteX's, as a library of the machine that runs the tests."""
    for name, text in files.items():
        (folder / name).write_text(text)
    sources = [str(EXAMPLE / "firmware" / "check.c"), "tile.c", "macforge.c"]
    command = ["cc", *STRICT, "-O1", "-fPIC", "-shared", "-I.", *sources, "-o", "firmware.so"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "firmware.so"))


class Io(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("read", "write", "barrier", "context")]


@pytest.mark.long
@pytest.mark.parametrize(("change", "equal"), [(0, 256), (1, 255)])
def test_firmware_compares_every_result(tmp_path, capfd, change, equal):
    """With the shipped driver on the accelerator in Verilator; the second time, one expected result is another."""
    design = small("w8a8_os")
    product = first_tile(design)
    files = tile_sources(design, product)
    operands = product.act[-1], product.weight[..., -1]
    last = int(np.dot(*(codes.reshape(-1).astype(np.int8).astype(int) for codes in operands)))
    head, found, tail = files["tile.c"].rpartition(f", {last}}},")
    assert found
    files["tile.c"] = f"{head}, {last + change}}},{tail}"
    write_driver(tmp_path)
    library = compiled(tmp_path, files)
    size = int(present(re.search(r"TILE_BYTES (\d+)u", files["tile.h"]))[1])
    with BusSimulator(design.accelerator, np.zeros(size, np.uint8), base=BASE, cycles=5000) as simulator:
        read, write, context = simulator.c_functions()
        io = Io(read, write, None, context)
        status = library.check_tile(ctypes.byref(io), ctypes.c_void_p(simulator.memory.ctypes.data))
        assert simulator.interrupt
    ctypes.CDLL(None).fflush(None)
    shown = capfd.readouterr().out
    assert (status, f"{equal} of 256 results equal" in shown) == (change, True), shown
    assert (f"row 15, column 15: expected {last + 1}, found {last}" in shown) == bool(change)


@pytest.mark.parametrize(
    ("output", "passed"),
    [
        ("cycles 10\r\nPASSED\r\n", True),
        ("FAILED\n", False),
        ("", False),
        ("PASSED\nFAILED\n", False),
        ("words PASSED\n", False),
    ],
)
def test_simulation_passes_only_if_the_firmware_says_so(output, passed):
    assert verdict(output) == passed


def test_every_package_has_one_version():
    lines = (EXAMPLE / "requirements.txt").read_text().splitlines()
    assert all(re.fullmatch(r"#.*|[\w-]+==[\w.]+", line) for line in lines)
