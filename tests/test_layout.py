"""Who imports whom, and how large a module may grow."""

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.typed import present

ROOT = Path(__file__).parent.parent


def _rooms(*names: str) -> set[str]:
    return {f"macforge/{name}" for name in names}


_HARDWARE = {"sw_ref", "hw", "pe", "dataflow"}
# What each room may import of ours, besides itself. A room is a package, or a folder of it with rules of its own.
LAYERS = {
    "sw_ref": set(),
    "sw_ref/formats": {"sw_ref"},
    "sw_ref/arith": {"sw_ref", "sw_ref/formats"},
    "sw_ref/quantize": {"sw_ref", "sw_ref/formats", "sw_ref/arith"},
    "sw_ref/transform": {"sw_ref", "sw_ref/formats", "sw_ref/quantize"},
    "sw_ref/drain": {"sw_ref", "sw_ref/formats", "sw_ref/arith", "sw_ref/quantize"},
    "sw_ref/engine": {"sw_ref", "sw_ref/formats", "sw_ref/arith", "sw_ref/drain"},
    "sw_ref/accelerator": {"sw_ref", "sw_ref/engine"},
    "hw": {"sw_ref"},
    "pe": {"sw_ref", "hw"},
    "dataflow": {"sw_ref", "hw", "pe"},
    "fpga": {"hw"},
    "tb": _HARDWARE,
    # what several rooms of macforge use: files, errors, provenance
    "macforge": {"sw_ref", "hw"},
    "macforge/design": {"macforge", *_HARDWARE},
    "macforge/compile": {"macforge", *_HARDWARE, "macforge/design"},
    "macforge/run": {"macforge", *_HARDWARE, "tb", *_rooms("design", "compile", "driver")},
    "macforge/model": {"macforge", *_HARDWARE, *_rooms("design", "compile", "run")},
    "macforge/driver": {"macforge", "sw_ref", "macforge/emit"},
    "macforge/emit": {"macforge", *_HARDWARE, "fpga", *_rooms("design", "compile", "run", "measure")},
    "macforge/measure": {"macforge", *_HARDWARE, "tb", "fpga", *_rooms("design", "compile", "run", "model")},
    "macforge/prove": {"macforge", *_HARDWARE, "tb", "fpga", *_rooms("design", "emit", "measure")},
    "macforge/mutate": {"macforge", *_HARDWARE, "tb", *_rooms("design", "compile", "run", "driver")},
    "macforge/inject": {"macforge", *_HARDWARE, "tb", *_rooms("design", "run")},
    "macforge/report": {
        "macforge",
        *_HARDWARE,
        "fpga",
        *_rooms("design", "compile", "run", "emit", "measure", "model"),
    },
    "macforge/cli": {
        "macforge",
        *_HARDWARE,
        "fpga",
        *_rooms("design", "compile", "run", "emit", "driver", "measure", "model"),
        *_rooms("prove", "mutate", "inject", "report"),
    },
}
# the two front doors
LAYERS["macforge/__init__.py"] = {"macforge", *_rooms("design", "compile", "run", "emit", "measure", "model")}
LAYERS["macforge/__main__.py"] = _rooms("cli")
PACKAGES = {room.split("/")[0] for room in LAYERS}
# Which packages may import what of others; nothing else is imported, but for the standard library.
THIRD_PARTY = {
    "altair": {"macforge"},
    "amaranth": PACKAGES - {"sw_ref"},
    "bitwuzla": {"tb"},
    "cocotb": {"tb"},
    "cocotb_tools": {"tb"},
    "dask": {"macforge"},
    "distributed": {"macforge"},
    "gguf": {"macforge"},
    "google": {"macforge"},
    "hypothesis": {"macforge"},
    "jinja2": {"macforge"},
    "markupsafe": {"macforge"},
    "numpy": PACKAGES,
    "platformdirs": {"hw"},
    "onnx": {"macforge"},
    "peakrdl_cheader": {"macforge"},
    "peakrdl_html": {"macforge"},
    "rich": {"macforge"},
    "safetensors": {"macforge"},
    "scipy": {"macforge"},
    "serial": {"macforge"},
    "systemrdl": {"macforge"},
    "threadpoolctl": {"macforge"},
    "tokenizers": {"macforge"},
    "typer": {"macforge"},
    "vl_convert": {"macforge"},
}
MODULES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Names of the imported modules; a relative import starts with its dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def room_of(parts: Sequence[str]) -> str:
    """The room of a module, whose path or name has these parts."""
    folder = "/".join(parts[:2])
    return folder if folder in LAYERS else parts[0]


