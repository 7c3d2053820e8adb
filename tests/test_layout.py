"""Who imports whom, and how large a module may grow."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What each package may import of ours, besides itself.
LAYERS = {
    "sw_ref": set(),
    "hw": {"sw_ref"},
    "pe": {"sw_ref", "hw"},
    "dataflow": {"sw_ref", "hw", "pe"},
    "fpga": {"sw_ref", "hw", "pe", "dataflow"},
    "tb": {"sw_ref", "hw", "pe", "dataflow"},
    "macforge": {"sw_ref", "hw", "pe", "dataflow", "fpga", "tb"},
}
# Which packages may import what of others; nothing else is imported, but for the standard library.
THIRD_PARTY = {
    "altair": {"macforge"},
    "amaranth": set(LAYERS) - {"sw_ref"},
    "cocotb": {"tb"},
    "cocotb_tools": {"tb"},
    "dask": {"macforge"},
    "distributed": {"macforge"},
    "jinja2": {"macforge"},
    "markupsafe": {"macforge"},
    "numpy": set(LAYERS),
    "platformdirs": {"hw"},
    "rich": {"macforge"},
    "safetensors": {"macforge"},
    "threadpoolctl": {"macforge"},
    "tokenizers": {"macforge"},
    "typer": {"macforge"},
    "vl_convert": {"macforge"},
}
MODULES = sorted(path.relative_to(ROOT) for package in LAYERS for path in (ROOT / package).rglob("*.py"))
TESTS = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Names of the imported modules; a relative import starts with its dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def import_faults(package: str, tree: ast.Module) -> Iterator[str]:
    for name in imported(tree):
        top = name.split(".")[0]
        if top in LAYERS:
            allowed = top == package or top in LAYERS[package]
        else:
            allowed = top in sys.stdlib_module_names or package in THIRD_PARTY.get(top, ())
        if not allowed:
            yield f"{package} imports {name}"


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
            if (lines := node.end_lineno - node.lineno + 1) > 60:
                yield f"{node.name} has {lines} lines"
        elif isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            yield f"star import of {node.module}"
        elif isinstance(node, ast.ExceptHandler) and is_too_broad(node):
            yield f"line {node.lineno} catches every exception"


def module_faults(path: Path, source: str) -> list[str]:
    tree = ast.parse(source)
    return [
        *import_faults(path.parts[0], tree),
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
    assert {path.parts[0] for path in MODULES} == set(LAYERS)


SOUND = '"""Docstring."""\n__all__ = []\n'


@pytest.mark.parametrize(
    ("path", "source", "faults"),
    [
        ("hw/unit.py", SOUND + "import sys\nfrom hw.number import Number\nimport sw_ref.formats\n", []),
        ("hw/unit.py", SOUND + "from pe.mac import Mac\n", ["hw imports pe.mac"]),
        ("sw_ref/gemm.py", SOUND + "def f():\n    import amaranth.hdl\n", ["sw_ref imports amaranth.hdl"]),
        ("fpga/synth.py", SOUND + "import cocotb, tb\n", ["fpga imports cocotb", "fpga imports tb"]),
        ("tb/runner.py", SOUND + "from cocotb_tools import runner\nimport hw.cache\n", []),
        ("tb/runner.py", SOUND + "from fpga import synth\n", ["tb imports fpga"]),
        ("macforge/cli.py", SOUND + "import torch\n", ["macforge imports torch"]),
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
