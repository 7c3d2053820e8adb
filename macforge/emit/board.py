"""A design for a board: its RTL, and the bitstream that open tools make of it."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpga.boards import Board
from hw.core.naming import identifier
from hw.emit.cache import write_whole
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design, load_design
from macforge.emit.verilog import tool_versions
from macforge.extras import require_extras

if TYPE_CHECKING:
    from dataflow.board.board import BoardTop
    from fpga.boards.bitstream import Bitstream

__all__ = ["NOT_RUN", "BoardFiles", "board_design", "board_unit", "generate_board"]

NOT_RUN = "not run on hardware"
"""What is said of every bitstream."""

# A receiver takes the middle of the tenth bit, which moves by so much of a bit at most.
_BAUD_ERROR = 0.02


@dataclass(frozen=True, kw_only=True)
class BoardFiles:
    """A design built for a board.

    Parameters
    ----------
    name : str
        Of the files.
    verilog : str
        The board's RTL, without its pins and its clock.
    bitstream : Bitstream
    description : dict
        What a host has to know, and what the design takes of the device.
    """

    name: str
    verilog: str
    bitstream: "Bitstream"
    description: dict[str, Any]

    def write(self, folder: str | Path) -> list[Path]:
        """Write the bitstream, its description and the RTL into ``folder``, each whole or not at all."""
        files: dict[str, str | bytes] = {
            self.bitstream.suffix: self.bitstream.content,
            "json": json.dumps(self.description, indent=2) + "\n",
            "v": self.verilog,
        }
        paths = [Path(folder) / f"{self.name}.{suffix}" for suffix in files]
        for path, content in zip(paths, files.values(), strict=True):
            write_whole(path, content)
        return paths


def board_design(design: str | Path, board: Board, settings: Iterable[str] = ()) -> Design:
    """A named design, or that of a file, as it fits a board: with the board's settings, and ``settings`` over them.

    The array is that of the board, unless a setting of ``array`` is given.
    """
    given = list(settings)
    chosen = load_design(design, [*board.settings, *given])
    return chosen if any(each.startswith("array.") for each in given) else chosen.resized(board.cells)


def board_unit(design: Design, board: Board) -> "BoardTop":
    """The RTL of a design on a board: an accelerator, a memory and a serial line.

    Raises
    ------
    ValueError
        If the board's clock does not make its baud rate, or the design does not fit its memory's addresses or bus.
    """
    from dataflow.board.board import BoardTop

    error = abs(board.clock_hz / board.divisor / board.baud - 1)
    if error > _BAUD_ERROR:
        raise ValueError(f"Baud must be within 2 % of what {board.clock_mhz:g} MHz makes, not {board.baud}")
    return BoardTop(
        engine=design.engine,
        bus=design.bus,
        memory_bytes=board.memory_bytes,
        divisor=board.divisor,
        most=board.frame_words,
        clock_hz=board.clock_hz,
    )


def generate_board(design: Design, board: Board, *, seed: int = 1) -> BoardFiles:
    """Build a design for a board with open tools.

    Parameters
    ----------
    design : Design
        See `board_design`.
    board : Board
        One with open tools.
    seed : int
        Of the placer.

    Raises
    ------
    ModuleNotFoundError
        If the extra ``boards`` is not installed.
    fpga.boards.bitstream.TimingError
        If the clock is not reached; says which is.
    hw.emit.tools.ToolError
        If a tool refuses the design, such as one that does not fit.
    """
    require_extras("boards")
    from fpga.boards.bitstream import make_bitstream

    unit = board_unit(design, board)
    name = f"{design.name}_{board.name}"
    top = f"{identifier(name)}_board"
    verilog = emit_verilog(unit, name=top)
    made = make_bitstream(board, verilog, top, seed=seed)
    description = {
        "design": {"name": design.name, **design.to_table()},
        "board": dataclasses.asdict(board),
        "run": NOT_RUN,
        "digest": unit.layout.digest,
        "clock_mhz": board.clock_mhz,
        "fmax_mhz": made.fmax_mhz,
        "seed": seed,
        "used": {kind: {"used": used, "available": available} for kind, (used, available) in made.used.items()},
        "tools": {**tool_versions(), "bitstream": list(made.tools)},
    }
    return BoardFiles(name=name, verilog=verilog, bitstream=made, description=description)
