"""Runs the command line in this process."""

import sys

import pytest

from macforge.cli.app import main as cli


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


@pytest.fixture
def small():
    """Settings of an array that is quickly built."""
    return ["--set", "array.rows=3", "--set", "array.cols=2", "--set", "tiling.panel_rows=4"]
