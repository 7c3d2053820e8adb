"""Extras: what a plain installation lacks is named with how it is installed."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from macforge.exits import WRONG, explained
from macforge.extras import EXTRAS, require_extras
from tests.typed import present

ROOT = Path(__file__).parents[2]


def test_modules_are_those_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    packages = {
        name: {present(re.match(r"[\w-]+", each))[0] for each in each_list} for name, each_list in extras.items()
    }
    modules = {
        "serial": "pyserial",
        "systemrdl": "systemrdl-compiler",
        "vl_convert": "vl-convert-python",
        "z3": "z3-solver",
    }
    for extra, names in EXTRAS.items():
        assert {modules.get(name, name.replace("_", "-")) for name in names} == packages[extra]


def test_what_is_installed_is_enough():
    require_extras(*EXTRAS)


def test_everything_that_is_missing_is_named_at_once(monkeypatch):
    for name in ("altair", "itables", "tokenizers"):
        monkeypatch.setitem(sys.modules, name, None)
    message = (
        "tokenizers, altair, itables must be installed: pip install 'macforge[model,report]'",
        "distributed must be installed: pip install 'macforge[sweep]'",
    )
    with pytest.raises(ModuleNotFoundError, match=f"^{re.escape(message[0])}$"):
        require_extras("sweep", "model", "report")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=f"^{re.escape(message[1])}$"):
        require_extras("sweep")


@pytest.mark.parametrize(
    ("module", "extras"),
    [
        ("altair.utils", "report"),
        ("distributed", "sweep"),
        ("narwhals", "boards,decoder,driver,files,fuzz,model,prove,report,sweep,tune"),
    ],
)
def test_an_import_that_fails_names_the_extra(module, extras):
    error = ModuleNotFoundError(f"No module named {module!r}", name=module)
    top = module.partition(".")[0]
    assert explained(error) == (WRONG, f"{top} must be installed: pip install 'macforge[{extras}]'")


def test_report_and_sweep_of_a_plain_installation(macforge, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "altair", None)
    code, _, error = macforge("report", "-o", tmp_path / "out")
    assert (code, error) == (WRONG, "macforge: altair must be installed: pip install 'macforge[report]'\n")
    assert not (tmp_path / "out").exists()
    monkeypatch.setitem(sys.modules, "distributed", None)
    (tmp_path / "s.toml").write_text('designs = ["w2a8_os"]\n[measure.schedule]\n')
    code, _, error = macforge("sweep", tmp_path / "s.toml", "-o", tmp_path / "s.sqlite")
    assert (code, error) == (WRONG, "macforge: distributed must be installed: pip install 'macforge[sweep]'\n")
