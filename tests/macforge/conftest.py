"""Runs the command line in this process, and what takes long in small."""

import sys
from dataclasses import replace

import pytest

from macforge.cli.app import main as cli
from macforge.measure.registry import MEASUREMENTS
from tests.macforge.model.decoder_files import write_decoder
from tests.typed import present


@pytest.fixture
def macforge(monkeypatch, capsys):
    """Call with arguments; gives the exit code, standard output and standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["macforge", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli()
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def few_cells():
    """How many rows and columns reports then simulate and map: in place of 8, which take several times as long."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("layer", "area"):
            entry = MEASUREMENTS[name]
            patch.setitem(MEASUREMENTS, name, replace(entry, report=replace(present(entry.report), cells=2)))
        yield 2


@pytest.fixture(scope="session")
def small_decoder(tmp_path_factory):
    """File of a decoder of two blocks with random weights."""
    return write_decoder(tmp_path_factory.mktemp("decoder") / "small.gguf")


@pytest.fixture
def small():
    """Settings of an array that is quickly built."""
    return ["--set", "array.rows=3", "--set", "array.cols=2", "--set", "tiling.panel_rows=4"]
