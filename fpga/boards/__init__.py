"""The boards that designs are built for: a data file for each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources

from fpga.boards.board import Board

__all__ = ["BOARDS", "Board", "find_board"]


def _load() -> dict[str, Board]:
    """A board for each data file beside this module, by the file's name."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".toml")]
    tables = {file.name.removesuffix(".toml"): tomllib.loads(file.read_text(encoding="utf-8")) for file in files}
    return {name: Board.from_table(name, tables[name]) for name in sorted(tables)}


BOARDS: Mapping[str, Board] = _load()
"""Every board, by its short name."""


def find_board(name: str) -> Board:
    """The board of that short name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in BOARDS:
        raise ValueError(f"Board must be one of {', '.join(BOARDS)}, not {name!r}")
    return BOARDS[name]
