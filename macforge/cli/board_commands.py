"""Commands that build designs for boards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from macforge.cli.arguments import DesignName, Json, Settings, err
from macforge.files import check_output_folder
from macforge.tables import print_rows

if TYPE_CHECKING:
    from fpga.boards import Board
    from macforge.design.design import Design

# Whatever else a command takes it imports itself.

__all__ = ["build"]


def build(
    design: DesignName,
    board: Annotated[str, typer.Option(help="Name of a board: `macforge list boards` shows them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the files.")] = Path("."),
    seed: Annotated[int, typer.Option(min=0, help="Of the placer.")] = 1,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Build a design for a board: a bitstream by open tools, or for a Zynq a folder for Vivado. Not run on hardware."""
    from fpga.boards import find_board
    from macforge.emit.board import board_design

    target = find_board(board)
    chosen = board_design(design, target, settings or ())
    check_output_folder(output, "Build")
    row, paths = _zynq(chosen, target, output) if target.is_zynq else _bitstream(chosen, target, output, seed)
    print_rows([row], json_)
    for path in paths:
        err.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _bitstream(design: "Design", board: "Board", output: Path, seed: int) -> tuple[dict[str, object], list[Path]]:
    from macforge.emit.board import NOT_RUN, generate_board
    from macforge.progress import tracked

    (made,) = (generate_board(one, board, seed=seed) for one in tracked([design], f"building for {board.title}"))
    row = {
        **_row(design, board),
        "fmax_mhz": made.bitstream.fmax_mhz,
        "used": [f"{used} {kind}" for kind, (used, _available) in made.bitstream.used.items() if used],
        "run": NOT_RUN,
    }
    return row, made.write(output)


def _zynq(design: "Design", board: "Board", output: Path) -> tuple[dict[str, object], list[Path]]:
    from macforge.emit.zynq import NOT_RUN, generate_zynq

    made = generate_zynq(design, board)
    return {**_row(design, board), "run": NOT_RUN}, made.write(output)


def _row(design: "Design", board: "Board") -> dict[str, object]:
    array = design.array
    return {
        "design": design.name,
        "board": board.name,
        "array": f"{array.rows} x {array.cols}",
        "clock_mhz": board.clock_mhz,
    }