def import_faults(room: str, tree: ast.Module) -> Iterator[str]:
    for name in imported(tree):
        parts = name.split(".")
        if parts[0] in PACKAGES:
            # of its own package, a room sees what is named; of another, all
            inside = parts[0] == room.split("/")[0]
            allowed = (room_of(parts) if inside else parts[0]) in {room, *LAYERS[room]}
        else:
            allowed = parts[0] in sys.stdlib_module_names or room.split("/")[0] in THIRD_PARTY.get(parts[0], ())
        if not allowed:
            yield f"{room} imports {name}"


def form_faults(name: str, tree: ast.Module) -> Iterator[str]:
    if ast.get_docstring(tree) is None:
        yield "no docstring"
    assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    if "__all__" not in assigned and name not in ("__init__.py", "__main__.py"):
        yield "no __all__"


def is_too_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(
        isinstance(node, ast.Name) and node.id in ("Exception", "BaseException") for node in ast.walk(handler.type)
    )


def size_and_habit_faults(source: str, tree: ast.Module) -> Iterator[str]:
    if (lines := len(source.splitlines())) > 400:
        yield f"{lines} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if (lines := present(node.end_lineno) - node.lineno + 1) > 60:
                yield f"{node.name} has {lines} lines"
        elif isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            yield f"star import of {node.module}"
        elif isinstance(node, ast.ExceptHandler) and is_too_broad(node):
            yield f"line {node.lineno} catches every exception"


def module_faults(path: Path, source: str) -> list[str]:
    tree = ast.parse(source)
    return [
        *import_faults(room_of(path.parts), tree),
        *form_faults(path.name, tree),
        *size_and_habit_faults(source, tree),
    ]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_module_keeps_to_the_layout(path):
    assert module_faults(path, (ROOT / path).read_text()) == []


@pytest.mark.parametrize("path", TESTS, ids=str)
def test_tests_stay_readable(path):
    source = (ROOT / path).read_text()
    tree = ast.parse(source)
    assert ast.get_docstring(tree) is not None
    assert list(size_and_habit_faults(source, tree)) == []


def test_every_package_is_walked():
    assert {room_of(path.parts) for path in MODULES} == set(LAYERS)


SOUND = '"""Docstring."""\n__all__ = []\n'


@pytest.mark.parametrize(
    ("path", "source", "faults"),
    [
        ("hw/core/unit.py", SOUND + "import sys\nfrom hw.core.number import Number\nimport sw_ref.formats.base\n", []),
        ("hw/core/unit.py", SOUND + "from pe.mac import Mac\n", ["hw imports pe.mac"]),
        ("sw_ref/arith/gemm.py", SOUND + "def f():\n    import amaranth.hdl\n", ["sw_ref/arith imports amaranth.hdl"]),
        ("sw_ref/formats/base.py", SOUND + "import sw_ref.drain.edge\n", ["sw_ref/formats imports sw_ref.drain.edge"]),
        ("fpga/map/synth.py", SOUND + "import cocotb, tb\n", ["fpga imports cocotb", "fpga imports tb"]),
        ("tb/runner.py", SOUND + "from cocotb_tools import runner\nimport hw.emit.cache\n", []),
        ("tb/runner.py", SOUND + "from fpga import synth\n", ["tb imports fpga"]),
        ("macforge/cli/app.py", SOUND + "import torch\n", ["macforge/cli imports torch"]),
        ("pe/mac.py", SOUND + "from .base import Pe\n", ["pe imports .base"]),
        ("pe/mac.py", "x = 0\n", ["no docstring", "no __all__"]),
        ("pe/__init__.py", '"""Docstring."""\n', []),
        ("pe/mac.py", SOUND + "from pe.base import *\n", ["star import of pe.base"]),
        ("pe/mac.py", SOUND + "\n" * 399, ["401 lines"]),
        ("pe/mac.py", SOUND + "def f():\n" + "    f()\n" * 59, []),
        ("pe/mac.py", SOUND + "async def f():\n" + "    f()\n" * 60, ["f has 61 lines"]),
        ("pe/mac.py", SOUND + "try:\n    f()\nexcept:\n    pass\n", ["line 5 catches every exception"]),
        (
            "pe/mac.py",
            SOUND + "try:\n    f()\nexcept (OSError, Exception):\n    pass\n",
            ["line 5 catches every exception"],
        ),
        ("pe/mac.py", SOUND + "try:\n    f()\nexcept OSError:\n    pass\n", []),
    ],
)
def test_faults_are_found(path, source, faults):
    assert module_faults(Path(path), source) == faults
