"""macforge model tune --columns: which columns of weights get more bits, chosen over all layers of a decoder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from macforge.cli.arguments import err
from macforge.tables import print_rows

if TYPE_CHECKING:
    from macforge.model.columns import ColumnChoice
    from macforge.model.decoder import Decoder

__all__ = ["OF_COLUMNS", "tune_columns"]

OF_COLUMNS = ("share", "weight_bytes")
"""Budgets: the most columns, of all that there are; bytes of the codes of all weights but the head's."""

# Tokens of a text of its own: what a column changes of one loss may be undone in another.
_TEXT = 64


def tune_columns(
    decoder: "Decoder",
    tokens: Sequence[int],
    designs: Sequence[str],
    budgets: Mapping[str, float],
    *,
    output: Path | None,
    settings: tuple[str, ...],
    json_: bool,
) -> None:
    """Choose columns within budgets, compare them with the same share of each layer, and write the choice."""
    from macforge.design.design import load_design
    from macforge.model.choice import ChosenDesigns
    from macforge.model.columns import choose_columns, column_losses, same_share

    if len(designs) > 2:
        raise ValueError(
            f"Designs must be at most two with --columns, of the blocks and of the head, not {len(designs)}"
        )
    target = load_design(designs[0], settings).target
    load_design(designs[-1], settings)
    size = min(_TEXT, decoder.shape.context)
    texts = [tokens[start : start + size] for start in range(0, len(tokens), size)]
    losses = column_losses(decoder, [text for text in texts if len(text) > 1], target)
    found = choose_columns(losses, **budgets)
    if output is not None:
        layers = dict.fromkeys(losses, designs[0]) | {decoder.head.name: designs[-1]}
        wide = {name: tuple(np.flatnonzero(columns).tolist()) for name, columns in found.wide.items()}
        ChosenDesigns(designs=layers, settings=settings, wide=wide).save(output)
    choices = [
        _row("fewest bits for all", choose_columns(losses, share=0)),
        _row("the same share of each layer", same_share(losses, **budgets)),
        _row("chosen over all layers", found),
    ]
    layers = [{"layer": name, "columns": len(wide), "wide": int(wide.sum())} for name, wide in found.wide.items()]
    if json_:
        print_rows({"choices": choices, "layers": layers}, json_)
        return
    print_rows([{**row, "loss": f"{row['loss']:.4g}"} for row in choices], json_)
    print()
    print_rows(layers, json_)
    err.print(
        f"loss: in nats a token, of each column by itself, and the sum; mean over {len(texts)} texts",
        highlight=False,
        soft_wrap=True,
    )


def _row(name: str, choice: "ColumnChoice") -> dict[str, object]:
    columns = sum(len(wide) for wide in choice.wide.values())
    return {
        "choice": name,
        "wide": choice.columns,
        "share": choice.columns / columns,
        "weight_bytes": int(choice.weight_bytes),
        "loss": choice.loss,
    }
